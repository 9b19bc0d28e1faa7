package ctranslate2

import (
	"cmp"
	"slices"
)

// greedyLimits are the bounds of one greedy hypothesis.
type greedyLimits struct{ max, min int }

// greedy extends one hypothesis by the best, or a sampled, token at a time.
type greedy struct {
	limits  greedyLimits
	id      int // of the hypothesis
	sampler sampler
	branch  *branch
	input   []int32 // tokens to feed next: the start and the prefix, then the last token
	forced  []int32 // the prefix, until it has been fed
	h       hypothesis
	query   logitsQuery
	pending [][]float32 // attention of the rows under way
	pool    []candidate
	ended   bool
}

// newGreedy starts a hypothesis after the past of b: start and then prefix are
// fed first, and the prefix is part of the output.
func newGreedy(s *sequence, b *branch, start int32, prefix []int32, limits greedyLimits, id int) *greedy {
	prefix = prefix[:min(len(prefix), limits.max)]
	return &greedy{limits: limits, id: id, sampler: newSampler(s.params, uint64(s.index)<<16|uint64(id)),
		branch: b, input: append([]int32{start}, prefix...), forced: prefix}
}

func (g *greedy) keepsAttention(p *decodingParams) bool {
	return p.returnsAttention() || p.CoveragePenalty != 0 && p.ReturnScores
}

func (g *greedy) feed(s *sequence) {
	p := s.params
	attention := g.keepsAttention(p)
	g.pending = g.pending[:0]
	input := g.input[:min(len(g.input), g.limits.max-len(g.h.tokens))]
	for i, token := range input {
		var q *logitsQuery
		if i == len(g.forced) {
			q = &g.query
			g.sampler.ask(q, 1, p.ReturnScores || p.sampled())
			p.edit(&q.edits, append(g.h.tokens, g.forced...), len(g.h.tokens)+len(g.forced), g.limits.min)
		}
		a := s.newAttention(attention)
		g.pending = append(g.pending, a)
		s.feed(g.branch, token, q, a)
	}
}

func (g *greedy) advance(s *sequence) bool {
	for i, token := range g.forced {
		g.push(s, token, 0, i)
		if g.ended {
			return true
		}
	}
	n := len(g.forced)
	g.forced = nil
	if n == len(g.pending) { // the prefix fills the whole length
		return g.end(s)
	}
	g.pool = g.query.candidates(g.pool[:0], 0, 0)
	picked := g.sampler.draw(g.pool, 1)
	if len(picked) == 0 {
		s.err = ErrDiverged
		return true
	}
	g.input = append(g.input[:0], picked[0].id)
	g.push(s, picked[0].id, picked[0].score, n)
	return g.ended
}

// push appends a token whose row was the i-th of the step.
func (g *greedy) push(s *sequence, token int32, score float32, i int) {
	p := s.params
	forced := i < len(g.forced)
	step := len(g.h.tokens)
	g.h.tokens = append(g.h.tokens, token)
	if g.pending[i] != nil {
		g.h.attention = append(g.h.attention, g.pending[i])
	}
	if p.ReturnScores {
		g.h.score += score
	}
	last := step+1 == g.limits.max || !forced && p.isEnd(token)
	if p.Callback != nil && p.Callback(s.job.stepResult(s, g.id, step, token, score, last)) {
		last = true
	}
	if last {
		g.end(s)
	}
}

func (g *greedy) end(s *sequence) bool {
	if !g.ended {
		g.h.finalize(s.params.LengthPenalty, s.params.CoveragePenalty)
	}
	g.ended = true
	return true
}

func (g *greedy) results() []hypothesis { return []hypothesis{g.h} }

// greedyHypotheses runs NumHypotheses sampled hypotheses side by side.
type greedyHypotheses struct{ all []*greedy }

func newGreedyHypotheses(s *sequence) search {
	p := s.params
	limits := greedyLimits{p.MaxDecodingLength, p.MinDecodingLength}
	if p.NumHypotheses == 1 {
		return newGreedy(s, &branch{}, s.start, s.prefix, limits, 0)
	}
	h := &greedyHypotheses{}
	for i := range p.NumHypotheses {
		h.all = append(h.all, newGreedy(s, &branch{}, s.start, s.prefix, limits, i))
	}
	return h
}

func (h *greedyHypotheses) feed(s *sequence) {
	for _, g := range h.all {
		if !g.ended {
			g.feed(s)
		}
	}
}

func (h *greedyHypotheses) advance(s *sequence) bool {
	done := true
	for _, g := range h.all {
		done = (g.ended || g.advance(s)) && done
	}
	return done
}

func (h *greedyHypotheses) results() []hypothesis {
	var all []hypothesis
	for _, g := range h.all {
		all = append(all, g.h)
	}
	slices.SortStableFunc(all, byScore)
	return all
}

// byScore orders hypotheses best first.
func byScore(a, b hypothesis) int { return cmp.Compare(b.score, a.score) }
