package kernels

import (
	"slices"
	"unsafe"
)

// S8Weights is a matrix of int8 weights where it is stored: N rows of K bytes,
// at any alignment. A weight's value is its byte over the scale of its row.
type S8Weights struct {
	N, K  int
	Data  []int8    // [N][K], only read
	Scale []float32 // [N]
	Comp  []int32   // [N] -128·Σ row: undoes the shift of the activations

	plain      bool   // boundable scales, all of them
	transposed []byte // [K][N], as Transpose lays them out, or nil

	// Next, if known, are the weights of the product that follows as a rule: while
	// the last columns of this one are computed, its first are fetched.
	Next *S8Weights
}

// address is where column n lies. It is no pointer: it may be past the end.
func (w *S8Weights) address(n int) uintptr {
	return uintptr(unsafe.Pointer(unsafe.SliceData(w.Data))) + uintptr(n*w.K)
}

// ahead is the address to prefetch: of column n, or if it is beyond n1 what lies as
// far behind next, where the columns lie that are multiplied after these.
func (w *S8Weights) ahead(n, n1 int, next uintptr) uintptr {
	if n < n1 {
		return w.address(n)
	}
	return next + uintptr((n-n1)*w.K)
}

// NewS8Weights returns the weights; Compensate must follow before their use.
func NewS8Weights(data []int8, n, k int, scale []float32) *S8Weights {
	return &S8Weights{N: n, K: k, Data: data, Scale: scale}
}

// Epilogue is what follows a product: y = activation(x + Bias) + Residual.
type Epilogue struct {
	Bias           []float32 // [N] or nil
	Activation     Activation
	Residual       []float32 // [m][ResidualStride] or nil; may be the destination
	ResidualStride int
}

// orNone returns what ep points to, or an epilogue that does nothing.
func (ep *Epilogue) orNone() Epilogue {
	if ep == nil {
		return Epilogue{}
	}
	return *ep
}

// A ColumnSink takes the columns of a product as they are computed, so that a
// product with a huge vocabulary need not be stored.
type ColumnSink interface {
	// Columns is given columns n0..n1 of every row: tile [m][ldt]. It is called
	// on the executor's threads, with different columns at once, and may change
	// the tile, which is gone after it.
	Columns(thread, n0, n1 int, tile []float32, ldt int)
}

// s8Kernels are the int8 kernels of a tier.
type s8Kernels struct {
	// quantizeRow shifts a row of activations to bytes and returns 1/scale.
	quantizeRow func(dst []uint8, x []float32, truncate bool) float32
	// products writes, for the rows of a and columns n0..n1 of w, the int32
	// products to c [rows][ldc]. next is where the columns lie that the thread
	// multiplies after these, to prefetch.
	products func(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr)
	// directRows, or 1, is the most rows that products multiplies faster than blocked.
	directRows int
	// prepare lays the rows of a product out as blocked wants them, or is nil.
	prepare func(t *s8Task)
	// blocked computes columns n0..n1 of all rows, where there are several, into
	// out: it reads each column once and hands the products to the epilogue
	// while they are in the cache. c has room for 2·blockRows rows of products, if it
	// wants it.
	blocked func(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int)
	// dequantizeRow is dst[j] = float(c[j])·inverse/scale[j] (+ bias[j]), at
	// least 0 if relu, (+ residual[j]).
	dequantizeRow func(dst []float32, c []int32, inverse float32, scale, bias, residual []float32, relu bool)
	// rowSums sums rows of k weights.
	rowSums func(dst []int32, rows []int8, k int)
	// coarse are the kernels for coarse weights, sparse those for transposed ones, or nil.
	coarse *coarseKernels
	sparse *sparseKernels
}

// fewRows is the most rows for which reading the weights takes the time.
const fewRows = 8

// s8Task is one product. Each thread has a share of the columns, which it takes in chunks.
type s8Task struct {
	e    *Executor
	a    *QuantizedRows
	w    *S8Weights
	ep   Epilogue
	dst  []float32 // [m][ldd], or nil
	ldd  int
	sink ColumnSink

	tiles []byte // a, packed by prepare, or nil
	plain bool   // boundable scales, of rows and of weights

	nonzeros inputList // if sparse
	partial  [][]int32 // by thread, its sums of a sparse product [N/64][m][64], or nil

	direct bool   // without blocked
	chunk  int    // the most columns that a thread takes at a time
	shares shares // of columns
}

// LinearS8 computes dst [a.Rows][ldd] = epilogue(a·wᵀ), of which w.N columns
// are written.
func (e *Executor) LinearS8(dst []float32, ldd int, a *QuantizedRows, w *S8Weights, ep *Epilogue) {
	e.linearS8(dst, ldd, nil, a, w, ep)
}

// LinearS8To hands the columns of epilogue(a·wᵀ) to sink.
func (e *Executor) LinearS8To(sink ColumnSink, a *QuantizedRows, w *S8Weights, ep *Epilogue) {
	e.linearS8(nil, 0, sink, a, w, ep)
}

func (e *Executor) linearS8(dst []float32, ldd int, sink ColumnSink, a *QuantizedRows, w *S8Weights, ep *Epilogue) {
	t := &e.s8
	t.e, t.a, t.w, t.ep, t.dst, t.ldd, t.sink = e, a, w, ep.orNone(), dst, ldd, sink
	t.direct = active.s8.blocked == nil || a.Rows <= max(active.s8.directRows, 1)
	t.chunk = w.chunk(a.Rows, e.threads)
	t.plain = w.plain && !slices.ContainsFunc(a.InvScale[:a.Rows], unboundable)
	if t.listNonzeros() {
		t.multiplySparse()
	} else {
		if prepare := active.s8.prepare; prepare != nil {
			prepare(t)
		}
		t.shares.divide(w.N, chunkUnit)
		e.Parallel(min(e.threads, (w.N+chunkUnit-1)/chunkUnit), t)
	}
	t.a, t.w, t.ep, t.dst, t.sink, t.tiles = nil, nil, Epilogue{}, nil, nil, nil
}

// chunkUnit is what all chunks but a last one are multiples of.
const chunkUnit = 32

// chunkColumns returns the most columns that a thread takes at a time: a multiple of
// chunkUnit, so that panels do not straddle chunks, and so few that each thread has
// some chunks, if there are that many columns. With few rows memory is all that counts,
// and reads faster in long runs; with many, the products should stay in the cache.
func chunkColumns(n, k, m, threads int) int {
	bytes, most, least := 2<<20, 2048, 2
	if m > fewRows {
		bytes, most, least = 512<<10, 1024, 4
	}
	units := least * threads * chunkUnit
	chunk := max(bytes/max(k, 1)/chunkUnit, 1)
	chunk = min(chunk, max((n+units-1)/units, 1))
	return min(chunk, most/chunkUnit) * chunkUnit
}

// chunk is chunkColumns for w.
func (w *S8Weights) chunk(m, threads int) int { return chunkColumns(w.N, w.K, m, threads) }

// size is how many of the units that are left of a share the next chunk has. The last
// chunks are smaller and smaller, so that threads end together (Polychronopoulos and
// Kuck, "Guided self-scheduling", 1987).
func (t *s8Task) size(left int) int {
	return min(t.chunk/chunkUnit, max(left/2, 1), left)
}

// Do computes the chunks of share i, and then those of others until none is left.
func (t *s8Task) Do(thread, i int) {
	if t.a.Rows == 0 {
		return
	}
	for n0, n1 := t.shares.take(i, t.size); n0 >= 0; n0, n1 = t.shares.take(i, t.size) {
		t.columns(thread, n0, n1, t.following(i, n1))
	}
}

// following is where the columns lie that are fetched while those up to n1 are computed
// for share i: behind them, or if nothing is left of it its first ones of the product
// that follows.
func (t *s8Task) following(i, n1 int) uintptr {
	switch w := t.w.Next; {
	case t.shares.has(i):
		return t.w.address(n1)
	case w != nil && w.N > 0:
		return w.address(t.shares.start(i, w.N, chunkUnit))
	}
	return t.w.address(0)
}

// columns computes columns n0..n1 of all rows and passes them on.
func (t *s8Task) columns(thread, n0, n1 int, next uintptr) {
	m, width := t.a.Rows, n1-n0
	out, ldo := t.dst, t.ldd
	products := min(m, 2*blockRows) * t.chunk
	scratch := t.e.Scratch(thread, 4*(products+t.outFloats()))
	c := int32s(scratch)[:products]
	if t.sink != nil {
		out, ldo = floats(scratch)[len(c):], t.chunk
	} else {
		out = out[n0:]
	}
	if t.direct {
		t.multiply(c, n0, n1, next, out, ldo)
	} else {
		active.s8.blocked(t, thread, c, n0, n1, next, out, ldo)
	}
	if t.sink != nil {
		t.sink.Columns(thread, n0, n1, out[:(m-1)*ldo+width], ldo)
	}
}

// outFloats is the size of the tile that a sink is given.
func (t *s8Task) outFloats() int {
	if t.sink == nil {
		return 0
	}
	return t.a.Rows * t.chunk
}

// streamBytes is how much one call of a kernel reads, or if that is more a group of
// columns: assembly can't be preempted, and should not hold up a garbage collection.
const streamBytes = 128 << 10

// blockRows is how many rows are multiplied before their products pass through
// the epilogue.
const blockRows = 8

// multiply multiplies blocks of rows straight from the stored weights.
func (t *s8Task) multiply(c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	ldc := t.chunk
	for r := 0; r < t.a.Rows; r += blockRows {
		block := t.a.rows(r, min(r+blockRows, t.a.Rows))
		active.s8.products(c, ldc, block, t.w, n0, n1, next)
		for i := range block.Rows {
			t.epilogue(out[(r+i)*ldo:][:n1-n0], c[i*ldc:], r+i, n0)
		}
	}
}

// rows returns rows r0..r1 of q.
func (q *QuantizedRows) rows(r0, r1 int) QuantizedRows {
	return QuantizedRows{Data: q.Data[r0*q.Stride : r1*q.Stride], Stride: q.Stride, InvScale: q.InvScale[r0:r1], Rows: r1 - r0, K: q.K}
}

// epilogue turns the products c of row r, columns n0.., into dst.
func (t *s8Task) epilogue(dst []float32, c []int32, r, n0 int) {
	n := len(dst)
	ep := &t.ep
	var bias, residual []float32
	act := ep.Activation
	if ep.Bias != nil {
		bias = ep.Bias[n0 : n0+n]
	}
	if ep.Residual != nil {
		residual = ep.Residual[r*ep.ResidualStride+n0:][:n]
	}
	if act == None || act == ReLU {
		active.s8.dequantizeRow(dst, c[:n], t.a.InvScale[r], t.w.Scale[n0:n0+n], bias, residual, act == ReLU)
		return
	}
	if residual != nil && &residual[0] == &dst[0] {
		// The destination holds the residual: compute beside it.
		y := make([]float32, n)
		active.s8.dequantizeRow(y, c[:n], t.a.InvScale[r], t.w.Scale[n0:n0+n], bias, nil, false)
		act.apply(y)
		Add(dst, y)
		return
	}
	active.s8.dequantizeRow(dst, c[:n], t.a.InvScale[r], t.w.Scale[n0:n0+n], bias, nil, false)
	act.apply(dst)
	if residual != nil {
		Add(dst, residual)
	}
}

// rowSumTask computes compensation terms, in pieces of about a MiB.
type rowSumTask struct {
	pieces []rowSumPiece
}

type rowSumPiece struct {
	w      *S8Weights
	n0, n1 int
}

func (t *rowSumTask) Do(_, i int) {
	p := t.pieces[i]
	sums := p.w.Comp[p.n0:p.n1]
	active.s8.rowSums(sums, p.w.Data[p.n0*p.w.K:p.n1*p.w.K], p.w.K)
	for i := range sums {
		sums[i] *= -128
	}
}

// Compensate computes Comp of weights, reading each byte once.
func (e *Executor) Compensate(all ...*S8Weights) {
	t := &e.sums
	for _, w := range all {
		w.Comp = make([]int32, w.N)
		w.plain = !slices.ContainsFunc(w.Scale, unboundable)
		rows := max(1<<20/max(w.K, 1), 1)
		for n := 0; n < w.N; n += rows {
			t.pieces = append(t.pieces, rowSumPiece{w, n, min(n+rows, w.N)})
		}
	}
	e.Parallel(len(t.pieces), t)
	t.pieces = nil
}
