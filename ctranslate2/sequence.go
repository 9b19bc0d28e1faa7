package ctranslate2

import (
	"math"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// decodingParams are a call's options with tokens resolved to ids.
type decodingParams struct {
	*TranslationOptions
	vocabulary int
	endIDs     []int32
	suppressed []int32   // never generated
	banned     [][]int32 // sequences never generated
	// anyPrefix says that a source of the call has a target prefix. The rule
	// on end tokens right after the prefix depends on it, as in CTranslate2.
	anyPrefix bool
}

func (p *decodingParams) isEnd(id int32) bool {
	for _, e := range p.endIDs {
		if e == id {
			return true
		}
	}
	return false
}

// edits lists the changes to the next logits of a hypothesis that has
// generated history so far, at a step counted from the hypothesis' start.
func (p *decodingParams) edit(e *logitEdits, history []int32, step, minLength int) {
	if step < minLength {
		for _, id := range p.endIDs {
			e.disable(id)
		}
	}
	if p.RepetitionPenalty != 1 {
		for _, id := range history {
			e.penalize(id, p.RepetitionPenalty)
		}
	}
	if n := p.NoRepeatNgramSize; n > 0 && len(history) >= n {
		disableRepeats(e, history, n)
	}
	for _, id := range p.suppressed {
		e.disable(id)
	}
	for _, s := range p.banned {
		k := len(s) - 1
		if len(history) >= k && equal(history[len(history)-k:], s[:k]) {
			e.disable(s[k])
		}
	}
}

// disableRepeats disables each token that would complete an n-gram which
// history already has.
func disableRepeats(e *logitEdits, history []int32, n int) {
	current := history[len(history)-n+1:]
	for i := 0; i+n <= len(history); i++ {
		if equal(history[i:i+n-1], current) {
			e.disable(history[i+n-1])
		}
	}
}

func equal(a, b []int32) bool {
	for i := range b {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

// hypothesis is a finished or a growing output.
type hypothesis struct {
	tokens    []int32
	score     float32
	attention [][]float32 // per token [source], or nil
}

// finalize applies length and coverage penalties to the sum of log probabilities.
func (h *hypothesis) finalize(lengthPenalty, coveragePenalty float32) {
	h.score /= float32(math.Pow(float64(len(h.tokens)), float64(lengthPenalty)))
	if coveragePenalty == 0 || len(h.attention) == 0 {
		return
	}
	var penalty float32
	for s := range h.attention[0] {
		var coverage float32
		for _, a := range h.attention {
			coverage += a[s]
		}
		if coverage > 0 {
			penalty += float32(math.Log(float64(min(coverage, 1))))
		}
	}
	h.score += coveragePenalty * penalty
}

// branch is the past of one hypothesis in the cache: a list of slots.
type branch struct{ off []int32 }

// sequence is one source on its way through encoder and decoder.
type sequence struct {
	job    *job
	index  int // in the job
	source []int32
	start  int32
	prefix []int32
	params *decodingParams

	pages    int // promised by the arena
	rows     int // most rows in one step
	slots    kvSlots
	memory   []int32 // place of each source position in the arena
	memSlots kvSlots

	search search
	batch  *stepBatch // rows of the step under way
	err    error
}

// A search decides what a sequence feeds the decoder and what it makes of the
// answers.
type search interface {
	// feed appends the rows of the next step by s.feed.
	feed(s *sequence)
	// advance takes the answers to the rows and reports whether it is done.
	advance(s *sequence) bool
	// results returns the hypotheses, best first.
	results() []hypothesis
}

// stepBatch collects the rows of one decoding step.
type stepBatch struct{ rows []row }

// feed appends a row: token follows the past of b. The answer to query, and
// the attention if it is not nil, are there when the search advances.
func (s *sequence) feed(b *branch, token int32, query *logitsQuery, attention []float32) {
	b.off = append(b.off, s.slots.next())
	s.batch.rows = append(s.batch.rows, row{seq: s, token: token, pos: len(b.off) - 1, off: b.off, query: query, attention: attention})
}

// newAttention returns a vector to receive attention, if hypotheses keep it.
func (s *sequence) newAttention(wanted bool) []float32 {
	if !wanted {
		return nil
	}
	return make([]float32, len(s.source))
}

// fork returns a copy of b, which grows on its own from there.
func (b *branch) fork() *branch { return &branch{off: append([]int32(nil), b.off...)} }

// maxSlots bounds the cache slots that the search of s uses.
func (s *sequence) maxSlots() int {
	p := s.params
	rows, length := p.BeamSize, p.MaxDecodingLength
	if p.greedy() || p.ReturnAlternatives {
		rows *= p.NumHypotheses
	}
	first := min(len(s.prefix), length) + 1
	if p.greedy() && !p.ReturnAlternatives {
		first *= p.NumHypotheses // each feeds the prefix for itself
	}
	s.rows = max(rows, first)
	return rows*length + first
}

// newSearch returns the search that the options ask for.
func (s *sequence) newSearch() search {
	p := s.params
	switch {
	case p.ReturnAlternatives:
		return newAlternatives(s)
	case p.greedy():
		return newGreedyHypotheses(s)
	}
	return newBeamSearch(s, &branch{}, append([]int32{s.start}, s.hardPrefix()...), beamLimits{
		max: p.MaxDecodingLength, min: p.MinDecodingLength, hypotheses: p.NumHypotheses, width: p.BeamSize, patience: p.maxCandidates(),
		lengthPenalty: p.LengthPenalty, coveragePenalty: p.CoveragePenalty,
	})
}

// hardPrefix is the prefix that is forced: none if it only biases the search.
func (s *sequence) hardPrefix() []int32 {
	if s.params.PrefixBiasBeta > 0 {
		return nil
	}
	return s.prefix
}

// logProb returns the log probability of a candidate.
func (q *logitsQuery) logProb(c kernels.Candidate) float32 { return c.Score - q.logTotal }
