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
type pool struct {
	workers []*worker
	task    Task
	pieces  shares
}

type worker struct {
	_     [64]byte
	start atomic.Uint32 // raised to start a task
	_     [60]byte
	done  atomic.Uint32 // equals start once the task is done
	_     [60]byte
	slept atomic.Bool
	wake  chan struct{}
	stop  bool
}

// spins is how often a worker looks for work before it sleeps: some 50 µs, more
// than the gap between two operations and far less than the gap between requests.
const spins = 4000

func newPool(threads int) *pool {
	p := &pool{pieces: newShares(threads)}
	for i := 1; i < threads; i++ {
		w := &worker{wake: make(chan struct{}, 1)}
		p.workers = append(p.workers, w)
		go p.work(w, i)
	}
	return p
}

// work is the loop of a worker.
func (p *pool) work(w *worker, thread int) {
	for seen := uint32(1); ; seen++ {
		w.await(seen)
		if w.stop {
			return
		}
		p.drain(thread)
		w.done.Store(seen)
	}
}

// await returns once start is raised to want.
func (w *worker) await(want uint32) {
	for i := 0; w.start.Load() != want; i++ {
		if i < spins {
			pause()
			continue
		}
		w.slept.Swap(true) // no plain store: emulators of arm64 let the load overtake it
		if w.start.Load() == want {
			if !w.slept.CompareAndSwap(true, false) {
				<-w.wake // the caller saw us asleep and sends
			}
			return
		}
		<-w.wake
	}
}

func (w *worker) raise() {
	w.start.Add(1)
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
	p.task = t
	p.pieces.divide(n, 1)
	for _, w := range p.workers {
		w.raise()
	}
	p.drain(0)
	for _, w := range p.workers {
		want := w.start.Load()
		for i := 0; w.done.Load() != want; i++ {
			pause()
			if i > spins {
				runtime.Gosched()
			}
		}
	}
	p.task = nil
}

func (p *pool) close() {
	for _, w := range p.workers {
		w.stop = true
		w.raise()
	}
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
