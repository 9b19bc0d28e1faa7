package ctranslate2

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// candidate is a token that may follow a hypothesis.
type candidate struct {
	id    int32
	beam  int
	score float32 // log probability, of the whole hypothesis in a beam search
}

// best orders candidates by score; ties by beam, then token.
func best(a, b candidate) int {
	if c := cmp.Compare(b.score, a.score); c != 0 {
		return c
	}
	if c := cmp.Compare(a.beam, b.beam); c != 0 {
		return c
	}
	return cmp.Compare(a.id, b.id)
}

// sampler draws candidates as the options say.
type sampler struct {
	p   *decodingParams
	rng *rand.Rand
}

func newSampler(p *decodingParams, stream uint64) sampler {
	return sampler{p, rand.New(rand.NewPCG(p.Seed, stream))}
}

// wanted returns how many of the best logits a draw of n needs; 0: all.
func (s sampler) wanted(n int) int {
	if !s.p.sampled() {
		return n
	}
	return s.p.SamplingTopK
}

// draw picks n of pool, which is sorted best first and holds either the
// SamplingTopK best or all candidates. Several are drawn without replacement,
// by adding Gumbel noise to the scores and taking the best.
func (s sampler) draw(pool []candidate, n int) []candidate {
	if !s.p.sampled() {
		return pool[:min(n, len(pool))]
	}
	if k := s.p.SamplingTopK; k > 0 {
		pool = pool[:min(k, len(pool))]
	}
	pool = s.nucleus(pool)
	keys := make([]candidate, len(pool))
	for i, c := range pool {
		noise := -math.Log(-math.Log(s.uniform()))
		keys[i] = candidate{id: int32(i), score: float32(float64(c.score)/float64(s.p.SamplingTemperature) + noise)}
	}
	slices.SortFunc(keys, best)
	drawn := make([]candidate, 0, n)
	for _, k := range keys[:min(n, len(keys))] {
		drawn = append(drawn, pool[k.id])
	}
	for len(drawn) < n && len(pool) > 0 { // fewer candidates than wanted: repeat the last
		drawn = append(drawn, candidate{id: drawn[len(drawn)-1].id, beam: drawn[len(drawn)-1].beam, score: lowest})
	}
	return drawn
}

// uniform returns a number in (0, 1).
func (s sampler) uniform() float64 {
	for {
		if u := s.rng.Float64(); u > 0 {
			return u
		}
	}
}

// nucleus keeps the most likely candidates that together reach SamplingTopP.
func (s sampler) nucleus(pool []candidate) []candidate {
	if s.p.SamplingTopP >= 1 || len(pool) == 0 {
		return pool
	}
	weight := func(c candidate) float64 {
		return math.Exp((float64(c.score) - float64(pool[0].score)) / float64(s.p.SamplingTemperature))
	}
	var total, sum float64
	for _, c := range pool {
		total += weight(c)
	}
	for i, c := range pool {
		sum += weight(c)
		if sum >= float64(s.p.SamplingTopP)*total {
			return pool[:i+1]
		}
	}
	return pool
}

// candidates returns the tokens that q's answer offers after a hypothesis of
// the given score, best first: its best, or the whole row if that was asked for.
// Scores that are no numbers are left out.
func (q *logitsQuery) candidates(dst []candidate, beam int, score float32) []candidate {
	if q.full == nil {
		for _, c := range q.top {
			dst = appendNumber(dst, candidate{c.Index, beam, q.logProb(c) + score})
		}
		return dst
	}
	from := len(dst)
	for i, x := range q.full {
		dst = appendNumber(dst, candidate{int32(i), beam, q.logProb(kernels.Candidate{Score: x}) + score})
	}
	slices.SortFunc(dst[from:], best)
	return dst
}

func appendNumber(dst []candidate, c candidate) []candidate {
	if c.score != c.score {
		return dst
	}
	return append(dst, c)
}

// ask prepares q so that n candidates can be drawn from its answer.
func (s sampler) ask(q *logitsQuery, n int, logSum bool) {
	k := s.wanted(n)
	full := q.full
	q.reset(k, logSum)
	if k == 0 {
		if q.full = full; full == nil {
			q.full = make([]float32, s.p.vocabulary)
		}
	}
}
