package ctranslate2

import "math"

// alternatives returns the best tokens after the target prefix and, for each,
// how the translation goes on from there.
type alternatives struct {
	branch   *branch
	prefix   []int32
	query    logitsQuery
	pending  [][]float32 // attention of the first step's rows
	found    []hypothesis
	children []search
	done     []bool
	first    bool
}

func newAlternatives(s *sequence) search {
	return &alternatives{branch: &branch{}, prefix: s.prefix[:min(len(s.prefix), s.params.MaxDecodingLength)], first: true}
}

func (a *alternatives) feed(s *sequence) {
	if !a.first {
		for i, c := range a.children {
			if !a.done[i] {
				c.feed(s)
			}
		}
		return
	}
	p := s.params
	input := append([]int32{s.start}, a.prefix...)
	for i, token := range input[:min(len(input), p.MaxDecodingLength)] {
		var q *logitsQuery
		if i == len(a.prefix) {
			q = &a.query
			q.reset(p.NumHypotheses, true)
			p.edit(&q.edits, nil, 0, 1)
		}
		at := s.newAttention(p.returnsAttention())
		a.pending = append(a.pending, at)
		s.feed(a.branch, token, q, at)
	}
}

func (a *alternatives) advance(s *sequence) bool {
	if a.first {
		a.first = false
		return a.expand(s)
	}
	done := true
	for i, c := range a.children {
		a.done[i] = a.done[i] || c.advance(s)
		done = done && a.done[i]
	}
	return done
}

// expand starts a search after each of the best tokens.
func (a *alternatives) expand(s *sequence) bool {
	p := s.params
	base := hypothesis{tokens: a.prefix}
	if p.returnsAttention() {
		base.attention = a.pending
	}
	if len(a.prefix) == p.MaxDecodingLength {
		for range p.NumHypotheses {
			a.found = append(a.found, base)
		}
		return true
	}
	if len(a.query.top) == 0 {
		s.err = ErrDiverged
		return true
	}
	for _, c := range a.query.top {
		score := a.query.logProb(c)
		if float32(math.Exp(float64(score))) < p.MinAlternativeExpansionProb {
			break
		}
		h := base
		h.tokens = append(append([]int32(nil), a.prefix...), c.Index)
		h.score = score
		a.found = append(a.found, h)
	}
	left := p.MaxDecodingLength - len(a.prefix) - 1
	if left == 0 {
		return true
	}
	for i := range a.found {
		a.children = append(a.children, a.child(s, i, left))
	}
	a.done = make([]bool, len(a.children))
	return len(a.children) == 0
}

// child continues the i-th alternative for at most left tokens.
func (a *alternatives) child(s *sequence, i, left int) search {
	p := s.params
	least := max(p.MinDecodingLength-len(a.prefix)-1, 0)
	token := a.found[i].tokens[len(a.prefix)]
	if p.greedy() {
		return newGreedy(s, a.branch.fork(), token, nil, greedyLimits{left, least}, i)
	}
	return newBeamSearch(s, a.branch.fork(), []int32{token}, beamLimits{
		max: left, min: least, hypotheses: 1, width: p.BeamSize, patience: p.maxCandidates(),
		lengthPenalty: p.LengthPenalty, coveragePenalty: p.CoveragePenalty,
	})
}

func (a *alternatives) results() []hypothesis {
	for i, c := range a.children {
		h, rest := &a.found[i], c.results()[0]
		h.tokens = append(h.tokens, rest.tokens...)
		h.attention = append(h.attention[:len(h.attention):len(h.attention)], rest.attention...)
		h.score += rest.score
	}
	return a.found
}
