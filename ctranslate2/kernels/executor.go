package kernels

import "unsafe"

// An Executor runs operations on its own threads, with memory that it keeps
// from one to the next. It is not safe for concurrent use: one caller has one.
type Executor struct {
	threads int
	pool    *pool
	scratch [][]byte // by thread
	packs   [][]byte // by thread: packed panels
	s8      s8Task
	f32     f32Task
	quant   quantizeTask
	sums    rowSumTask
	screen  screenTask
}

// NewExecutor starts an executor of some threads; the caller of its methods is
// one of them.
func NewExecutor(threads int) *Executor {
	threads = max(threads, 1)
	e := &Executor{threads: threads, pool: newPool(threads), scratch: make([][]byte, threads), packs: make([][]byte, threads)}
	return e
}

// Threads returns the number of threads, the caller's included.
func (e *Executor) Threads() int { return e.threads }

// Close ends the threads.
func (e *Executor) Close() { e.pool.close() }

// Parallel runs t.Do(thread, i) for each i in [0, n), on all threads, and
// returns when all are done. It does not allocate.
func (e *Executor) Parallel(n int, t Task) {
	if n <= 1 || e.threads == 1 {
		for i := range n {
			t.Do(0, i)
		}
		return
	}
	e.pool.run(n, t)
}

// Scratch returns n bytes of the thread's own, aligned to 64. The content is
// undefined, and the next call for the thread returns the same memory.
func (e *Executor) Scratch(thread, n int) []byte { return grow(&e.scratch[thread], n) }

// grow makes b hold n bytes, aligned to 64, and returns them.
func grow(b *[]byte, n int) []byte {
	if len(*b) < n {
		raw := make([]byte, n+n/4+64)
		pad := -int(uintptr(unsafe.Pointer(unsafe.SliceData(raw)))) & 63
		*b = raw[pad : pad+n+n/4]
	}
	return (*b)[:n]
}

// floats reads scratch as float32.
func floats(b []byte) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// int32s reads scratch as int32.
func int32s(b []byte) []int32 {
	return unsafe.Slice((*int32)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/4)
}

// int8s reads scratch as int8.
func int8s(b []byte) []int8 {
	return unsafe.Slice((*int8)(unsafe.Pointer(unsafe.SliceData(b))), len(b))
}
