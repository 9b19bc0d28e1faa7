package translate_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/sematech/sema/translate"
)

func TestFraming(t *testing.T) {
	for _, test := range []struct {
		family, tokens, source, prefix, languages string
		addsEnd                                   bool
	}{
		{"nllb", "eng_Latn swh_Latn abc_Defg", "eng_Latn ▁Hi </s>", "swh_Latn", "eng_Latn swh_Latn", false},
		{"m2m100", "__en__ __sw__", "__en__ ▁Hi </s>", "__sw__", "eng_Latn swh_Latn", false},
		{"mbart50", "en_XX sw_KE zh_CN", "en_XX ▁Hi </s>", "sw_KE", "eng_Latn swh_Latn zho_Hans", false},
		{"mbart", "en_XX fr_XX", "▁Hi </s> en_XX", "fr_XX", "eng_Latn fra_Latn", false},
		{"t5", "<2en> <2sw> <2translate>", "<2sw> ▁Hi </s>", "", "eng_Latn swh_Latn", false},
		{"marian", ">>eng<< >>swh<<", ">>swh<< ▁Hi </s>", "", "eng_Latn swh_Latn", false},
		{"marian", ">>eng<< >>swh<<", ">>swh<< ▁Hi", "", "eng_Latn swh_Latn", true},
		{"plain", "▁eng_Latn", "▁Hi </s>", "", "", false},
		{"plain", "", "▁Hi", "", "", true},
	} {
		u := &upper{}
		v := vocabulary(strings.Fields("</s> <unk> " + test.tokens))
		p, err := translate.New(translate.Models{
			Translator: u, SourceVocabulary: v, TargetVocabulary: v, SourceTokenizer: words{}, AddsSourceEnd: test.addsEnd,
		}, translate.Options{})
		if err != nil {
			t.Fatal(err)
		}
		target := "swh_Latn"
		if test.family == "mbart" {
			target = "fra_Latn"
		}
		r, err := p.Translate(t.Context(), translate.Request{Text: "Hi", Source: "eng_Latn", Target: target})
		if err != nil {
			t.Fatalf("%s: %v", test.family, err)
		}
		if p.Family() != test.family || strings.Join(p.Languages(), " ") != test.languages {
			t.Errorf("%s: family %s, languages %q", test.family, p.Family(), p.Languages())
		}
		if got := strings.Join(u.sources[0], " "); got != test.source {
			t.Errorf("%s: source %q", test.family, got)
		}
		if got := strings.Join(slices.Concat(u.prefixes...), " "); got != test.prefix {
			t.Errorf("%s: prefix %q", test.family, got)
		}
		if !strings.Contains(r.Text, "HI") || test.prefix != "" && strings.Contains(r.Text, test.prefix) {
			t.Errorf("%s: text %q", test.family, r.Text)
		}
	}
}
