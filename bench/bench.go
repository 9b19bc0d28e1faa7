package bench

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/ctranslate2/kernels"
)

// Options say what Run measures.
type Options struct {
	Model        string // folder of the model
	Threads      int    // 0: the CPUs that the process may use
	Sentences    int    // translated together
	BeamSize     int
	SourceTokens int // of each sentence, with the special ones
	TargetTokens int // decoded, exactly
	ComputeType  string
	WholeLayer   bool   // no coarse copy of the output layer
	CopyDir      string // for copies of weights on the disk, or empty: none
	Runs         int    // the median of several runs is reported; 0: 3
}

// Report is what Run measured. Times are medians over the runs.
type Report struct {
	Model        string `json:"model"`
	ISA          string `json:"isa"`
	Threads      int    `json:"threads"`
	Sentences    int    `json:"sentences"`
	BeamSize     int    `json:"beam_size"`
	SourceTokens int    `json:"source_tokens"`
	TargetTokens int    `json:"target_tokens"`
	ComputeType  string `json:"compute_type"`

	LoadSeconds          float64 `json:"load_seconds"`    // until the first request can be taken
	PrefillSeconds       float64 `json:"prefill_seconds"` // encoder, its keys and values, and the first step
	TimeToFirstToken     float64 `json:"time_to_first_token_seconds"`
	DecodeSecondsPerStep float64 `json:"decode_seconds_per_step"`
	TotalSeconds         float64 `json:"total_seconds"`
	TokensPerSecond      float64 `json:"tokens_per_second"`         // target tokens of all sentences over the total time
	DecodeTokensPerSec   float64 `json:"decode_tokens_per_second"`  // without prefill
	PrefillTokensPerSec  float64 `json:"prefill_tokens_per_second"` // source tokens

	IdlePrivateBytes int64 `json:"idle_private_bytes"` // anonymous memory after loading
	PeakPrivateBytes int64 `json:"peak_private_bytes"` // anonymous memory while translating

	ReadBandwidth     float64  `json:"read_bandwidth_bytes_per_second"`
	PeakInt8          float64  `json:"peak_int8_operations_per_second"`
	StepBytes         int64    `json:"step_weight_bytes"`      // weights that one decoding step reads, on average
	SkippedBytes      int64    `json:"step_skipped_bytes"`     // and that it does not, for zeros
	BandwidthFraction float64  `json:"bandwidth_fraction"`     // StepBytes over step time over the read bandwidth around the run
	FirstTokens       []string `json:"first_tokens,omitempty"` // of the first hypothesis, to compare outputs
}

// measured is one run: seconds, the read bandwidth around it, and the bytes of weights
// that a step of it skipped.
type measured struct{ prefill, total, bandwidth, skipped float64 }

// Run loads a model, translates and measures. The sentences are the same in
// every run and on every machine.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Runs == 0 {
		o.Runs = 3
	}
	start := time.Now()
	t, err := ctranslate2.Open(o.Model, o.runtime())
	if err != nil {
		return nil, err
	}
	defer t.Close()
	r := &Report{Model: o.Model, ISA: kernels.Active().String(), Threads: t.Threads(), Sentences: o.Sentences, BeamSize: o.BeamSize,
		SourceTokens: o.SourceTokens, TargetTokens: o.TargetTokens, ComputeType: o.ComputeType, LoadSeconds: time.Since(start).Seconds()}
	select {
	case <-t.Copied():
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	runtime.GC() // as one who idles: Go collects every two minutes at least
	r.IdlePrivateBytes = privateBytes()
	source, prefix := o.batch(t)
	m := machine{kernels.NewExecutor(t.Threads())}
	defer m.exec.Close()
	runs := make([]measured, 0, o.Runs)
	before := 0.0
	for i := range o.Runs + 1 { // the first warms up
		peak := watchPrivateBytes()
		run, tokens, err := o.once(ctx, t, source, prefix)
		r.PeakPrivateBytes = max(r.PeakPrivateBytes, peak())
		if err != nil {
			return nil, err
		}
		after := m.bandwidth()
		if run.bandwidth = (before + after) / 2; i > 0 {
			runs = append(runs, run)
		}
		before, r.FirstTokens = after, tokens
	}
	r.PeakInt8 = kernels.PeakS8(m.exec)
	r.fill(runs, t.StepBytes(o.BeamSize*o.Sentences, o.BeamSize == 1))
	return r, nil
}

func (o *Options) runtime() ctranslate2.Options {
	r := ctranslate2.Options{ComputeType: o.ComputeType, Threads: o.Threads, CopyDir: o.CopyDir}
	if o.WholeLayer {
		r.CoarseBytes = -1
	}
	return r
}

// batch makes the sentences. They are as long as asked for, with the special
// tokens that the vocabulary knows.
func (o *Options) batch(t *ctranslate2.Translator) (source, prefix [][]string) {
	v := t.SourceVocabulary()
	for i := range o.Sentences {
		var s []string
		for j := range max(o.SourceTokens-2, 1) {
			s = append(s, v.Token(100+(i*7919+j*104729)%max(v.Size()-300, 1)))
		}
		if _, ok := v.ID("eng_Latn"); ok {
			s = append([]string{"eng_Latn"}, s...)
			prefix = append(prefix, []string{"swh_Latn"})
		}
		source = append(source, append(s, v.EOS()))
	}
	return source, prefix
}

// once translates the batch for one token, which is the prefill and measured twice,
// as compare.py does for CTranslate2, and for all of them.
func (o *Options) once(ctx context.Context, t *ctranslate2.Translator, source, prefix [][]string) (measured, []string, error) {
	opts := ctranslate2.DefaultTranslationOptions()
	opts.BeamSize = o.BeamSize
	forced := 0
	if prefix != nil {
		forced = 1
	}
	run := func(tokens int) (float64, []ctranslate2.Result, error) {
		opts.MaxDecodingLength, opts.MinDecodingLength = tokens+forced, tokens+forced
		start := time.Now()
		results, err := t.TranslateBatch(ctx, source, prefix, opts)
		return time.Since(start).Seconds(), results, err
	}
	prefill := math.Inf(1)
	for range 2 { // after idleness memory has to come back first
		seconds, _, err := run(1)
		if err != nil {
			return measured{}, nil, err
		}
		prefill = min(prefill, seconds)
	}
	before := t.SkippedBytes()
	total, results, err := run(o.TargetTokens)
	skipped := float64(t.SkippedBytes()-before) / float64(o.TargetTokens+forced)
	if err != nil {
		return measured{}, nil, err
	}
	for i, result := range results {
		if n := len(result.Hypotheses[0]); n != o.TargetTokens+forced {
			return measured{}, nil, fmt.Errorf("bench: sentence %d has %d tokens, %d were asked for", i, n, o.TargetTokens+forced)
		}
	}
	return measured{prefill: prefill, total: total, skipped: skipped}, results[0].Hypotheses[0], nil
}

// fill derives the figures from the runs.
func (r *Report) fill(runs []measured, stepBytes int64) {
	prefill := median(runs, func(m measured) float64 { return m.prefill })
	total := median(runs, func(m measured) float64 { return m.total })
	r.PrefillSeconds, r.TimeToFirstToken, r.TotalSeconds = prefill, prefill, total
	r.ReadBandwidth = median(runs, func(m measured) float64 { return m.bandwidth })
	r.SkippedBytes = int64(median(runs, func(m measured) float64 { return m.skipped }))
	r.StepBytes = stepBytes - r.SkippedBytes
	if steps := float64(r.TargetTokens - 1); steps > 0 {
		r.DecodeSecondsPerStep = median(runs, func(m measured) float64 { return m.total - m.prefill }) / steps
		r.DecodeTokensPerSec = float64(r.Sentences) / r.DecodeSecondsPerStep
		r.BandwidthFraction = median(runs, func(m measured) float64 { return float64(r.StepBytes) * steps / (m.total - m.prefill) / m.bandwidth })
	}
	r.TokensPerSecond = float64(r.Sentences*r.TargetTokens) / total
	r.PrefillTokensPerSec = float64(r.Sentences*r.SourceTokens) / prefill
}
