package translate_test

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/translate"
)

const (
	demoVocabulary = "translation/nllb-demo-ct2/shared_vocabulary.json"
	demoTokenizer  = "translation/tokenizer/sentencepiece.bpe.model"
)

// demoModels are the demo's files, with the tokens of the vocabulary and the
// bytes of the tokenizer changed.
func demoModels(t *testing.T, token func(id int, token string) string, tokenizer func([]byte) []byte) fstest.MapFS {
	t.Helper()
	models := fstest.MapFS{}
	err := fs.WalkDir(demo.Models(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := fs.ReadFile(demo.Models(), name)
		models[name] = &fstest.MapFile{Data: data}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var tokens []string
	if err := json.Unmarshal(models[demoVocabulary].Data, &tokens); err != nil {
		t.Fatal(err)
	}
	for id := range tokens {
		tokens[id] = token(id, tokens[id])
	}
	if models[demoVocabulary].Data, err = json.Marshal(tokens); err != nil {
		t.Fatal(err)
	}
	models[demoTokenizer].Data = tokenizer(slices.Clone(models[demoTokenizer].Data))
	return models
}

// sentencePiece encodes a normal piece as .model files have it. One file after
// another is a file with the pieces of both.
func sentencePiece(text string) []byte {
	m := append([]byte{1<<3 | 2, byte(len(text))}, text...)
	m = binary.LittleEndian.AppendUint32(append(m, 2<<3|5), math.Float32bits(-20))
	return append([]byte{1<<3 | 2, byte(len(m))}, m...)
}

func sameBytes(data []byte) []byte         { return data }
func sameToken(_ int, token string) string { return token }
func isSpecial(token string) bool {
	return strings.HasPrefix(token, "<") || strings.Contains(token, "_")
}
func otherToken(id int, token string) string {
	if isSpecial(token) {
		return token
	}
	return fmt.Sprintf("zq%d", id)
}

// TestVocabularyOfAnotherModel: it has the right size, and not one word that the
// tokenizer makes.
func TestVocabularyOfAnotherModel(t *testing.T) {
	mostly := func(id int, token string) string {
		if id%5 < 3 {
			return otherToken(id, token)
		}
		return token
	}
	for name, token := range map[string]func(int, string) string{"all": otherToken, "60 %": mostly} {
		_, err := translate.OpenFS(demoModels(t, token, sameBytes), ".", translate.Options{})
		if !errors.Is(err, translate.ErrInvalidModel) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, part := range []string{demoTokenizer, "translation/nllb-demo-ct2", "different models", "put there"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v; it lacks %q", name, err, part)
			}
		}
	}
}

// TestVocabularyAndTokenizerOfOtherSizes: what belongs together opens, although
// one is larger than the other, and some words are missing.
func TestVocabularyAndTokenizerOfOtherSizes(t *testing.T) {
	for name, models := range map[string]fstest.MapFS{
		"as they are": demoModels(t, sameToken, sameBytes),
		"some tokens are not the tokenizer's": demoModels(t, func(id int, token string) string {
			if id%5 < 2 {
				return otherToken(id, token)
			}
			return token
		}, sameBytes),
		"a large tokenizer": demoModels(t, sameToken, func(data []byte) []byte {
			for n := range 20_000 {
				data = append(data, sentencePiece(fmt.Sprintf("▁q%d", n))...)
			}
			return data
		}),
		"a small tokenizer": demoModels(t, sameToken, func([]byte) []byte {
			unknown := sentencePiece("<unk>")
			unknown = append(unknown, 3<<3, 2) // its kind
			unknown[1] += 2
			return slices.Concat(unknown, sentencePiece("an"), sentencePiece("he"), sentencePiece("zq"))
		}),
	} {
		p, err := translate.OpenFS(models, ".", translate.Options{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		p.Close()
	}
}

// TestFamiliesMatchTheirTokenizer: language tokens of all kinds are none of the
// tokenizer's pieces.
func TestFamiliesMatchTheirTokenizer(t *testing.T) {
	for family, tokens := range map[string][]string{
		"nllb":    {"eng_Latn", "fra_Latn", "swh_Latn"},
		"m2m100":  {"__en__", "__fr__", "__sw__"},
		"mbart50": {"en_XX", "fr_XX", "sw_KE"},
		"t5":      {"<2en>", "<2fr>", "<2sw>"},
		"marian":  {">>eng<<", ">>fra<<", ">>swh<<"},
		"plain":   {"one", "two", "three"},
	} {
		languages := []string{"eng_Latn", "fra_Latn", "swh_Latn"}
		models := demoModels(t, func(_ int, token string) string {
			if i := slices.Index(languages, token); i >= 0 {
				return tokens[i]
			}
			return token
		}, sameBytes)
		p, err := translate.OpenFS(models, ".", translate.Options{})
		if err != nil || p.Family() != family {
			t.Errorf("%s: %v", family, err)
			continue
		}
		p.Close()
	}
}
