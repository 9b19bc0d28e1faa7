package kernels

import (
	"encoding/binary"
	"math"
	"slices"
	"sync/atomic"

	"github.com/sematech/sema/ctranslate2/memory"
)

// CoarseWeights are a copy of weights in four bits each, half the bytes of int8 to
// read and an eighth of float32's, with a bound on how far off each row of it is.
// From it follows which columns of a product may be the largest; only these need
// the weights themselves.
//
// A level h of row n stands for step·(h - 7.5), with the step that suits the
// row's weights best. With e what it is off by, Cauchy's inequality bounds what
// that changes in a product with activations a: |a·e| ≤ ‖a‖·‖e‖.
//
// Rows lie in panels of 32, in which the levels of four columns of k of a row are
// neighbours, so that products need no sums across lanes: the copy is ours to lay
// out.
type CoarseWeights struct {
	s8     *S8Weights // what was copied: one of the two
	f32    *F32Weights
	n, k   int
	bias   []float32 // [n] or nil
	depth  int       // k rounded up to a whole number of levelled groups
	levels []byte    // [panels]: [depth/4][64], two rows a byte, and 32 sums
	factor []float32 // [n] step/scale
	radius []float32 // [n] ‖e‖/scale and what roundings of the level's products lose, rounded up
	// longest is the largest norm of a row of float32 weights, rounded up: it bounds
	// what activations lose as bytes.
	longest float64
}

// coarseKernels are the kernels of a tier that has coarse weights.
type coarseKernels struct {
	// pack makes a panel of up to 32 rows of weights [len(grids)][depth] and says
	// in which grid each row is. scratch has room for 64·depth bytes.
	pack func(dst []byte, w []int8, depth int, scratch []byte, grids []coarseGrid)
	// arrange returns signed rows [m][lda] of depth as dots wants them, in room if that is
	// not as they are.
	arrange func(room *memory.Buffer, a []int8, lda, m, depth int) levelRows
	// dots writes the products of rows and the levels of some panels, one behind the
	// other, to c [rows][ldc], which has room for whole panels, even if it is shorter.
	dots func(c []int32, ldc int, a levelRows, panels []byte, depth int)
	// pairs is dots of one panel, of rows and their sums that pairRow made; nil where
	// the tier lacks it. pairsPay says whether it is the faster one on this processor.
	pairs    func(c []int32, ldc int, a []int8, lda, m int, sums []int32, panel []byte, depth int)
	pairsPay bool
	// reaching writes to dst, which has room for as many as dots and 16 more, the columns
	// whose products with row r may be floor or more, of those from first on that dots
	// are of, and the most that each may be. It returns how many they are.
	reaching func(dst []bounded, dots []int32, factor, radius, bias []float32, r *screenRow, first int, floor float32) int
}

// levelRows are signed rows that levels are multiplied by.
type levelRows struct {
	data []int8
	n    int
	// row is how far one is behind the other, and group how far the next four of a row's k
	// are behind four: 4, or further where the rows' groups of four lie together.
	row, group int
}

// from returns m rows from r on.
func (a levelRows) from(r, m int) levelRows {
	return levelRows{a.data[r*a.row:], m, a.row, a.group}
}

// asTheyAre returns rows [m][lda] in their own order.
func asTheyAre(_ *memory.Buffer, a []int8, lda, m, _ int) levelRows { return levelRows{a, m, lda, 4} }

// inGroups returns rows with their groups of four of k together: [depth/4][m][4].
func inGroups(room *memory.Buffer, a []int8, lda, m, depth int) levelRows {
	if m == 1 {
		return asTheyAre(room, a, lda, m, depth)
	}
	arranged := room.Grow(m * depth)
	groups := int32s(arranged)
	for r := range m {
		for i, group := range int32s(bytesOf(a[r*lda:][:depth])) {
			groups[i*m+r] = group
		}
	}
	return levelRows{int8s(arranged), m, 4, 4 * m}
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
	// coarseLevel is the most that a level stands for, in steps.
	coarseLevel = 7.5
	// coarseDepth is the most of a row for which float32 holds a product of
	// levels exactly.
	coarseDepth = 4096
)

// LevelBytes returns how many bytes the levels of a coarse copy of n rows of k weights
// are: 0 where the tier in use has no coarse weights, or not of this shape.
func LevelBytes(n, k int) int {
	if active.s8.coarse == nil || n == 0 || k == 0 || k > coarseDepth {
		return 0
	}
	return coarsePanels(n) * coarsePanelBytes(coarseDepthOf(k))
}

// BoundBytes returns how many bytes of bounds there are besides.
func BoundBytes(n int) int { return 8 * n }

// coarsePanelBytes is the size of a panel: levels, and behind them 32 sums that
// pairs of them need.
func coarsePanelBytes(depth int) int { return coarseColumns * (depth/2 + 4) }

// coarseDepthOf is the length of a levelled row of k weights.
func coarseDepthOf(k int) int { return (k + coarseGroup - 1) / coarseGroup * coarseGroup }

// coarsePanels is how many panels n rows fill.
func coarsePanels(n int) int { return (n + coarseColumns - 1) / coarseColumns }

// boundable reports whether bounds hold for rows of this scale, and quotients can be
// had of inverses: whatever comes of them is far from the ends of float32.
func boundable(scale float32) bool { return scale > 1e-12 && scale < 1e12 }

func unboundable(scale float32) bool { return !boundable(scale) }

// NewCoarseS8 returns the coarse copy of w, whose products get a bias or nil. Coarsen must
// make all of it, and UseLevels follow, before its use. bounds is memory of BoundBytes.
func NewCoarseS8(w *S8Weights, bias []float32, bounds []byte) *CoarseWeights {
	return newCoarse(&CoarseWeights{s8: w, n: w.N, k: w.K, bias: bias}, floats(bounds))
}

// NewCoarseF32 is NewCoarseS8 for float32 weights.
func NewCoarseF32(w *F32Weights, bias []float32, bounds []byte) *CoarseWeights {
	return newCoarse(&CoarseWeights{f32: w, n: w.N, k: w.K, bias: bias}, floats(bounds))
}

func newCoarse(c *CoarseWeights, bounds []float32) *CoarseWeights {
	c.depth = coarseDepthOf(c.k)
	c.factor, c.radius = bounds[:c.n], bounds[c.n:2*c.n]
	return c
}

// UseLevels gives c its levels, LevelBytes of them, aligned to 64.
func (c *CoarseWeights) UseLevels(levels []byte) { c.levels = levels }

// Panels is how many panels c has, PanelBytes how many bytes one of levels takes.
func (c *CoarseWeights) Panels() int     { return coarsePanels(c.n) }
func (c *CoarseWeights) PanelBytes() int { return coarsePanelBytes(c.depth) }

// Coarsen makes panels i..j of c and writes their levels to dst. It reports false if the
// numbers are not fit for bounds, as a damaged model's: then c can't be used.
func (e *Executor) Coarsen(c *CoarseWeights, i, j int, dst []byte) bool {
	for _, b := range c.biases(i, j) {
		if !(math.Abs(float64(b)) < 1e15) {
			return false
		}
	}
	t := &coarsenTask{e: e, c: c, dst: dst, first: i, longest: make([]float64, e.threads)}
	if e.Parallel(j-i, t); t.unfit.Load() {
		return false
	}
	c.longest = max(c.longest, slices.Max(t.longest))
	return true
}

// biases returns those of panels i..j, or none.
func (c *CoarseWeights) biases(i, j int) []float32 {
	if c.bias == nil {
		return nil
	}
	return c.bias[i*coarseColumns : min(j*coarseColumns, c.n)]
}

type coarsenTask struct {
	e       *Executor
	c       *CoarseWeights
	dst     []byte
	first   int       // panel
	longest []float64 // by thread
	unfit   atomic.Bool
}

// Do makes panel i of those that are asked for.
func (t *coarsenTask) Do(thread, i int) {
	c := t.c
	dst := t.dst[i*c.PanelBytes():][:c.PanelBytes()]
	i += t.first
	n0, n1 := i*coarseColumns, min((i+1)*coarseColumns, c.n)
	scratch := t.e.Scratch(thread, 3*coarseColumns*c.depth)
	var rows [coarseColumns]coarseRow
	var grids [coarseColumns]coarseGrid
	bytes := c.rows(rows[:n1-n0], n0, scratch)
	active.s8.coarse.pack(dst, bytes, c.depth, scratch[coarseColumns*c.depth:], grids[:n1-n0])
	for j, r := range rows[:n1-n0] {
		if !r.fit {
			t.unfit.Store(true)
		}
		c.factor[n0+j] = float32(float64(grids[j].step) / r.scale)
		lost := screenSlack * coarseLevel * math.Sqrt(float64(c.depth)) * float64(c.factor[n0+j])
		c.radius[n0+j] = float32((math.Sqrt(float64(grids[j].squares))/2/r.scale + r.off + lost) * (1 + 1e-6))
		t.longest[thread] = max(t.longest[thread], r.norm)
		if isZero(bytes[j*c.depth:][:c.depth]) {
			// No level is 0. Padding tokens have such rows, and bounds far above all
			// others would make them pass for the likeliest.
			c.factor[n0+j], c.radius[n0+j] = 0, 0
		}
	}
}

func isZero(row []int8) bool {
	return !slices.ContainsFunc(row, func(w int8) bool { return w != 0 })
}

// coarseRow is what bounds need of a row of weights as bytes.
type coarseRow struct {
	scale     float64
	norm, off float64 // of float32 weights, and of what bytes lose of them; rounded up
	fit       bool    // for bounds
}

// rows returns rows n0.. as bytes of depth columns, which may be in the first third
// of scratch, and describes them.
func (c *CoarseWeights) rows(rows []coarseRow, n0 int, scratch []byte) []int8 {
	if c.f32 != nil {
		return c.rowsF32(rows, n0, scratch)
	}
	for i := range rows {
		scale := c.s8.Scale[n0+i]
		rows[i] = coarseRow{scale: float64(scale), fit: boundable(scale)}
	}
	data := c.s8.Data[n0*c.k : (n0+len(rows))*c.k]
	if c.k < c.depth {
		return padded(int8s(scratch[:coarseColumns*c.depth]), data, c.k, c.depth)
	}
	return data
}

// rowsF32 is rows for float32 weights, which it quantizes as activations are.
func (c *CoarseWeights) rowsF32(rows []coarseRow, n0 int, scratch []byte) []int8 {
	lost := floats(scratch[coarseColumns*c.depth:])[:c.k]
	for i := range rows {
		w, bytes := c.f32.Data[(n0+i)*c.k:][:c.k], scratch[i*c.depth:][:c.depth]
		inverse := active.s8.quantizeRow(bytes[:c.k], w, false)
		flipSigns(bytes[:c.k])
		clear(bytes[c.k:])
		active.f32.dequantS8(lost, int8s(bytes[:c.k]), -inverse)
		Add(lost, w)
		all := norm(w)
		rows[i] = coarseRow{1 / float64(inverse), all, norm(lost) + 1e-6*all, boundable(inverse) && all < math.MaxFloat32}
	}
	return int8s(scratch[:len(rows)*c.depth])
}

// norm returns ‖x‖, rounded up by more than float32 loses.
func norm(x []float32) float64 {
	var squares [1]float32
	GemmNT(squares[:], 1, x, len(x), 1, x, len(x), 1, len(x), 1)
	return math.Sqrt(float64(squares[0])) * (1 + 1e-3)
}

// flipSigns turns bytes shifted by 128 into signed ones.
func flipSigns(b []byte) {
	for ; len(b) >= 8; b = b[8:] {
		binary.LittleEndian.PutUint64(b, binary.LittleEndian.Uint64(b)^0x8080808080808080)
	}
	for i := range b {
		b[i] ^= 0x80
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
func (c *CoarseWeights) panel(i int) []byte { return c.panels(i, i+1) }

// panels returns panels i..j.
func (c *CoarseWeights) panels(i, j int) []byte {
	size := coarsePanelBytes(c.depth)
	return c.levels[i*size : j*size]
}
