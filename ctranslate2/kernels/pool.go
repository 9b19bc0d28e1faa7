package kernels

import (
	"runtime"
	"sync/atomic"
)

// A Task is work that can be cut into pieces. Do runs piece i on a thread.
type Task interface{ Do(thread, i int) }

// pool runs pieces of tasks on the caller and on workers. A worker that has
// nothing to do spins for a moment, because the next operation of a model
// follows within microseconds, and then sleeps.
//
// A task is for as many workers as it has pieces. Those that have not begun when its last
// piece is taken, because the system runs something else on their processor, are called
// off: nobody waits for them.
type pool struct {
	workers []*worker
	task    Task
	pieces  shares
	all     []share // by thread; pieces has those of the threads that a task is for
	_       [64]byte
	call    atomic.Uint64 // the task's number, and in the low 16 bits how many threads it is for
	_       [56]byte
}

// mostThreads is how many threads a task may be for: its call has 16 bits for that.
const mostThreads = 1<<16 - 1

// closing is the call to end.
const closing = 1<<64 - 1

type worker struct {
	_       [64]byte
	claimed atomic.Uint64 // the last task that the worker has begun or was called off from
	_       [56]byte
	done    atomic.Uint64 // the last task that has ended for it
	_       [56]byte
	slept   atomic.Bool
	wake    chan struct{}
}

// spins is how often a worker looks for work before it sleeps: some 50 µs, more
// than the gap between two operations and far less than the gap between requests.
const spins = 4000

func newPool(threads int) *pool {
	p := &pool{all: newShares(threads).each}
	for i := 1; i < threads; i++ {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		go p.work(w, i)
	}
	return p
}

// work is the loop of a worker.
func (p *pool) work(w *worker, thread int) {
	for last := uint64(0); ; {
		last = p.await(w, last)
		if last == closing {
			return
		}
		if task, threads := last>>16, int(last%(mostThreads+1)); thread < threads && w.claim(task) {
			p.drain(thread)
			w.done.Store(task)
		}
	}
}

// await returns the next call that is not last, or last again where the worker was roused
// so late that it has answered it already.
func (p *pool) await(w *worker, last uint64) uint64 {
	for range spins {
		if call := p.call.Load(); call != last {
			return call
		}
		pause()
	}
	w.slept.Swap(true) // no plain store: see publish
	if call := p.call.Load(); call != last && w.slept.CompareAndSwap(true, false) {
		return call
	}
	<-w.wake // whoever calls saw us asleep and sends
	return p.call.Load()
}

// claim reports whether it is the first to claim a task, and no later one was claimed.
func (w *worker) claim(task uint64) bool {
	last := w.claimed.Load()
	return last < task && w.claimed.CompareAndSwap(last, task)
}

// rouse wakes the worker if it sleeps.
func (w *worker) rouse() {
	if w.slept.Load() && w.slept.CompareAndSwap(true, false) {
		w.wake <- struct{}{}
	}
}

// drain runs pieces until none is left, the thread's own first.
func (p *pool) drain(thread int) {
	for i, _ := p.pieces.take(thread, one); i >= 0; i, _ = p.pieces.take(thread, one) {
		p.task.Do(thread, i)
	}
}

// run runs t.Do(thread, i) for i in [0, n) and returns when all are done.
func (p *pool) run(n int, t Task) {
	threads := min(n, len(p.all))
	p.task, p.pieces.each = t, p.all[:threads]
	p.pieces.divide(n, 1)
	task := p.call.Load()>>16 + 1
	p.publish(task<<16|uint64(threads), threads)
	p.drain(0)
	for _, w := range p.workers[:threads-1] {
		w.callOff(task)
	}
	for _, w := range p.workers[:threads-1] {
		w.join(task)
	}
	p.task = nil
}

// publish lets workers know of a call, of which the first threads - 1 must not sleep. Like
// a worker that goes to sleep, it swaps and does not store before it looks at the other's
// side: emulators of arm64 let loads overtake stores.
func (p *pool) publish(call uint64, threads int) {
	p.call.Swap(call)
	for _, w := range p.workers[:threads-1] {
		w.rouse()
	}
}

// callOff ends a task for a worker that has not begun it.
func (w *worker) callOff(task uint64) {
	if w.done.Load() != task && w.claim(task) {
		w.done.Store(task)
	}
}

// join waits until the task has ended for the worker.
func (w *worker) join(task uint64) {
	for i := 0; w.done.Load() != task; i++ {
		pause()
		if i > spins {
			runtime.Gosched()
		}
	}
}

func (p *pool) close() {
	p.publish(closing, len(p.all))
}

// pause waits for some tens of nanoseconds. It is a function with a frame of
// its own so that its prologue lets the scheduler in: a loop over assembly
// alone can't be preempted and would hold up the garbage collector.
//
//go:noinline
func pause() {
	var frame [256]byte
	spinPause()
	runtime.KeepAlive(&frame)
}
