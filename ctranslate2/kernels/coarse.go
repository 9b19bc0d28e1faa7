package kernels

import "math"

// CoarseS8 is a copy of int8 weights in four bits each, half the bytes to read,
// with a bound on how far off each row of it is. From it follows which columns of
// a product may be the largest; only these need the weights themselves.
//
// A level h of row n stands for step·(h - 7.5), with the step that suits the
// row's weights best. With e what it is off by, Cauchy's inequality bounds what
// that changes in a product with activations a: |a·e| ≤ ‖a‖·‖e‖.
//
// Rows lie in panels of 32, in which the levels of four columns of k of a row are
// neighbours, so that products need no sums across lanes: the copy is ours to lay
// out.
type CoarseS8 struct {
	w      *S8Weights
	bias   []float32 // [N] or nil
	depth  int       // K rounded up to a whole number of levelled groups
	levels []byte    // [panels]: [depth/4][64], two rows a byte, and 32 sums
	factor []float32 // [N] step/scale
	radius []float32 // [N] ‖e‖/scale, rounded up
}

// coarseKernels are the kernels of a tier that has coarse weights.
type coarseKernels struct {
	// pack makes a panel of up to 32 rows of weights [len(grids)][depth] and says
	// in which grid each row is. scratch has room for 64·depth bytes.
	pack func(dst []byte, w []int8, depth int, scratch []byte, grids []coarseGrid)
	// dots writes the products of signed rows [m][lda] and the levels of a panel
	// to c [m][ldc].
	dots func(c []int32, ldc int, a []int8, lda, m int, panel []byte, depth int)
	// pairs is dots, of rows and their sums that pairRow made; nil where the tier
	// lacks it. pairsPay says whether it is the faster one on this processor.
	pairs    func(c []int32, ldc int, a []int8, lda, m int, sums []int32, panel []byte, depth int)
	pairsPay bool
	// bounds writes the most that each product may be. It returns the largest, and
	// how many are at least floor.
	bounds func(upper []float32, dots []int32, factor, radius, bias []float32, r *screenRow, floor float32) (float32, int)
}

// coarseGrid is the grid of a row.
type coarseGrid struct {
	step    int32
	squares int32 // Σ (2·e)²
}

const (
	// coarseColumns is how many rows of weights, which are columns of a product,
	// a panel has.
	coarseColumns = 32
	// coarseGroup is how many weights of a row are levelled at a time.
	coarseGroup = 32
	// coarseDepth is the most of a row for which float32 holds a product of
	// levels exactly.
	coarseDepth = 4096
)

// CoarseBytes returns how much memory Coarsen needs for weights: 0 where the tier
// in use has no coarse weights, or not of this shape.
func CoarseBytes(w *S8Weights) int {
	if active.s8.coarse == nil || w.N == 0 || w.K == 0 || w.K > coarseDepth {
		return 0
	}
	return w.levelBytes() + 8*w.N
}

// levelBytes is the size of all panels.
func (w *S8Weights) levelBytes() int { return w.panels() * coarsePanelBytes(w.depth()) }

// coarsePanelBytes is the size of a panel: levels, and behind them 32 sums that
// pairs of them need.
func coarsePanelBytes(depth int) int { return coarseColumns * (depth/2 + 4) }

// depth is the length of a levelled row.
func (w *S8Weights) depth() int { return (w.K + coarseGroup - 1) / coarseGroup * coarseGroup }

// panels is how many panels the rows of w fill.
func (w *S8Weights) panels() int { return (w.N + coarseColumns - 1) / coarseColumns }

// boundable reports whether bounds hold for rows of this scale: whatever they are
// multiplied with stays within float32.
func boundable(scale float32) bool { return scale > 1e-12 && scale < 1e12 }

// Coarsen makes the coarse copy of w, whose products get a bias or nil, in memory
// of CoarseBytes, aligned to 64. It returns nil if the numbers are not fit for
// bounds: a damaged model's.
func (e *Executor) Coarsen(w *S8Weights, bias []float32, memory []byte) *CoarseS8 {
	for i, s := range w.Scale {
		if !boundable(s) || bias != nil && !(math.Abs(float64(bias[i])) < 1e15) {
			return nil
		}
	}
	levels := w.levelBytes()
	rest := floats(memory[levels : levels+8*w.N])
	t := &coarsenTask{e, &CoarseS8{w: w, bias: bias, depth: w.depth(), levels: memory[:levels], factor: rest[:w.N], radius: rest[w.N:]}}
	e.Parallel(w.panels(), t)
	return t.c
}

type coarsenTask struct {
	e *Executor
	c *CoarseS8
}

// Do makes panel i.
func (t *coarsenTask) Do(thread, i int) {
	w := t.c.w
	n0, n1 := i*coarseColumns, min((i+1)*coarseColumns, w.N)
	rows, depth := w.Data[n0*w.K:n1*w.K], t.c.depth
	scratch := t.e.Scratch(thread, 3*coarseColumns*depth)
	if w.K < depth {
		rows = padded(int8s(scratch[:coarseColumns*depth]), rows, w.K, depth)
	}
	var grids [coarseColumns]coarseGrid
	active.s8.coarse.pack(t.c.panel(i), rows, depth, scratch[coarseColumns*depth:], grids[:n1-n0])
	for j, g := range grids[:n1-n0] {
		scale := float64(w.Scale[n0+j])
		t.c.factor[n0+j] = float32(float64(g.step) / scale)
		t.c.radius[n0+j] = float32(math.Sqrt(float64(g.squares)) / 2 / scale * (1 + 1e-6))
	}
}

// padded copies rows of k to dst, each with zeros up to depth.
func padded(dst, rows []int8, k, depth int) []int8 {
	n := len(rows) / k
	for i := range n {
		copy(dst[i*depth:], rows[i*k:(i+1)*k])
		clear(dst[i*depth+k : (i+1)*depth])
	}
	return dst[:n*depth]
}

// panel returns panel i.
func (c *CoarseS8) panel(i int) []byte {
	size := coarsePanelBytes(c.depth)
	return c.levels[i*size : (i+1)*size]
}
