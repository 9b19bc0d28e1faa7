package kernels

import (
	"math"
	"slices"
	"sync/atomic"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/memory"
)

// Bounds on the roundings of a product and of its estimate, relative and
// absolute: several times what float32 loses.
const (
	screenSlack = 2e-6
	screenLeast = 1e-25
)

// screenChunk is how many columns a thread screens at a time. Where more than
// chunkDoubt of them may be the largest, the likeliest is computed. More than chunkMost
// of them are not set aside: the chunk is screened again once more is known, for
// the price of chunkPrice columns. (Half a chunk is a few microseconds' work to set
// aside, and most of it is dropped once the best is known; to screen it again takes
// seventy.) Above screenMost columns in all it does not pay, of float32 weights above
// four times as many: the layer takes as much longer.
const (
	screenChunk = 2048
	chunkDoubt  = 256
	chunkMost   = 1024
	chunkPrice  = 1024
	screenMost  = 32768
)

// screenRow is what the bounds of a row of activations need.
type screenRow struct {
	shift   float32 // coarseLevel·Σ a, which levels are off by
	inverse float32 // 1/scale
	reach   float32 // ‖a‖ of bytes, rounded up
	least   float32 // what products may be off, whatever the column
}

// floor is what bounds are compared with in place of floor: in units of bytes, without
// least, and rounded down.
func (r *screenRow) floor(floor float32) float32 {
	return math.Nextafter32(float32((float64(floor)-float64(r.least))/float64(r.inverse)), float32(math.Inf(-1)))
}

// screenTask finds the columns with the largest products.
type screenTask struct {
	e      *Executor
	a      ScreenRows
	c      *CoarseWeights
	skip   [][]int32
	signed []int8  // [Rows][lds], or paired if there are sums
	sums   []int32 // [Rows], or none
	lds    int     // not all rows in the same sets of the cache
	level  levelRows
	rows   []screenRow
	found  []found // [thread][Rows]
	known  []score // [Rows] the largest product that any thread computed
	next   atomic.Int64
	memory memory.Buffer
	groups memory.Buffer // of level
}

// ScreenRows are the rows that coarse weights are multiplied by.
type ScreenRows struct {
	*QuantizedRows
	// X [Rows][LdX] is what was quantized: the products with float32 weights are of it.
	X   []float32
	LdX int
}

// LinearArgMax finds, for each row of a, the largest of a·wᵀ + bias and its first
// column, passing over NaN and over the sorted columns in skip. It reads the
// coarse weights, and the weights of those columns that may be the largest: the
// results are those of LinearS8 or LinearF32. It reports false, and best means
// nothing, where too many may be for this to pay, or the numbers are beyond its bounds.
func (e *Executor) LinearArgMax(best []Candidate, a ScreenRows, c *CoarseWeights, skip [][]int32) bool {
	if a.Rows == 0 {
		return true
	}
	t := &e.screen
	t.e, t.a, t.c, t.skip = e, a, c, skip
	defer func() { t.a, t.c, t.skip = ScreenRows{}, nil, nil }()
	if !t.prepare() {
		return false
	}
	e.Parallel(e.threads, t)
	e.Parallel(len(t.found), (*dropTask)(t))
	if !t.pays() {
		return false
	}
	e.Parallel(len(t.found), (*settleTask)(t))
	for r := range a.Rows {
		best[r] = t.merged(r)
	}
	return !slices.ContainsFunc(best[:a.Rows], func(c Candidate) bool { return c.Index < 0 })
}

// prepare makes signed rows and what their bounds need, and forgets what was
// found. It reports false if numbers are out of the range that bounds are good for.
func (t *screenTask) prepare() bool {
	m := t.a.Rows
	t.lds = t.c.depth + 64
	t.signed = int8s(t.memory.Grow(m * t.lds))
	t.rows = slices.Grow(t.rows[:0], m)[:m]
	for r := range m {
		if !boundable(t.a.InvScale[r]) {
			return false
		}
		t.rows[r] = t.sign(r)
		if t.c.f32 != nil && !t.widen(r) {
			return false
		}
	}
	t.arrange()
	t.reset(m)
	return true
}

// arrange makes of signed rows what their products with levels need.
func (t *screenTask) arrange() {
	t.sums = t.sums[:0]
	if !t.pairable() {
		t.level = active.s8.coarse.arrange(&t.groups, t.signed, t.lds, len(t.rows), t.c.depth)
		return
	}
	for r := range t.rows {
		t.pairRow(r)
	}
}

// sign makes row r signed, and returns what its bounds need.
func (t *screenTask) sign(r int) screenRow {
	sum, squares, inverse := 0, 0, t.a.InvScale[r]
	signed := t.signed[r*t.lds:][:t.lds]
	clear(signed[t.a.K:])
	for i, v := range t.a.Data[r*t.a.Stride:][:t.a.K] {
		x := int(v) - 128
		signed[i] = int8(x)
		sum += x
		squares += x * x
	}
	return screenRow{coarseLevel * float32(sum), inverse, float32(math.Sqrt(float64(squares)) * (1 + 1e-6)), screenLeast}
}

// widen adds to what products of row r may be off what its bytes lose, and what
// roundings of float32 do. It reports false if the row is not all numbers.
func (t *screenTask) widen(r int) bool {
	row := &t.rows[r]
	squares, lost, inverse := 0.0, 0.0, float64(row.inverse)
	for i, v := range t.a.X[r*t.a.LdX:][:t.a.K] {
		x := float64(v)
		off := x - inverse*float64(t.signed[r*t.lds+i])
		squares += x * x
		lost += off * off
	}
	roundings := float64(t.a.K) / (1 << 23) * math.Sqrt(squares)
	row.least += float32((math.Sqrt(lost) + roundings) * t.c.longest * (1 + 1e-6))
	return squares < math.MaxFloat32
}

// reset makes room for what is found of m rows, and keeps the memory of more.
func (t *screenTask) reset(m int) {
	n := m * t.e.threads
	t.found = t.found[:cap(t.found)]
	for len(t.found) < n {
		t.found = append(t.found, found{columns: make([]bounded, 0, 2*screenChunk)}) // more than most need
	}
	t.found = t.found[:n]
	for i := range t.found {
		f := &t.found[i]
		*f = found{best: none, likely: none.Score, columns: f.columns[:0], chunks: f.chunks[:0]}
	}
	if cap(t.known) < m {
		t.known = make([]score, m)
	}
	t.known = t.known[:m]
	for r := range t.known {
		t.known[r].bits.Store(math.Float32bits(none.Score))
	}
	t.next.Store(0)
}

// Do screens chunks until none is left.
func (t *screenTask) Do(thread, _ int) {
	n := t.c.n
	for {
		n0 := int(t.next.Add(screenChunk)) - screenChunk
		if n0 >= n {
			return
		}
		t.chunk(thread, n0, min(n0+screenChunk, n))
	}
}

// chunk screens columns n0..n1 for every row.
func (t *screenTask) chunk(thread, n0, n1 int) {
	m := t.a.Rows
	dots := t.scratch(thread, m)
	t.dots(dots, 0, m, n0, n1)
	for r := range m {
		t.list(&t.found[thread*m+r], r, n0, dots[r*chunkStride:][:n1-n0])
	}
}

// list sets those columns from n0 on aside that may be the largest of row r, by the
// products of levels in dots. If the likeliest is likelier than all before it, it is computed
// first, or where many may be: a column with a wide bound may hide likelier ones.
func (t *screenTask) list(f *found, r, n0 int, dots []int32) {
	t.leaveOut(dots, r, n0)
	some := t.reaching(f, r, n0, dots)
	if len(some) == 0 {
		return
	}
	top := likeliest(some)
	if top.upper > f.likely || len(some) > chunkDoubt {
		f.likely = max(f.likely, top.upper)
		if t.compute(f, r, int(top.column)) {
			some = upTo(some, t.known[r].load())
		}
	}
	if len(some) > chunkMost {
		f.chunks = append(f.chunks, bounded{int32(n0), top.upper})
		return
	}
	f.columns = f.columns[:len(f.columns)+len(some)]
}

// chunkStride is how far the rows of a chunk's products are apart.
const chunkStride = screenChunk + 16

// scratch returns room for the products of levels of a chunk and m rows.
func (t *screenTask) scratch(thread, m int) []int32 {
	return int32s(t.e.Scratch(thread, 4*m*chunkStride))
}

// dots multiplies rows r.. of m by the levels of columns n0..n1.
func (t *screenTask) dots(dst []int32, r, m, n0, n1 int) {
	kernels := active.s8.coarse
	if len(t.sums) == 0 {
		kernels.dots(dst, chunkStride, t.level.from(r, m), t.c.panels(n0/coarseColumns, coarsePanels(n1)), t.c.depth)
		return
	}
	a := t.signed[r*t.lds:]
	for n := n0; n < n1; n += coarseColumns {
		kernels.pairs(dst[n-n0:], chunkStride, a, t.lds, m, t.sums[r:], t.c.panel(n/coarseColumns), t.c.depth)
	}
}

// leaveOut makes the products of columns that row r leaves out far less than there
// can be.
func (t *screenTask) leaveOut(dots []int32, r, n0 int) {
	for _, n := range t.skipped(r, n0, n0+len(dots)) {
		dots[int(n)-n0] = math.MinInt32
	}
}

// reaching writes behind the columns that were set aside those from n0 on that may be as
// large as what is known, and returns these. Where they might find no room, columns that were set
// aside while less was known go first, and there is more room only if they were less than
// half.
func (t *screenTask) reaching(f *found, r, n0 int, dots []int32) []bounded {
	known := t.known[r].load()
	if more := len(dots) + 16; cap(f.columns)-len(f.columns) < more {
		f.columns = upTo(f.columns, known)
		f.columns = slices.Grow(f.columns, max(more, len(f.columns)))
	}
	n1 := n0 + len(dots)
	var bias []float32
	if t.c.bias != nil {
		bias = t.c.bias[n0:n1]
	}
	room := f.columns[len(f.columns):cap(f.columns)]
	return room[:active.s8.coarse.reaching(room, dots, t.c.factor[n0:n1], t.c.radius[n0:n1], bias, &t.rows[r], n0, known)]
}

// skipped returns the columns n0..n1 that row r leaves out.
func (t *screenTask) skipped(r, n0, n1 int) []int32 {
	if t.skip == nil {
		return nil
	}
	from, _ := slices.BinarySearch(t.skip[r], int32(n0))
	to, _ := slices.BinarySearch(t.skip[r], int32(n1))
	return t.skip[r][from:to]
}

// compute computes column n of row r, unless it is left out. It reports whether its product
// is the largest that is known.
func (t *screenTask) compute(f *found, r, n int) bool {
	if len(t.skipped(r, n, n+1)) > 0 {
		return false
	}
	y := f.single.of(t.a, r, t.c, n)
	if y > f.best.Score || y == f.best.Score && int32(n) < f.best.Index {
		f.best = Candidate{int32(n), y}
	}
	return t.known[r].raise(y)
}

// dropTask drops what can't be as large as what any thread computed.
type dropTask screenTask

// Do takes what one thread found of one row.
func (d *dropTask) Do(_, i int) {
	f, known := &d.found[i], d.known[i%d.a.Rows].load()
	f.columns, f.chunks = upTo(f.columns, known), upTo(f.chunks, known)
}

// pays reports whether little is left.
func (t *screenTask) pays() bool {
	left := 0
	for i := range t.found {
		left += len(t.found[i].columns) + chunkPrice*len(t.found[i].chunks)
	}
	if t.c.f32 != nil {
		return left <= 4*screenMost
	}
	return left <= screenMost
}

// settleTask computes what may be as large as what is known.
type settleTask screenTask

// Do computes what one thread found of one row.
func (s *settleTask) Do(thread, i int) {
	t := (*screenTask)(s)
	r, f := i%t.a.Rows, &t.found[i]
	for _, b := range f.chunks {
		t.screenAgain(f, r, thread, int(b.column))
	}
	for j, b := range f.columns {
		if next := f.columns[min(j+1, len(f.columns)-1)]; next.upper >= t.known[r].load() {
			t.c.fetch(int(next.column))
		}
		if b.upper >= t.known[r].load() {
			t.compute(f, r, int(b.column))
		}
	}
}

// screenAgain screens the chunk at n0 for row r, now that more is known.
func (t *screenTask) screenAgain(f *found, r, thread, n0 int) {
	n1 := min(n0+screenChunk, t.c.n)
	dots := t.scratch(thread, 1)[:n1-n0]
	t.dots(dots, r, 1, n0, n1)
	t.leaveOut(dots, r, n0)
	some := t.reaching(f, r, n0, dots)
	f.columns = f.columns[:len(f.columns)+len(some)]
}

// fetch asks for the weights of column n.
func (c *CoarseWeights) fetch(n int) {
	if c.f32 != nil {
		fetch((*byte)(unsafe.Pointer(&c.f32.Data[n*c.k])), 4*c.k)
		return
	}
	fetch((*byte)(unsafe.Pointer(&c.s8.Data[n*c.k])), c.k)
}

// Product computes column n of row r of a·wᵀ + bias, as LinearS8 or LinearF32 does.
func (c *CoarseWeights) Product(a ScreenRows, r, n int) float32 {
	return new(singleProduct).of(a, r, c, n)
}

// singleProduct is room for one product.
type singleProduct struct {
	c [1]int32
	y [1]float32
}

// of computes column n of row r.
func (p *singleProduct) of(a ScreenRows, r int, c *CoarseWeights, n int) float32 {
	var bias []float32
	if c.bias != nil {
		bias = c.bias[n : n+1]
	}
	if w := c.f32; w != nil {
		GemmNT(p.y[:], 1, a.X[r*a.LdX:], a.LdX, 1, w.Data[n*w.K:], w.K, 1, w.K, 1)
		if bias != nil {
			Add(p.y[:], bias)
		}
		return p.y[0]
	}
	w := c.s8
	active.s8.products(p.c[:], 1, a.rows(r, r+1), w, n, n+1, w.address(n))
	active.s8.dequantizeRow(p.y[:], p.c[:], a.InvScale[r], w.Scale[n:n+1], bias, nil, false)
	return p.y[0]
}

// merged returns the largest product of row r.
func (t *screenTask) merged(r int) Candidate {
	best := none
	for thread := range t.e.threads {
		if c := t.found[thread*t.a.Rows+r].best; c.Score > best.Score || c.Score == best.Score && c.Index < best.Index {
			best = c
		}
	}
	return best
}
