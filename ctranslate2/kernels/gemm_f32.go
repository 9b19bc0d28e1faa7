package kernels

import "sync/atomic"

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
	dotRowsAt      func(dst, q, base []float32, off []int32, alpha float32)
	weightedRowsAt func(dst, p, base []float32, off []int32)

	layerNorm func(dst, x, gamma, beta []float32, eps float32)
	rmsNorm   func(dst, x, gamma []float32, eps float32)
	softmax   func(x []float32)
	max       func(x []float32) float32
	sumExp    func(x []float32, max float32) float32
	// above returns the first index at or after from whose value exceeds
	// threshold, or len(x).
	above     func(x []float32, from int, threshold float32) int
	dequantS8 func(dst []float32, q []int8, inverse float32)
	add       func(dst, x []float32)
}

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
	ep     *Epilogue
	dst    []float32
	ldd    int
	sink   ColumnSink
	chunk  int
	next   atomic.Int64
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
	t.e, t.x, t.ldx, t.m, t.w, t.ep, t.dst, t.ldd, t.sink = e, x, ldx, m, w, ep, dst, ldd, sink
	t.chunk = chunkColumns(w.N, 4*w.K, m, e.threads)
	t.next.Store(0)
	e.Parallel((w.N+t.chunk-1)/t.chunk, t)
	t.x, t.w, t.ep, t.dst, t.sink = nil, nil, nil, nil, nil
}

// Do computes chunk i.
func (t *f32Task) Do(thread, i int) {
	n0 := i * t.chunk
	n1 := min(n0+t.chunk, t.w.N)
	n := n1 - n0
	if t.m == 0 {
		return
	}
	tile := floats(t.e.Scratch(thread, 4*t.m*t.chunk))
	GemmNT(tile, t.chunk, t.x, t.ldx, t.m, t.w.Data[n0*t.w.K:], t.w.K, n, t.w.K, 1)
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

// epilogue applies the epilogue to y, columns n0.. of row r.
func (t *f32Task) epilogue(y []float32, r, n0 int) {
	if t.ep == nil {
		return
	}
	if t.ep.Bias != nil {
		Add(y, t.ep.Bias[n0:n0+len(y)])
	}
	t.ep.Activation.apply(y)
	if t.ep.Residual != nil {
		Add(y, t.ep.Residual[r*t.ep.ResidualStride+n0:][:len(y)])
	}
}
