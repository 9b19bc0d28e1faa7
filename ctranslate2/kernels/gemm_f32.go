package kernels

import "github.com/sematech/sema/ctranslate2/memory"

// F32Weights is a matrix of float32 weights where it is stored: N rows of K,
// at any alignment.
type F32Weights struct {
	N, K int
	Data []float32 // [N][K], only read
}

// f32Kernels are the float32 kernels of a tier.
type f32Kernels struct {
	// gemmNT is GemmNT.
	gemmNT func(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, alpha float32)
	// gemmNN is GemmNN.
	gemmNN func(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, accumulate bool)
	// dotRowsAt and weightedRowsAt are DotRowsAt and WeightedRowsAt.
	dotRowsAt      func(dst, q, base []float32, off []int32, alpha float32, ahead int)
	weightedRowsAt func(dst, p, base []float32, off []int32, ahead int)

	layerNorm func(dst, x, gamma, beta []float32, eps float32)
	rmsNorm   func(dst, x, gamma []float32, eps float32)
	softmax   func(x []float32)
	max       func(x []float32) float32
	sumExp    func(x []float32, max float32) float32
	// above returns the first index at or after from whose value exceeds
	// threshold, or len(x).
	above     func(x []float32, from int, threshold float32) int
	dequantS8 func(dst []float32, q []int8, inverse float32)
	add, mul  func(dst, x []float32)
	scale     func(dst, x []float32, s float32)
	// gate replaces x by x·σ(x·(c1 + c3·x²)), gelu by x·Φ(x).
	gate func(x []float32, c1, c3 float32)
	gelu func(x []float32)

	dequantS16        func(dst []float32, q []int16, inverse float32)
	float16, bfloat16 func(dst []float32, src []uint16)
	// blocked multiplies many rows; without products, gemmNT does that too.
	blocked blockedF32
}

// blockedF32 multiplies many rows, which are packed first: tiles of some rows
// and columns.
type blockedF32 struct {
	rows, columns int
	// pack packs up to rows rows of k floats.
	pack func(dst, x []float32, ldx, m, k int)
	// products writes the products of m packed rows and columns n0..n1 of w to
	// out, column n0 first. acc holds accumulators for each tile of the m rows,
	// panel a part of a tile's columns. The results are gemmNT's to the bit.
	products            func(out []float32, ldo int, packed []float32, m int, w *F32Weights, n0, n1 int, acc, panel []float32)
	accumulators, panel int // sizes
}

// blockedRows is the number of rows from which packing them pays.
const blockedRows = 32

// GemmNT computes dst[i][j] = alpha · a[i]·b[j] for m rows of a and n rows of b,
// of k each. A result depends on its two rows only.
func GemmNT(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, alpha float32) {
	active.f32.gemmNT(dst, ldd, a, lda, m, b, ldb, n, k, alpha)
}

// GemmNN computes dst[i][:n] (+)= Σ a[i][t]·b[t][:n] over k rows of b, which are
// added one after the other.
func GemmNN(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, accumulate bool) {
	if n == 0 {
		return
	}
	if k > 0 {
		active.f32.gemmNN(dst, ldd, a, lda, m, b, ldb, n, k, accumulate)
		return
	}
	for i := 0; i < m && !accumulate; i++ {
		clear(dst[i*ldd:][:n])
	}
}

// f32Task is one product, cut into chunks of columns.
type f32Task struct {
	e      *Executor
	x      []float32
	ldx, m int
	w      *F32Weights
	ep     Epilogue
	dst    []float32
	ldd    int
	sink   ColumnSink
	chunk  int

	blocked bool
	packed  []float32     // x, packed if blocked
	memory  memory.Buffer // of packed
}

// packTask packs the rows of an f32Task, a tile at a time.
type packTask struct{ *f32Task }

// Do packs tile i.
func (p packTask) Do(_, i int) {
	b, size := &active.f32.blocked, p.packedSize()
	r := i * b.rows
	b.pack(p.packed[i*size:], p.x[r*p.ldx:], p.ldx, min(b.rows, p.m-r), p.w.K)
}

// packedSize is the size of a tile's packed rows.
func (t *f32Task) packedSize() int { return (t.w.K + 15) / 16 * 16 * active.f32.blocked.rows }

// plan chooses between the stored layout and packed rows, and packs them. It
// sets the number of columns that a thread takes at a time.
func (t *f32Task) plan() {
	b := &active.f32.blocked
	t.blocked = t.m >= blockedRows && b.products != nil && t.w.K > 0
	if !t.blocked {
		t.chunk = chunkColumns(t.w.N, t.w.K, t.m, t.e.threads)
		return
	}
	t.chunk = b.columns * min(max(t.w.N/(4*t.e.threads*b.columns), 1), 8)
	tiles := (t.m + b.rows - 1) / b.rows
	t.packed = floats(t.memory.Grow(4 * tiles * t.packedSize()))
	t.e.Parallel(tiles, packTask{t})
}

// LinearF32 computes dst [m][ldd] = epilogue(x·wᵀ) for x [m][ldx].
func (e *Executor) LinearF32(dst []float32, ldd int, x []float32, ldx, m int, w *F32Weights, ep *Epilogue) {
	e.linearF32(dst, ldd, nil, x, ldx, m, w, ep)
}

// LinearF32To hands the columns of epilogue(x·wᵀ) to sink.
func (e *Executor) LinearF32To(sink ColumnSink, x []float32, ldx, m int, w *F32Weights, ep *Epilogue) {
	e.linearF32(nil, 0, sink, x, ldx, m, w, ep)
}

func (e *Executor) linearF32(dst []float32, ldd int, sink ColumnSink, x []float32, ldx, m int, w *F32Weights, ep *Epilogue) {
	t := &e.f32
	t.e, t.x, t.ldx, t.m, t.w, t.ep, t.dst, t.ldd, t.sink = e, x, ldx, m, w, ep.orNone(), dst, ldd, sink
	if m == 0 {
		return
	}
	t.plan()
	e.Parallel((w.N+t.chunk-1)/t.chunk, t)
	t.x, t.w, t.ep, t.dst, t.sink = nil, nil, Epilogue{}, nil, nil
}

// Do computes chunk i.
func (t *f32Task) Do(thread, i int) {
	n0 := i * t.chunk
	n1 := min(n0+t.chunk, t.w.N)
	n := n1 - n0
	tile := t.products(thread, n0, n1)
	for r := range t.m {
		t.epilogue(tile[r*t.chunk:][:n], r, n0)
	}
	if t.sink != nil {
		t.sink.Columns(thread, n0, n1, tile[:(t.m-1)*t.chunk+n], t.chunk)
		return
	}
	for r := range t.m {
		copy(t.dst[r*t.ldd+n0:][:n], tile[r*t.chunk:])
	}
}

// products returns the products of columns n0..n1: [m][chunk].
func (t *f32Task) products(thread, n0, n1 int) []float32 {
	size := t.m * t.chunk
	if !t.blocked {
		tile := floats(t.e.Scratch(thread, 4*size))
		GemmNT(tile, t.chunk, t.x, t.ldx, t.m, t.w.Data[n0*t.w.K:], t.w.K, n1-n0, t.w.K, 1)
		return tile
	}
	b := &active.f32.blocked
	accumulators := (t.m + b.rows - 1) / b.rows * b.accumulators
	scratch := floats(t.e.Scratch(thread, 4*(accumulators+b.panel+size)))
	acc, panel, tile := scratch[:accumulators], scratch[accumulators:accumulators+b.panel], scratch[accumulators+b.panel:]
	b.products(tile, t.chunk, t.packed, t.m, t.w, n0, n1, acc, panel)
	return tile
}

// epilogue applies the epilogue to y, columns n0.. of row r.
func (t *f32Task) epilogue(y []float32, r, n0 int) {
	if t.ep.Bias != nil {
		Add(y, t.ep.Bias[n0:n0+len(y)])
	}
	t.ep.Activation.apply(y)
	if t.ep.Residual != nil {
		Add(y, t.ep.Residual[r*t.ep.ResidualStride+n0:][:len(y)])
	}
}
