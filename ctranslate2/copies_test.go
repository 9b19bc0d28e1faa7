package ctranslate2_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/bench"
	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// wide writes a model of random weights with NLLB's vocabulary, wide enough for
// transposed weights and with a ReLU, and returns its folder.
func wide(t *testing.T) string {
	t.Helper()
	dir, err := bench.Shape{Name: "wide", Model: 64, FFN: 320, Heads: 4, Encoder: 1, Decoder: 3}.Write(t.TempDir(), "int8")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func openWide(t *testing.T, dir string, opts ctranslate2.Options) *ctranslate2.Translator {
	t.Helper()
	opts.Threads, opts.CacheBytes = 2, 64<<20
	tr, err := ctranslate2.Open(dir, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// withCopies are options for copies in a folder on a disk: that of the output layer too,
// since memory for it is refused. Where the tier in use makes none the test is skipped.
func withCopies(t *testing.T) ctranslate2.Options {
	t.Helper()
	if kernels.NewS8Weights(nil, 64, 320, nil).TransposedBytes() == 0 {
		t.Skip("this machine's tier makes no copies")
	}
	dir := t.TempDir()
	f, err := memory.Nameless(dir, 1<<20, 0)
	if err != nil {
		t.Skipf("the folder of temporary files is no disk's: %v", err)
	}
	f.Close()
	return ctranslate2.Options{CoarseBytes: 1, CopyDir: dir}
}

func awaitCopies(t *testing.T, tr *ctranslate2.Translator) {
	t.Helper()
	select {
	case <-tr.Copied():
	case <-time.After(time.Minute):
		t.Fatal("no copies after a minute")
	}
}

// TestCopiesChangeNothing translates with and without copies of weights, for one and for
// several rows at once, before and after they are there: the results must be the same.
func TestCopiesChangeNothing(t *testing.T) {
	opts := withCopies(t)
	reported := make(chan int, 1)
	opts.OnCopied = func(bytes int, _ time.Duration, err error) {
		if err != nil {
			t.Error(err)
		}
		reported <- bytes
	}
	dir := wide(t)
	plain, copied := openWide(t, dir, ctranslate2.Options{CoarseBytes: -1}), openWide(t, dir, opts)
	whole := plain.StepBytes(1, true)
	for _, when := range []string{"while they are made", "then"} {
		for _, o := range []struct{ sentences, beams int }{{1, 1}, {2, 1}, {4, 1}, {6, 1}, {1, 2}, {1, 4}, {3, 3}} {
			got, want := translateWide(t, copied, o.sentences, o.beams), translateWide(t, plain, o.sentences, o.beams)
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %d sentences, beams of %d: %v, without copies %v", when, o.sentences, o.beams, got, want)
			}
		}
		awaitCopies(t, copied)
	}
	if plain.SkippedBytes() != 0 || copied.SkippedBytes() == 0 {
		t.Errorf("%d bytes of weights were skipped, and without copies %d", copied.SkippedBytes(), plain.SkippedBytes())
	}
	if got := copied.StepBytes(1, true); got > whole*3/4 {
		t.Errorf("a step reads %d bytes, without copies %d", got, whole)
	}
	if bytes := <-reported; bytes < 8<<20 {
		t.Errorf("%d bytes of copies are reported", bytes)
	}
}

// TestIdleModelIsCopied opens a model and makes no request: its copies come all the same,
// and go with it.
func TestIdleModelIsCopied(t *testing.T) {
	tr := openWide(t, wide(t), withCopies(t))
	awaitCopies(t, tr)
	if n := deletedMaps(t); n != 1 {
		t.Errorf("%d files without a name are mapped", n)
	}
	if err := tr.Close(); err != nil {
		t.Fatal(err)
	}
	if n := deletedMaps(t); n != 0 {
		t.Errorf("%d files without a name are mapped after Close", n)
	}
}

// deletedMaps counts mapped files that have no name.
func deletedMaps(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(text), "(deleted)")
}

func translateWide(t *testing.T, tr *ctranslate2.Translator, sentences, beams int) []ctranslate2.Result {
	t.Helper()
	o := ctranslate2.DefaultTranslationOptions()
	o.BeamSize, o.NumHypotheses, o.MaxDecodingLength, o.MinDecodingLength, o.ReturnScores = beams, beams, 12, 12, beams > 1
	var source, prefix [][]string
	for s := range sentences {
		source = append(source, []string{"eng_Latn", bench.Token(10 + s), bench.Token(2000*s + 5), "</s>"})
		prefix = append(prefix, []string{"swh_Latn"})
	}
	results, err := tr.TranslateBatch(context.Background(), source, prefix, o)
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// TestNoCopies names folders where no copies can be: the model runs without.
func TestNoCopies(t *testing.T) {
	withCopies(t)
	model, file := wide(t), filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{"", file, filepath.Join(file, "below")} {
		t.Run(fmt.Sprintf("%q", dir), func(t *testing.T) {
			told := false
			tr := openWide(t, model, ctranslate2.Options{CoarseBytes: 1, CopyDir: dir, OnCopied: func(_ int, _ time.Duration, err error) { told = err != nil }})
			awaitCopies(t, tr)
			if told != (dir != "") {
				t.Errorf("an error was reported: %t", told)
			}
			translateWide(t, tr, 1, 1)
			if n := tr.SkippedBytes(); n != 0 {
				t.Errorf("%d bytes were skipped", n)
			}
		})
	}
}

// TestCloseWhileCopying closes translators whose copies have just begun: these are given up.
func TestCloseWhileCopying(t *testing.T) {
	model, opts := wide(t), withCopies(t)
	for range 2 {
		tr := openWide(t, model, opts)
		if err := tr.Close(); err != nil {
			t.Fatal(err)
		}
		awaitCopies(t, tr)
	}
	if n := deletedMaps(t); n != 0 {
		t.Errorf("%d files without a name are mapped", n)
	}
	if left, err := os.ReadDir(opts.CopyDir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
}
