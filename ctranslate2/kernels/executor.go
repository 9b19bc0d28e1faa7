package kernels

import (
	"sync/atomic"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/memory"
)

// An Executor runs operations on its own threads, with memory that it keeps
// from one to the next. It is not safe for concurrent use: one caller has one.
type Executor struct {
	threads int
	pool    *pool
	scratch []memory.Buffer // by thread
	packs   []memory.Buffer // by thread: packed panels
	tiles   memory.Buffer   // packed rows
	s8      s8Task
	f32     f32Task
	quant   quantizeTask
	sums    rowSumTask
	screen  screenTask
	skipped atomic.Int64 // bytes of weights
}

// NewExecutor starts an executor of some threads; the caller of its methods is
// one of them.
func NewExecutor(threads int) *Executor {
	threads = min(max(threads, 1), mostThreads)
	e := &Executor{threads: threads, pool: newPool(threads), scratch: make([]memory.Buffer, threads), packs: make([]memory.Buffer, threads)}
	e.s8.shares = newShares(threads)
	return e
}

// Threads returns the number of threads, the caller's included.
func (e *Executor) Threads() int { return e.threads }

// Close ends the threads and their memory.
func (e *Executor) Close() {
	e.pool.close()
	e.eachBuffer((*memory.Buffer).Free)
}

// Shrink gives the memory back to the system until the next use.
func (e *Executor) Shrink() { e.eachBuffer((*memory.Buffer).Shrink) }

func (e *Executor) eachBuffer(do func(*memory.Buffer)) {
	for i := range e.scratch {
		do(&e.scratch[i])
		do(&e.packs[i])
	}
	do(&e.tiles)
	do(&e.s8.nonzeros.memory)
	do(&e.f32.memory)
	do(&e.screen.memory)
	do(&e.screen.groups)
}

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
func (e *Executor) Scratch(thread, n int) []byte { return e.scratch[thread].Grow(n) }

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

// bytesOf reads int8 as bytes.
func bytesOf(x []int8) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(x))), len(x))
}
