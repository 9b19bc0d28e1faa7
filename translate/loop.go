package translate

import "slices"

// A model that loops repeats a phrase until the decoding limit. maxPeriod is the
// longest phrase that is looked for, in tokens; a loop is at least minRepeats of
// it with at least minLoop tokens in all.
const (
	maxPeriod  = 16
	minRepeats = 4
	minLoop    = 16
)

// loops reports whether tokens has a loop.
func loops(tokens []string) bool {
	for period := 1; period <= maxPeriod; period++ {
		need := max(minLoop, period*minRepeats) - period
		run := 0
		for i := period; i < len(tokens); i++ {
			if tokens[i] != tokens[i-period] {
				run = 0
				continue
			}
			if run++; run >= need {
				return true
			}
		}
	}
	return false
}

// endsInLoop reports whether the last tokens are a loop.
func endsInLoop(tokens []string) bool {
	n := len(tokens)
	for period := 1; period <= maxPeriod; period++ {
		need := max(minLoop, period*minRepeats)
		if n < need {
			return false
		}
		tail := tokens[n-need:]
		if slices.Equal(tail[period:], tail[:need-period]) {
			return true
		}
	}
	return false
}

// hasLooped reports whether the model looped on a source: "no no no no …" may be
// a right translation of a source that repeats itself too.
func hasLooped(source, hypothesis []string) bool {
	return loops(hypothesis) && !loops(source) && !slices.Equal(source, hypothesis)
}
