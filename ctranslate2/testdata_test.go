package ctranslate2_test

import (
	"compress/gzip"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sematech/sema/ctranslate2"
)

// goldenFile is what testdata/make_golden.py wrote of one model: sources and
// what CTranslate2 made of them.
type goldenFile struct {
	Sources [][]string
	Cases   []goldenCase
}

// goldenCase is one call of translate_batch on the first N sources.
type goldenCase struct {
	Dir         string // of the model, named after the type that it is stored in
	Name        string
	ComputeType string `json:"compute_type"`
	Options     goldenOptions
	N           int
	Prefix      [][]string
	Results     []goldenResult
}

// goldenResult has hypotheses as tokens joined by spaces.
type goldenResult struct {
	Hypotheses []string      `json:"t"`
	Scores     []float32     `json:"s"`
	Attention  [][][]float32 `json:"a"`
}

// goldenOptions are keyword arguments of CTranslate2's translate_batch.
type goldenOptions struct {
	BeamSize            *int            `json:"beam_size"`
	Patience            *float32        `json:"patience"`
	LengthPenalty       *float32        `json:"length_penalty"`
	CoveragePenalty     *float32        `json:"coverage_penalty"`
	RepetitionPenalty   *float32        `json:"repetition_penalty"`
	NoRepeatNgramSize   *int            `json:"no_repeat_ngram_size"`
	DisableUnk          *bool           `json:"disable_unk"`
	SuppressSequences   [][]string      `json:"suppress_sequences"`
	PrefixBiasBeta      *float32        `json:"prefix_bias_beta"`
	EndToken            json.RawMessage `json:"end_token"` // a string or a list
	ReturnEndToken      *bool           `json:"return_end_token"`
	MaxInputLength      *int            `json:"max_input_length"`
	MaxDecodingLength   *int            `json:"max_decoding_length"`
	MinDecodingLength   *int            `json:"min_decoding_length"`
	SamplingTopK        *int            `json:"sampling_topk"`
	SamplingTopP        *float32        `json:"sampling_topp"`
	SamplingTemperature *float32        `json:"sampling_temperature"`
	NumHypotheses       *int            `json:"num_hypotheses"`
	ReturnScores        *bool           `json:"return_scores"`
	ReturnAttention     *bool           `json:"return_attention"`
	ReturnAlternatives  *bool           `json:"return_alternatives"`
	MinAlternative      *float32        `json:"min_alternative_expansion_prob"`
	ReplaceUnknowns     *bool           `json:"replace_unknowns"`
}

func set[T any](dst *T, value *T) {
	if value != nil {
		*dst = *value
	}
}

// options returns the defaults with what the golden call gave.
func (g *goldenOptions) options(t *testing.T) ctranslate2.TranslationOptions {
	t.Helper()
	o := ctranslate2.DefaultTranslationOptions()
	set(&o.BeamSize, g.BeamSize)
	set(&o.Patience, g.Patience)
	set(&o.LengthPenalty, g.LengthPenalty)
	set(&o.CoveragePenalty, g.CoveragePenalty)
	set(&o.RepetitionPenalty, g.RepetitionPenalty)
	set(&o.NoRepeatNgramSize, g.NoRepeatNgramSize)
	set(&o.DisableUnk, g.DisableUnk)
	set(&o.PrefixBiasBeta, g.PrefixBiasBeta)
	set(&o.ReturnEndToken, g.ReturnEndToken)
	set(&o.MaxInputLength, g.MaxInputLength)
	set(&o.MaxDecodingLength, g.MaxDecodingLength)
	set(&o.MinDecodingLength, g.MinDecodingLength)
	set(&o.SamplingTopK, g.SamplingTopK)
	set(&o.SamplingTopP, g.SamplingTopP)
	set(&o.SamplingTemperature, g.SamplingTemperature)
	set(&o.NumHypotheses, g.NumHypotheses)
	set(&o.ReturnScores, g.ReturnScores)
	set(&o.ReturnAttention, g.ReturnAttention)
	set(&o.ReturnAlternatives, g.ReturnAlternatives)
	set(&o.MinAlternativeExpansionProb, g.MinAlternative)
	set(&o.ReplaceUnknowns, g.ReplaceUnknowns)
	o.SuppressSequences = g.SuppressSequences
	o.EndTokens = g.endTokens(t)
	return o
}

func (g *goldenOptions) endTokens(t *testing.T) []string {
	t.Helper()
	if len(g.EndToken) == 0 {
		return nil
	}
	var one string
	if json.Unmarshal(g.EndToken, &one) == nil {
		return []string{one}
	}
	var many []string
	if err := json.Unmarshal(g.EndToken, &many); err != nil {
		t.Fatal(err)
	}
	return many
}

// goldenFiles returns the names of all models that have golden results.
func goldenFiles(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("testdata/golden/*.json.gz")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	names := make([]string, len(paths))
	for i, p := range paths {
		names[i] = strings.TrimSuffix(filepath.Base(p), ".json.gz")
	}
	return names
}

func readGolden(t *testing.T, name string) *goldenFile {
	t.Helper()
	f, err := os.Open(filepath.Join("testdata", "golden", name+".json.gz"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.NewDecoder(z).Decode(&g); err != nil {
		t.Fatal(err)
	}
	return &g
}

// share is how often a best hypothesis is the same, and how often its score is
// near where it is.
type share struct{ Same, Near float64 }

// selfAgreement is how far CTranslate2 agrees with itself between instruction
// sets at the least, in int8, by "model/beam size".
type selfAgreement map[string]share

func readSelfAgreement(t *testing.T) selfAgreement {
	t.Helper()
	data, err := os.ReadFile("testdata/golden/isas.json")
	if err != nil {
		t.Fatal(err)
	}
	var s selfAgreement
	if err := json.Unmarshal(data, &s); err != nil {
		t.Fatal(err)
	}
	return s
}

// of returns what is wanted of a model: the bar, or less where CTranslate2
// itself reaches less.
func (s selfAgreement) of(key string, bar float64) share {
	own, ok := s[key]
	if !ok {
		return share{bar, int8NearShare}
	}
	return share{min(bar, own.Same), min(int8NearShare, own.Near)}
}
