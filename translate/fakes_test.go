package translate_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode/utf8"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/fasttext"
	"github.com/sematech/sema/translate"
)

// words is a tokenizer of which each word is a piece, or several of 12 bytes.
type words struct{}

func (words) Encode(text string) []string {
	var pieces []string
	for w := range strings.FieldsSeq(text) {
		mark := "▁"
		for len(w) > 12 {
			n := 12
			for n > 1 && !utf8.RuneStart(w[n]) {
				n--
			}
			pieces = append(pieces, mark+w[:n])
			w, mark = w[n:], ""
		}
		pieces = append(pieces, mark+w)
	}
	return pieces
}

func (words) Decode(pieces []string) string {
	return strings.TrimPrefix(strings.ReplaceAll(strings.Join(pieces, ""), "▁", " "), " ")
}

// vocabulary is a list of tokens.
type vocabulary []string

func (v vocabulary) Size() int           { return len(v) }
func (v vocabulary) Token(id int) string { return v[id] }
func (v vocabulary) ID(token string) (int, bool) {
	id := slices.Index(v, token)
	return id, id >= 0
}

var nllb = vocabulary{"<s>", "<pad>", "</s>", "<unk>", "eng_Latn", "fra_Latn", "swh_Latn", "zho_Hans"}

// upper is a runtime that "translates" to upper case. It records its calls.
type upper struct {
	mu       sync.Mutex
	sources  [][]string
	prefixes [][]string
	options  []ctranslate2.TranslationOptions

	positions int
	// answer, if set, replaces the hypothesis of a source.
	answer func(pieces []string, opts ctranslate2.TranslationOptions) []string
}

func (u *upper) MaxPositions() int { return u.positions }
func (u *upper) Close() error      { return nil }

func (u *upper) TranslateBatch(ctx context.Context, source, prefix [][]string, opts ctranslate2.TranslationOptions) ([]ctranslate2.Result, error) {
	u.mu.Lock()
	u.sources, u.prefixes, u.options = append(u.sources, source...), append(u.prefixes, prefix...), append(u.options, opts)
	u.mu.Unlock()
	hypotheses := make([][]string, len(source))
	for i, tokens := range source {
		if len(prefix) > 0 {
			hypotheses[i] = slices.Clone(prefix[i])
		}
		hypotheses[i] = append(hypotheses[i], u.translate(tokens, opts)...)
	}
	if opts.Callback != nil {
		step(hypotheses, opts)
	}
	results := make([]ctranslate2.Result, len(source))
	for i, h := range hypotheses {
		results[i].Hypotheses = [][]string{h}
	}
	return results, ctx.Err()
}

func (u *upper) translate(tokens []string, opts ctranslate2.TranslationOptions) []string {
	var pieces, out []string
	for _, t := range tokens {
		if !slices.Contains(nllb, t) {
			pieces = append(pieces, t)
		}
	}
	if u.answer != nil {
		if out = u.answer(pieces, opts); out != nil {
			return out
		}
	}
	for _, p := range pieces {
		out = append(out, strings.ToUpper(p))
	}
	return out
}

// step calls the callback as a batch does: each hypothesis one token a step, the
// last ones first, to be out of order.
func step(hypotheses [][]string, opts ctranslate2.TranslationOptions) {
	for s, running := 0, true; running; s++ {
		running = false
		for i := len(hypotheses) - 1; i >= 0; i-- {
			h := hypotheses[i]
			if s >= len(h) {
				continue
			}
			running = true
			if opts.Callback(ctranslate2.StepResult{Step: s, BatchID: i, Token: h[s], IsLast: s == len(h)-1}) {
				hypotheses[i] = h[:s+1]
			}
		}
	}
}

// detector answers by what a text contains.
type detector map[string][]fasttext.Prediction

func (detector) Labels() []string { return make([]string, 8) }
func (d detector) Predict(text string, k int, _ float32) []fasttext.Prediction {
	if strings.Contains(text, "\n") {
		panic("a newline reaches the detector")
	}
	for part, predictions := range d {
		if strings.Contains(text, part) {
			return predictions[:min(k, len(predictions))]
		}
	}
	return nil
}

var languages = detector{
	"hello handsome": {{Label: "bn", Probability: 0.5}, {Label: "en", Probability: 0.3}, {Label: "fr", Probability: 0.1}},
	"bonjour":        {{Label: "fr", Probability: 0.9}, {Label: "en", Probability: 0.1}},
	"BONJOUR":        {{Label: "en", Probability: 0.2}, {Label: "fr", Probability: 0.1}},
	"asdf":           {{Label: "en", Probability: 0.1}, {Label: "xx", Probability: 0.9}},
	"নমস্কার":        {{Label: "bn", Probability: 1.00001}},
}

func newPipeline(t testing.TB, u *upper, opts translate.Options) *translate.Pipeline {
	t.Helper()
	p, err := translate.New(translate.Models{
		Translator: u, SourceVocabulary: nllb, TargetVocabulary: nllb, SourceTokenizer: words{}, Detector: languages,
	}, opts)
	if err != nil {
		t.Fatal(err)
	}
	return p
}
