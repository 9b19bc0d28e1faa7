package ctranslate2_test

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/sematech/sema/ctranslate2"
)

// TestCoarseCopyChangesNothing translates with and without a coarse copy of the
// output layer: the tokens must be the same.
func TestCoarseCopyChangesNothing(t *testing.T) {
	for _, name := range []string{"nllb/int8", "marian/int8", "m2m100/int8", "t5/int8", "nllb/float32", "m2m100/float16", "t5/float32"} {
		t.Run(name, func(t *testing.T) {
			whole, coarse := openCoarse(t, name, -1), openCoarse(t, name, 1<<20)
			if whole.StepBytes(1, true) == coarse.StepBytes(1, true) {
				t.Skip("this machine's tier has no coarse copies")
			}
			for i, c := range greedyCalls(whole.SourceVocabulary(), name) {
				want, err := whole.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
				if err != nil {
					t.Fatal(err)
				}
				got, err := coarse.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
				if err != nil {
					t.Fatal(err)
				}
				if !reflect.DeepEqual(got, want) {
					t.Errorf("call %d: %v, without the copy %v", i, got, want)
				}
			}
		})
	}
}

func openCoarse(t *testing.T, name string, bytes int) *ctranslate2.Translator {
	t.Helper()
	tr, err := ctranslate2.Open(filepath.Join("testdata", "models", filepath.FromSlash(name)), ctranslate2.Options{Threads: 2, CacheBytes: 64 << 20, CoarseBytes: bytes})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// greedyCalls are calls whose steps ask for the best token alone, with all that
// changes logits: minimum length, penalties, repeats, suppressed tokens.
func greedyCalls(v *ctranslate2.Vocabulary, model string) []call {
	var calls []call
	for i := range 40 {
		o := ctranslate2.DefaultTranslationOptions()
		o.BeamSize, o.MaxDecodingLength, o.MinDecodingLength = 1, 30, i%7*3
		switch i % 5 {
		case 1:
			o.RepetitionPenalty = 1.3
		case 2:
			o.NoRepeatNgramSize, o.RepetitionPenalty = 2, 0.8
		case 3:
			o.SuppressSequences = [][]string{{v.Token(20)}, {v.Token(30), v.Token(31)}, {v.Token(v.Size() - 1)}}
		case 4:
			o.DisableUnk = true
		}
		c := call{opts: o}
		for s := range 1 + i%4 {
			var tokens []string
			for w := range 3 + (i*5+s*3)%20 {
				tokens = append(tokens, v.Token(10+(i*29+s*11+w*7)%(v.Size()-20)))
			}
			c.source = append(c.source, append(tokens, v.EOS()))
			if strings.HasPrefix(model, "nllb/") || strings.HasPrefix(model, "m2m100/") {
				c.prefix = append(c.prefix, []string{v.Token(v.Size() - 5)})
			}
		}
		calls = append(calls, c)
	}
	return calls
}
