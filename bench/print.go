package bench

import (
	"fmt"
	"io"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer) error {
	_, err := fmt.Fprintf(w, `%s: %d sentences, %d source and %d target tokens, beam %d, %s, %d threads, kernels %s
load                %.3f s
prefill             %.1f ms (%.0f source tokens/s)
decoding step       %.2f ms (%.1f tokens/s; %.0f MB of weights, %.0f %% of the read bandwidth)
together            %.3f s (%.1f target tokens/s)
private memory      %.0f MiB idle, %.0f MiB at most
this machine        reads %.1f GB/s%s
`, r.Model, r.Sentences, r.SourceTokens, r.TargetTokens, r.BeamSize, r.ComputeType, r.Threads, r.ISA,
		r.LoadSeconds, 1e3*r.PrefillSeconds, r.PrefillTokensPerSec, 1e3*r.DecodeSecondsPerStep, r.DecodeTokensPerSec, float64(r.StepBytes)/1e6, 100*r.BandwidthFraction,
		r.TotalSeconds, r.TokensPerSecond, float64(r.IdlePrivateBytes)/(1<<20), float64(r.PeakPrivateBytes)/(1<<20), r.ReadBandwidth/1e9, r.peak())
	return err
}

// peak says what the multipliers can do, of tiers that can measure it.
func (r *Report) peak() string {
	if r.PeakInt8 == 0 {
		return ""
	}
	return fmt.Sprintf(", %.0f int8 GOPS in registers", r.PeakInt8/1e9)
}
