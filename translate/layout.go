package translate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// Files are where the models of a pipeline are, relative to the folder that was
// opened, with slashes.
type Files struct {
	Model           string // the folder with model.bin
	SourceTokenizer string
	TargetTokenizer string // "": the same
	Detector        string // "": none
}

// maxDepth is how many folders deep models are looked for.
const maxDepth = 6

// FindFiles looks for the models in fsys: one folder with a model.bin, one
// SentencePiece *.model (or Marian's source.spm and target.spm) and at most one
// fastText *.bin or *.ftz. Where there are several of a kind, that in the
// model's own folder is taken, or what the options name. Otherwise the error,
// ErrInvalidModel, lists them.
func FindFiles(fsys fs.FS, opts Options) (Files, error) {
	found, err := scan(fsys)
	if err != nil {
		return Files{}, err
	}
	var f Files
	if f.Model, err = pick("folder with model.bin", "ModelPath", opts.ModelPath, found.models, ""); err != nil {
		return Files{}, err
	}
	if f.Detector, err = pick("fastText *.bin or *.ftz", "DetectorPath", opts.DetectorPath, found.detectors, f.Model); err != nil {
		return Files{}, err
	}
	source, target := path.Join(f.Model, "source.spm"), path.Join(f.Model, "target.spm")
	if opts.TokenizerPath == "" && slices.Contains(found.tokenizers, source) && slices.Contains(found.tokenizers, target) {
		f.SourceTokenizer, f.TargetTokenizer = source, target
		return f, nil
	}
	f.SourceTokenizer, err = pick("SentencePiece *.model", "TokenizerPath", opts.TokenizerPath, found.tokenizers, f.Model)
	return f, err
}

type candidates struct{ models, tokenizers, detectors []string }

// scan lists what may be a model. Hidden folders are left out.
func scan(fsys fs.FS) (candidates, error) {
	var c candidates
	err := fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && name != "." && (strings.HasPrefix(d.Name(), ".") || strings.Count(name, "/") >= maxDepth):
			return fs.SkipDir
		case d.IsDir():
		case d.Name() == "model.bin":
			c.models = append(c.models, path.Dir(name))
		case strings.HasSuffix(name, ".model"), strings.HasSuffix(name, ".spm"):
			c.tokenizers = append(c.tokenizers, name)
		case strings.HasSuffix(name, ".bin"), strings.HasSuffix(name, ".ftz"):
			if isFastText(fsys, name) {
				c.detectors = append(c.detectors, name)
			}
		}
		return nil
	})
	if err != nil {
		return c, fmt.Errorf("translate: looking for models: %w", err)
	}
	return c, nil
}

// isFastText reports whether the file begins as fastText models do.
func isFastText(fsys fs.FS, name string) bool {
	f, err := fsys.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	var magic [4]byte
	_, err = io.ReadFull(f, magic[:])
	return err == nil && bytes.Equal(magic[:], []byte{0xBA, 0x16, 0x4F, 0x2F})
}

// pick returns the one of found, or that which is named, or that in the folder
// dir. There need not be a detector.
func pick(what, option, named string, found []string, dir string) (string, error) {
	if named != "" {
		return path.Clean(strings.ReplaceAll(named, `\`, "/")), nil
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && option == "DetectorPath":
		return "", nil
	case len(found) == 0:
		return "", fmt.Errorf("%w: there is no %s", ErrInvalidModel, what)
	}
	if dir != "" {
		own := slices.DeleteFunc(slices.Clone(found), func(name string) bool { return path.Dir(name) != dir })
		if len(own) == 1 {
			return own[0], nil
		}
	}
	return "", fmt.Errorf("%w: there are %d of %s: %s: name one with the option %s", ErrInvalidModel, len(found), what, strings.Join(found, ", "), option)
}

// addsSourceEnd reports what config.json in the model's folder says of the end
// token.
func addsSourceEnd(fsys fs.FS, dir string) (bool, error) {
	data, err := fs.ReadFile(fsys, path.Join(dir, "config.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("translate: %w", err)
	}
	var config struct {
		AddSourceEOS bool `json:"add_source_eos"`
	}
	if err := json.Unmarshal(data, &config); err != nil {
		return false, fmt.Errorf("%w: config.json: %w", ErrInvalidModel, err)
	}
	return config.AddSourceEOS, nil
}
