package ctranslate2_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sematech/sema/ctranslate2"
)

// files returns the files of a test model.
func files(t testing.TB, name string) fstest.MapFS {
	t.Helper()
	dir := filepath.Join("testdata", "models", filepath.FromSlash(name))
	m := fstest.MapFS{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		m[e.Name()] = &fstest.MapFile{Data: data}
	}
	return m
}

// with returns the files with one replaced; nil data removes it.
func with(m fstest.MapFS, name string, data []byte) fstest.MapFS {
	c := fstest.MapFS{}
	for k, v := range m {
		c[k] = v
	}
	if data == nil {
		delete(c, name)
	} else {
		c[name] = &fstest.MapFile{Data: data}
	}
	return c
}

// small keeps tests of hostile models from reserving much address space.
var small = ctranslate2.Options{Threads: 1, CacheBytes: 64 << 20}

func openFS(fsys fs.FS) (*ctranslate2.Translator, error) { return ctranslate2.OpenFS(fsys, ".", small) }

// refused fails unless the model is refused with an error that says why.
func refused(t *testing.T, fsys fs.FS, says string) {
	t.Helper()
	tr, err := openFS(fsys)
	if err == nil {
		tr.Close()
		t.Errorf("a model that should be refused (%s) opens", says)
		return
	}
	if !errors.Is(err, ctranslate2.ErrInvalidModel) || !strings.Contains(err.Error(), says) {
		t.Errorf("error %q does not say %q", err, says)
	}
}

func TestTruncatedModels(t *testing.T) {
	for _, name := range []string{"nllb/int8", "t5/float16"} {
		m := files(t, name)
		data := m["model.bin"].Data
		for n := 0; n < len(data); n += 1 + len(data)/200 {
			refused(t, with(m, "model.bin", data[:n]), "")
		}
		refused(t, with(m, "model.bin", append(bytes.Clone(data), 1)), "follow the last record")
	}
}

// patch returns data with a little-endian word at the first occurrence of what,
// after skip bytes.
func patch(t *testing.T, data []byte, what string, skip int, word uint32) []byte {
	t.Helper()
	i := bytes.Index(data, []byte(what))
	if i < 0 {
		t.Fatalf("%q is not in the model", what)
	}
	c := bytes.Clone(data)
	binary.LittleEndian.PutUint32(c[i+len(what)+skip:], word)
	return c
}

// replaceLast replaces the last occurrence, which is in the table of aliases.
func replaceLast(data []byte, old, new string) []byte {
	i := bytes.LastIndex(data, []byte(old))
	return append(append(bytes.Clone(data[:i]), new...), data[i+len(old):]...)
}

func TestDamagedModels(t *testing.T) {
	m := files(t, "nllb/int8")
	data := m["model.bin"].Data
	matrix := "encoder/layer_0/ffn/linear_0/weight\x00"
	for _, c := range []struct {
		says string
		data []byte
	}{
		{"binary version", patch(t, data, "", 0, 99)},
		{"binary version", patch(t, data, "", 0, 0)},
		{"cannot fit", patch(t, data, "TransformerSpec\x00", 4, 1<<31-1)},
		{"spec revision", patch(t, data, "TransformerSpec\x00", 0, 99)},
		{"model specification", bytes.Replace(data, []byte("TransformerSpec"), []byte("WhisperAnything"), 1)},
		{"overflows", patch(t, patch(t, data, matrix, 1, 1<<31-1), matrix, 5, 1<<31-1)},
		{"needs", patch(t, data, matrix, 1, 7)},
		{"unknown data type", patch(t, data, matrix, 9, 0xFFFFFF77)},
		{"layer_9", bytes.ReplaceAll(data, []byte("encoder/layer_1/ffn/linear_1/bias"), []byte("encoder/layer_9/ffn/linear_1/bias"))},
		{"rotary_dim", bytes.Replace(data, []byte("decoder/layer_0/self_attention/linear_0/bias\x00"), []byte("decoder/layer_0/self_attention/rotary_dim/xx\x00"), 1)},
		{"names the variable", replaceLast(data, "decoder/embeddings/weight", "decoder/embeddings/weigth")},
		{"source features", bytes.Replace(data, []byte("encoder/embeddings_0/weight"), []byte("encoder/embeddings_1/weight"), 1)},
	} {
		refused(t, with(m, "model.bin", c.data), c.says)
	}
	// The second of two variables of one name.
	twice := bytes.ReplaceAll(data, []byte("encoder/layer_1/"), []byte("encoder/layer_0/"))
	refused(t, with(m, "model.bin", twice), "appears twice")
}

func TestDamagedCompanions(t *testing.T) {
	m := files(t, "nllb/float32")
	for _, c := range []struct{ name, data, says string }{
		{"config.json", "{", "config.json"},
		{"config.json", `{"bos_token": "<s>", "eos_token": "</s>"}`, "unk_token"},
		{"config.json", `{"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","quantization_type":1}`, "AWQ"},
		{"shared_vocabulary.json", "[1, 2]", "shared_vocabulary.json"},
		{"shared_vocabulary.json", `["<s>", "</s>", "<unk>"]`, "differ in size"},
		{"shared_vocabulary.json", "", "shared_vocabulary.json"},
	} {
		refused(t, with(m, c.name, []byte(c.data)), c.says)
	}
	refused(t, with(m, "shared_vocabulary.json", nil), "shared_vocabulary")
	refused(t, with(m, "model.bin", nil), "model.bin")
	if _, err := ctranslate2.Open(filepath.Join(t.TempDir(), "none"), small); !errors.Is(err, ctranslate2.ErrInvalidModel) {
		t.Errorf("a missing folder: %v", err)
	}
	if _, err := ctranslate2.OpenFS(m, ".", ctranslate2.Options{ComputeType: "int3"}); !errors.Is(err, ctranslate2.ErrInvalidOptions) {
		t.Errorf("an unknown compute type: %v", err)
	}
}

// exercise translates with a model that opened although it was damaged. Any
// answer or error will do; it must come.
func exercise(t *testing.T, tr *ctranslate2.Translator) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	v := tr.SourceVocabulary()
	source := [][]string{{v.Token(5), v.Token(6), "no such token", v.Token(v.Size() - 1), v.EOS()}, {v.EOS()}}
	prefix := [][]string{{v.Token(7), "no such token"}, {v.Token(7)}}
	for _, beam := range []int{1, 3} {
		o := ctranslate2.DefaultTranslationOptions()
		o.BeamSize, o.MaxDecodingLength, o.ReturnScores, o.ReturnAttention = beam, 8, true, true
		if _, err := tr.TranslateBatch(ctx, source, prefix, o); errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("the damaged model hangs")
		}
	}
}

// FuzzModel damages a model in up to three places and uses what still opens.
func FuzzModel(f *testing.F) {
	names := []string{"nllb/int8", "marian/float32", "t5/int16", "mbart/float16"}
	seeds := make([]fstest.MapFS, len(names))
	for i, name := range names {
		seeds[i] = files(f, name)
		n := len(seeds[i]["model.bin"].Data)
		for at := 0; at < n; at += 1 + n/23 {
			f.Add(i, at, uint32(0xFFFFFFFF), at/2, uint32(0x7F800000), at/3, uint32(0))
		}
	}
	f.Fuzz(func(t *testing.T, which, at1 int, word1 uint32, at2 int, word2 uint32, at3 int, word3 uint32) {
		m := seeds[((which%len(seeds))+len(seeds))%len(seeds)]
		data := bytes.Clone(m["model.bin"].Data)
		for _, p := range []struct {
			at   int
			word uint32
		}{{at1, word1}, {at2, word2}, {at3, word3}} {
			n := len(data) - 4
			binary.LittleEndian.PutUint32(data[((p.at%n)+n)%n:], p.word)
		}
		tr, err := openFS(with(m, "model.bin", data))
		if err != nil {
			if !errors.Is(err, ctranslate2.ErrInvalidModel) {
				t.Fatal(err)
			}
			return
		}
		defer tr.Close()
		exercise(t, tr)
	})
}
