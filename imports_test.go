package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/sematech/sema"

// allowed says which packages of ours each package may import: the picture in
// docs/architecture.md. A package that is not listed may import none.
var allowed = map[string][]string{
	".":           {"bench", "cache", "config", "ctranslate2", "ctranslate2/kernels", "demo", "flores", "handlers", "hub", "limiter", "modelstore", "reload", "telemetry", "translate"},
	"bench":       {"ctranslate2", "ctranslate2/kernels"},
	"bench/text":  {"fasttext", "sentencepiece"},
	"ctranslate2": {"ctranslate2/kernels", "ctranslate2/memory"},

	"ctranslate2/kernels": {"ctranslate2/memory"},

	"translate": {"ctranslate2", "fasttext", "flores", "sentencepiece"},
	"handlers":  {"cache", "flores", "limiter", "modelstore", "telemetry", "translate", "ctranslate2"},
	"reload":    {"demo", "flores", "hub", "modelstore", "telemetry", "translate"},
}

// packages parses every package of the module, without tests, and returns for
// each its imports and whether it has a doc comment.
func packages(t *testing.T) (imports map[string][]string, documented map[string]bool) {
	t.Helper()
	imports, documented = map[string][]string{}, map[string]bool{}
	err := filepath.WalkDir(".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || d.Name() == "gen" || strings.HasPrefix(d.Name(), ".") && file != ".") {
			return fs.SkipDir
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		pkg := path.Clean(filepath.ToSlash(filepath.Dir(file)))
		documented[pkg] = documented[pkg] || f.Doc != nil
		for _, i := range f.Imports {
			imports[pkg] = append(imports[pkg], strings.Trim(i.Path.Value, `"`))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return imports, documented
}

func TestImportsPointOneWay(t *testing.T) {
	imports, documented := packages(t)
	if len(imports) < 12 {
		t.Fatalf("%d packages were found", len(imports))
	}
	for pkg, list := range imports {
		for _, i := range list {
			ours, ok := strings.CutPrefix(i, module+"/")
			if ok && !slices.Contains(allowed[pkg], ours) {
				t.Errorf("%s imports %s, which docs/architecture.md does not allow", pkg, ours)
			}
		}
		if !documented[pkg] {
			t.Errorf("%s has no package comment", pkg)
		}
	}
}
