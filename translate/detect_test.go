package translate_test

import (
	"errors"
	"math"
	"testing"

	"github.com/sematech/sema/translate"
)

func TestDetect(t *testing.T) {
	p := newPipeline(t, &upper{}, translate.Options{})
	for _, test := range []struct {
		text, language string
		confidence     float64
	}{
		{"hello handsome", "eng_Latn", 0.75},    // never Bengali
		{"bonjour\r\nbonjour", "fra_Latn", 0.9}, // newlines are spaces
		{"BONJOUR", "fra_Latn", 0.9},            // the surer answer
		{"asdf", "", 0.1},                       // no guess
		{"নমস্কার", "ben_Beng", 1},              // probabilities are at most 1
		{"12345 😀", "", 0},
		{"https://bonjour.com/bonjour", "", 0},
		{"me@bonjour.com hello handsome", "eng_Latn", 0.75},
	} {
		d, err := p.Detect(test.text, 3)
		if err != nil || d.Language != test.language || math.Abs(d.Confidence-test.confidence) > 1e-4 {
			t.Errorf("%q: %+v, %v", test.text, d, err)
		}
		for i, c := range d.Candidates {
			if c.Confidence < 0 || c.Confidence > 1 || i > 0 && c.Confidence > d.Candidates[i-1].Confidence {
				t.Errorf("%q: candidates %+v", test.text, d.Candidates)
			}
		}
	}
	if d, _ := p.Detect("hello handsome", 1); len(d.Candidates) != 1 {
		t.Errorf("top 1 has %d candidates", len(d.Candidates))
	}
}

func TestDetectErrors(t *testing.T) {
	p := newPipeline(t, &upper{}, translate.Options{})
	if _, err := p.Detect(" \n", 1); !errors.Is(err, translate.ErrEmptyText) {
		t.Errorf("%v", err)
	}
	p, err := translate.New(translate.Models{Translator: &upper{}, SourceVocabulary: nllb, TargetVocabulary: nllb, SourceTokenizer: words{}}, translate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Detect("bonjour", 1); !errors.Is(err, translate.ErrNoDetector) {
		t.Errorf("%v", err)
	}
	if _, err := p.Translate(t.Context(), translate.Request{Text: "bonjour", Target: "sw"}); !errors.Is(err, translate.ErrNoDetector) {
		t.Errorf("%v", err)
	}
}

func TestTranslateDetects(t *testing.T) {
	p := newPipeline(t, &upper{}, translate.Options{})
	r, err := p.Translate(t.Context(), translate.Request{Text: "bonjour", Target: "swh_Latn"})
	if err != nil || r.Text != "BONJOUR" || r.Source != "fra_Latn" || r.Detected == nil || r.Detected.Language != "fra_Latn" {
		t.Errorf("%+v, %v", r, err)
	}
}
