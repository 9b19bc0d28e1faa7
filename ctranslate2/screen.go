package ctranslate2

import (
	"slices"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// addCoarse makes the coarse copy of the output layer in memory of the process's own,
// if it takes at most limit bytes (as Options.CoarseBytes says). It reports whether there
// could be one, but for that limit.
func (c *decoder) addCoarse(e *kernels.Executor, limit int) (tooLarge bool) {
	w := c.projection
	if limit < 0 || limit == 0 && w.bytes() < coarsePays {
		return false
	}
	if limit == 0 {
		limit = defaultCoarseBytes
	}
	levels := kernels.LevelBytes(w.n, w.k)
	n := levels + kernels.BoundBytes(w.n)
	if levels == 0 || n > limit {
		return levels > 0
	}
	copied, err := memory.Reserve(n)
	if err != nil {
		return false // without it decoding is slower, not different
	}
	memory.AdviseHuge(copied, true)
	c.coarseMemory = copied
	if coarse := w.coarse(copied[levels:]); e.Coarsen(coarse, 0, coarse.Panels(), copied) {
		c.useCoarse(coarse, copied[:levels])
		return false
	}
	_ = c.freeCoarse()
	return false
}

// coarse returns the coarse copy of d, which is to be made, with memory for its bounds.
func (d *dense) coarse(bounds []byte) *kernels.CoarseWeights {
	if d.s8 != nil {
		return kernels.NewCoarseS8(d.s8, d.bias, bounds)
	}
	return kernels.NewCoarseF32(d.f32, d.bias, bounds)
}

// useCoarse lets the next steps read the coarse copy.
func (c *decoder) useCoarse(coarse *kernels.CoarseWeights, levels []byte) {
	coarse.UseLevels(levels)
	c.coarse = coarse
	c.coarseBytes.Store(int64(len(levels) + kernels.BoundBytes(c.projection.n)))
}

func (c *decoder) freeCoarse() error {
	copied := c.coarseMemory
	c.coarse, c.coarseMemory = nil, nil
	if copied == nil {
		return nil
	}
	return memory.Release(copied)
}

// screenWorkspace is what screening needs from step to step.
type screenWorkspace struct {
	best []kernels.Candidate
	skip [][]int32
	ids  []int32
	// Where too many tokens may be the best, the next steps read the whole
	// output layer: wait of them, and twice as many each time.
	wait, failed int
}

// maxScreenWait bounds the steps that are not screened after some in vain.
const maxScreenWait = 256

// screen answers queries for the best token alone, if all are, from the coarse
// copy of the output layer. It reports false where the layer must be read whole.
func (c *decoder) screen(w *decoderWorkspace, queries []*logitsQuery, in *input) bool {
	s := &w.screen
	if c.coarse == nil || !allPickBest(queries) {
		return false
	}
	if s.wait > 0 {
		s.wait--
		return false
	}
	s.prepare(queries)
	x := kernels.ScreenRows{QuantizedRows: in.quantize(w.exec, c.projection), X: in.x, LdX: in.ld}
	if !w.exec.LinearArgMax(s.best, x, c.coarse, s.skip) {
		s.failed = min(2*s.failed+1, maxScreenWait)
		s.wait = s.failed
		return false
	}
	s.failed = 0
	for i, q := range queries {
		c.amend(x, i, q, &s.best[i])
		q.top, q.logTotal = append(q.top[:0], s.best[i]), 0
	}
	return true
}

func allPickBest(queries []*logitsQuery) bool {
	return !slices.ContainsFunc(queries, func(q *logitsQuery) bool { return q.k != 1 || q.logSum || q.full != nil || q.watch >= 0 })
}

// prepare lists the tokens whose logits are changed: they are left out.
func (s *screenWorkspace) prepare(queries []*logitsQuery) {
	s.best = slices.Grow(s.best[:0], len(queries))[:len(queries)]
	s.skip, s.ids = s.skip[:0], s.ids[:0]
	for _, q := range queries {
		first := len(s.ids)
		for _, e := range q.edits {
			s.ids = append(s.ids, e.id)
		}
		s.skip = append(s.skip, s.ids[first:])
	}
}

// amend compares best, of row i, with the tokens whose logits are penalized.
func (c *decoder) amend(x kernels.ScreenRows, i int, q *logitsQuery, best *kernels.Candidate) {
	for _, e := range q.edits {
		if e.penalty == 0 || int(e.id) >= c.projection.n {
			continue
		}
		logit := [1]float32{c.coarse.Product(x, i, int(e.id))}
		logitEdits{e}.apply(logit[:], int(e.id))
		if y := logit[0]; y > best.Score || y == best.Score && e.id < best.Index {
			*best = kernels.Candidate{Index: e.id, Score: y}
		}
	}
}
