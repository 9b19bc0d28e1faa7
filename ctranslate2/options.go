package ctranslate2

import (
	"fmt"
	"math"
)

// Lane says how urgent sequences are. Those in the interactive lane are taken
// into the decoding batch before those in the bulk lane.
type Lane uint8

// The lanes.
const (
	Interactive Lane = iota
	Bulk
)

// TranslationOptions are CTranslate2's translate_batch options. Start from
// DefaultTranslationOptions.
type TranslationOptions struct {
	BeamSize          int     // 1: greedy search or sampling
	Patience          float32 // beam search stops after round(BeamSize·Patience) finished hypotheses
	LengthPenalty     float32 // scores are divided by length^LengthPenalty
	CoveragePenalty   float32
	RepetitionPenalty float32 // > 1 makes tokens already used less likely
	NoRepeatNgramSize int     // 0: off
	DisableUnk        bool    // never generate the unknown token
	SuppressSequences [][]string
	PrefixBiasBeta    float32  // > 0: the target prefix is a preference, not forced
	EndTokens         []string // nil: the vocabulary's end token
	ReturnEndToken    bool

	MaxInputLength    int // in tokens with the special ones; longer input is cut; 0: off
	MaxDecodingLength int
	MinDecodingLength int

	SamplingTopK        int     // 1: the best token; 0: from the whole vocabulary
	SamplingTopP        float32 // 1: off
	SamplingTemperature float32 // 0: the best token
	Seed                uint64  // of the sampling; equal seeds give equal results

	NumHypotheses               int
	ReturnScores                bool
	ReturnAttention             bool
	ReturnAlternatives          bool // alternatives at the position after the target prefix
	MinAlternativeExpansionProb float32
	ReplaceUnknowns             bool // by the source token with the most attention

	// Callback is called after each token of greedy search or sampling; true
	// ends the hypothesis. It runs between two steps of the decoding batch,
	// which waits for it: it must return at once.
	Callback func(StepResult) bool

	Lane Lane
}

// StepResult is one token of a hypothesis as it is decoded.
type StepResult struct {
	Step         int
	BatchID      int // index of the source in the call
	HypothesisID int
	TokenID      int
	Token        string
	Score        float32 // log probability, if scores are returned
	IsLast       bool
}

// DefaultTranslationOptions returns CTranslate2's defaults.
func DefaultTranslationOptions() TranslationOptions {
	return TranslationOptions{
		BeamSize: 2, Patience: 1, LengthPenalty: 1, RepetitionPenalty: 1,
		MaxInputLength: 1024, MaxDecodingLength: 256, MinDecodingLength: 1,
		SamplingTopK: 1, SamplingTopP: 1, SamplingTemperature: 1, NumHypotheses: 1,
	}
}

// maxCandidates is how many finished hypotheses end a beam search.
func (o *TranslationOptions) maxCandidates() int {
	return int(math.Round(float64(float32(o.BeamSize) * o.Patience)))
}

// sampled reports whether tokens are drawn rather than chosen.
func (o *TranslationOptions) sampled() bool {
	return o.SamplingTopK != 1 && o.SamplingTemperature != 0
}

func (o *TranslationOptions) greedy() bool { return o.BeamSize == 1 && o.PrefixBiasBeta == 0 }

// returnsAttention reports whether hypotheses keep their attention.
func (o *TranslationOptions) returnsAttention() bool { return o.ReturnAttention || o.ReplaceUnknowns }

// Limits of what one call may ask for, so that a hostile value costs an error
// and not memory.
const (
	maxBeamSize       = 256
	maxHypotheses     = 256
	maxDecodingLength = 1 << 16
)

// validate checks o against a target vocabulary of the given size.
func (o *TranslationOptions) validate(vocabulary int) error {
	for _, rule := range []struct {
		broken bool
		text   string
	}{
		{o.BeamSize < 1 || o.BeamSize > maxBeamSize, "the beam size must be in 1..256"},
		{2*o.BeamSize > vocabulary, "the beam size must not exceed half the vocabulary"},
		{!(o.Patience > 0) || o.Patience > 1000, "the patience must be > 0"},
		{o.maxCandidates() < 1, "the patience must let a beam search finish at least one hypothesis"},
		{o.NumHypotheses < 1 || o.NumHypotheses > maxHypotheses, "the number of hypotheses must be in 1..256"},
		{o.NumHypotheses > o.maxCandidates() && !o.ReturnAlternatives && !(o.BeamSize == 1 && o.SamplingTopK != 1),
			"the number of hypotheses can't be greater than the beam size times the patience"},
		{o.ReturnAlternatives && 2*o.NumHypotheses > vocabulary, "the number of alternatives must not exceed half the vocabulary"},
		{o.MaxDecodingLength < 1 || o.MaxDecodingLength > maxDecodingLength, "the maximum decoding length must be in 1..65536"},
		{o.MinDecodingLength < 0 || o.MinDecodingLength > o.MaxDecodingLength, "the minimum decoding length must be in 0..the maximum decoding length"},
		{o.MaxInputLength < 0, "the maximum input length must be >= 0"},
		{!(o.RepetitionPenalty > 0), "the repetition penalty must be > 0"},
		{o.NoRepeatNgramSize < 0, "no_repeat_ngram_size must be >= 0"},
		{o.PrefixBiasBeta >= 1 || o.PrefixBiasBeta < 0, "the prefix bias beta must be in [0, 1)"},
		{o.PrefixBiasBeta > 0 && o.ReturnAlternatives, "a prefix bias can't be combined with alternatives"},
		{o.ReturnAlternatives && !(o.MinAlternativeExpansionProb >= 0 && o.MinAlternativeExpansionProb <= 1),
			"the minimum alternative expansion probability must be in [0, 1]"},
		{o.Callback != nil && !o.greedy(), "a callback needs a beam size of 1 and no prefix bias"},
		{o.SamplingTopK < 0 || o.SamplingTopK > vocabulary, "sampling_topk must be in 0..the size of the vocabulary"},
		{!(o.SamplingTopP > 0 && o.SamplingTopP <= 1), "sampling_topp must be in (0, 1]"},
		{!(o.SamplingTemperature >= 0), "the sampling temperature must be >= 0"},
		{o.Lane > Bulk, "the lane must be interactive or bulk"},
	} {
		if rule.broken {
			return fmt.Errorf("%w: %s", ErrInvalidOptions, rule.text)
		}
	}
	return nil
}
