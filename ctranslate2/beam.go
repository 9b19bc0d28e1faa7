package ctranslate2

import (
	"math"
	"slices"
)

// beamLimits are the bounds of one beam search.
type beamLimits struct {
	max, min        int
	hypotheses      int // how many are returned
	width           int // hypotheses that grow side by side
	patience        int // how many finished ones end the search
	lengthPenalty   float32
	coveragePenalty float32
}

// beam is one growing hypothesis.
type beam struct {
	hypothesis
	branch  *branch
	query   *logitsQuery
	pending []float32 // attention of the row under way
}

// beamSearch keeps the width best hypotheses. Each step offers twice as many
// candidates, so that those that end can be replaced.
type beamSearch struct {
	limits      beamLimits
	sampler     sampler
	input       []int32 // start and forced prefix, fed at once in the first step
	prefix      []int32 // the forced prefix
	beams       []beam
	attention   [][]float32 // of the forced prefix
	finished    []hypothesis
	topFinished bool
	diverged    []bool // from the biasing prefix, by slot
	queries     []logitsQuery
	pool        []candidate
	chosen      []candidate
	spare       []beam // of the step before, for their memory
	taken       []bool // which hypotheses have a child
	free        []*branch
}

// penalized is the score of candidates that must not win.
const penalized = -1e10

// newBeamSearch starts a search after the past of b. input is the start token
// and the forced prefix.
func newBeamSearch(s *sequence, b *branch, input []int32, limits beamLimits) *beamSearch {
	prefix := input[1:]
	prefix = prefix[:min(len(prefix), limits.max)]
	return &beamSearch{limits: limits, sampler: newSampler(s.params, uint64(s.index)), input: input[:len(prefix)+1], prefix: prefix,
		beams: []beam{{branch: b}}, queries: make([]logitsQuery, limits.width), diverged: make([]bool, limits.width)}
}

func (b *beamSearch) keepsAttention(p *decodingParams) bool {
	return p.returnsAttention() || b.limits.coveragePenalty != 0
}

func (b *beamSearch) feed(s *sequence) {
	attention := b.keepsAttention(s.params)
	if b.input != nil {
		b.feedPrefix(s, attention)
		return
	}
	for i := range b.beams {
		h := &b.beams[i]
		b.ask(s, h, &b.queries[i], i)
		h.pending = s.newAttention(attention)
		s.feed(h.branch, h.tokens[len(h.tokens)-1], h.query, h.pending)
	}
}

// feedPrefix feeds the start token and the forced prefix.
func (b *beamSearch) feedPrefix(s *sequence, attention bool) {
	h := &b.beams[0]
	h.tokens = append(h.tokens, b.prefix...)
	for i, token := range b.input[:min(len(b.input), b.limits.max)] {
		a := s.newAttention(attention)
		if i < len(b.prefix) {
			b.attention = append(b.attention, a)
			s.feed(h.branch, token, nil, a)
			continue
		}
		b.ask(s, h, &b.queries[0], 0)
		h.pending = a
		s.feed(h.branch, token, h.query, a)
	}
}

// ask prepares the query of the hypothesis in a slot.
func (b *beamSearch) ask(s *sequence, h *beam, q *logitsQuery, slot int) {
	b.sampler.ask(q, 2*b.limits.width, true)
	s.params.edit(&q.edits, h.tokens, len(h.tokens), b.limits.min)
	q.watch = -1
	if token, ok := b.biased(s, slot, len(h.tokens)); ok {
		q.watch = token
	}
	h.query = q
}

// biased returns the token that the biasing prefix prefers in a slot.
func (b *beamSearch) biased(s *sequence, slot, step int) (int32, bool) {
	if s.params.PrefixBiasBeta == 0 || step >= len(s.prefix) || b.diverged[slot] {
		return 0, false
	}
	return s.prefix[step], true
}

func (b *beamSearch) advance(s *sequence) bool {
	first := b.input != nil
	b.input = nil
	if first {
		b.beams[0].attention = b.attention
		if len(b.prefix) >= b.limits.max {
			return b.prefixOnly()
		}
	}
	step := len(b.beams[0].tokens)
	picked := b.candidates(s)
	if len(picked) < 2*b.limits.width {
		s.err = ErrDiverged
		return true
	}
	if first && s.params.anyPrefix && s.params.PrefixBiasBeta == 0 && !s.params.ReturnAlternatives {
		b.penalizeEnds(s.params, picked)
	}
	b.updateDivergence(s, picked, step)
	return b.extend(s.params, picked, step)
}

// prefixOnly ends a search whose forced prefix fills the whole length.
func (b *beamSearch) prefixOnly() bool {
	for i := range b.limits.width {
		h := b.beams[0].hypothesis
		if i > 0 {
			h.score = penalized
		}
		b.finish(h)
	}
	return true
}

// candidates returns the 2·width best continuations of all hypotheses.
func (b *beamSearch) candidates(s *sequence) []candidate {
	b.pool = b.pool[:0]
	for i := range b.beams {
		h := &b.beams[i]
		from := len(b.pool)
		b.pool = h.query.candidates(b.pool, i, h.score)
		if h.query.watch >= 0 {
			b.pool = h.query.bias(b.pool, from, i, h.score, s.params.PrefixBiasBeta)
		}
	}
	slices.SortFunc(b.pool, best)
	return b.sampler.draw(b.pool, 2*b.limits.width)
}

// bias mixes the probabilities of pool[from:], of one hypothesis, with a
// preference of weight beta for the watched token: p' = (1-beta)·p + beta·[watched].
func (q *logitsQuery) bias(pool []candidate, from, beam int, score, beta float32) []candidate {
	discount := float32(math.Log(float64(1 - beta)))
	p := float64((1-beta)*float32(math.Exp(float64(q.watched-q.logTotal)))) + float64(beta)
	preferred := candidate{q.watch, beam, float32(math.Log(p)) + score}
	found := false
	for i := from; i < len(pool); i++ {
		if pool[i].id == q.watch {
			pool[i] = preferred
			found = true
		} else {
			pool[i].score += discount
		}
	}
	if !found {
		pool = append(pool, preferred)
	}
	return pool
}

// penalizeEnds keeps end tokens out of all but the best candidate right after
// a forced prefix: short results would dominate otherwise.
func (b *beamSearch) penalizeEnds(p *decodingParams, picked []candidate) {
	for k := 1; k < len(picked); k++ {
		if p.isEnd(picked[k].id) {
			picked[k] = candidate{id: 0, beam: 0, score: penalized}
		}
	}
}

// updateDivergence notes which slots left the biasing prefix. As in
// CTranslate2 the flag stays with the slot, not with the hypothesis.
func (b *beamSearch) updateDivergence(s *sequence, picked []candidate, step int) {
	if s.params.PrefixBiasBeta == 0 {
		return
	}
	for k := range b.diverged {
		b.diverged[k] = b.diverged[k] || step >= len(s.prefix) || picked[k].id != s.prefix[step]
	}
}

// extend makes the next hypotheses out of the candidates.
func (b *beamSearch) extend(p *decodingParams, picked []candidate, step int) bool {
	last := step+1 == b.limits.max
	second := b.limits.width
	b.chosen = b.chosen[:0]
	for k := range b.limits.width {
		c := picked[k]
		if last || p.isEnd(c.id) {
			b.topFinished = b.topFinished || k == 0
			b.finish(b.grow(hypothesis{}, c))
			for ; second < len(picked); second++ {
				if !p.isEnd(picked[second].id) {
					c = picked[second]
					second++
					break
				}
			}
		}
		b.chosen = append(b.chosen, c)
	}
	if last || b.enough() {
		return true
	}
	b.replace()
	return false
}

// enough reports whether the search may stop before the last step.
func (b *beamSearch) enough() bool {
	if b.limits.lengthPenalty == 0 && b.limits.coveragePenalty == 0 {
		return b.topFinished && len(b.finished) >= b.limits.hypotheses
	}
	return len(b.finished) >= b.limits.patience
}

// grow makes h, whose memory it uses, the hypothesis that a candidate makes.
func (b *beamSearch) grow(h hypothesis, c candidate) hypothesis {
	parent := &b.beams[c.beam]
	h.tokens = append(append(h.tokens[:0], parent.tokens...), c.id)
	h.score = c.score
	h.attention = append(h.attention[:0], parent.attention...)
	if parent.pending != nil {
		h.attention = append(h.attention, parent.pending)
	}
	return h
}

func (b *beamSearch) finish(h hypothesis) {
	h.finalize(b.limits.lengthPenalty, b.limits.coveragePenalty)
	b.finished = append(b.finished, h)
}

// replace makes the chosen candidates the growing hypotheses, in the memory of
// those before their parents. Their pasts are lists of cache slots: the first
// child of a hypothesis goes on with its list, the others copy it.
func (b *beamSearch) replace() {
	b.inherit()
	next := b.spare
	for len(next) < len(b.chosen) {
		next = append(next, beam{})
	}
	for k, c := range b.chosen {
		past := b.beams[c.beam].branch
		if b.taken[c.beam] {
			past = b.fork(past)
		}
		b.taken[c.beam] = true
		next[k] = beam{hypothesis: b.grow(next[k].hypothesis, c), branch: past}
	}
	b.spare, b.beams = b.beams, next
}

// inherit collects the lists of slots of hypotheses without a child.
func (b *beamSearch) inherit() {
	b.taken = append(b.taken[:0], make([]bool, len(b.beams))...)
	for _, c := range b.chosen {
		b.taken[c.beam] = true
	}
	for i := range b.beams {
		if !b.taken[i] {
			b.free = append(b.free, b.beams[i].branch)
		}
	}
	clear(b.taken)
}

// fork copies a list of slots, into one that is free if there is any.
func (b *beamSearch) fork(past *branch) *branch {
	n := len(b.free)
	if n == 0 {
		return past.fork()
	}
	f := b.free[n-1]
	b.free = b.free[:n-1]
	f.off = append(f.off[:0], past.off...)
	return f
}

func (b *beamSearch) results() []hypothesis {
	slices.SortStableFunc(b.finished, byScore)
	return b.finished[:min(len(b.finished), b.limits.hypotheses)]
}
