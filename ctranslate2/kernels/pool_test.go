package kernels

import (
	"sync/atomic"
	"testing"
	"time"
)

// counting is a task that counts its pieces where each thread sees what others wrote.
type counting struct {
	t       *testing.T
	threads int
	pieces  []int // how often each ran
}

func (c *counting) Do(thread, i int) {
	if thread >= c.threads {
		c.t.Errorf("thread %d runs a piece of a task for %d", thread, c.threads)
	}
	c.pieces[i]++
}

// TestParallel runs tasks of many sizes one after the other, on more threads than there are
// processors: all pieces of each have run, once, when it returns.
func TestParallel(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 16} {
		e := NewExecutor(threads)
		c := &counting{t: t, pieces: make([]int, 40)}
		for round := range 1000 {
			n := round * 7 % len(c.pieces)
			c.threads = max(min(n, threads), 1)
			clear(c.pieces)
			e.Parallel(n, c)
			for i, times := range c.pieces {
				if want := min(max(n-i, 0), 1); times != want {
					t.Fatalf("%d threads: piece %d of %d ran %d times", threads, i, n, times)
				}
			}
			if round%100 == 0 {
				time.Sleep(2 * time.Millisecond) // until workers sleep
			}
		}
		e.Close()
	}
}

// stuck is a task whose first piece ends when all others have.
type stuck struct {
	missing atomic.Int32
	all     chan struct{}
}

func (s *stuck) Do(_, i int) {
	if i > 0 && s.missing.Add(-1) == 0 {
		close(s.all)
	}
	if i == 0 {
		<-s.all
	}
}

// TestOthersTakePieces: while a thread is busy with one piece of its share, others run the
// rest of it.
func TestOthersTakePieces(t *testing.T) {
	e := NewExecutor(2)
	defer e.Close()
	for range 100 {
		s := &stuck{all: make(chan struct{})}
		s.missing.Store(9)
		e.Parallel(10, s)
	}
}

// TestLateWorker: nobody waits for a worker that has not begun, nor does it run what it was
// called off from, but what comes next.
func TestLateWorker(t *testing.T) {
	w := &worker{wake: make(chan struct{}, 1)}
	p := &pool{all: newShares(2).each, workers: []*worker{w}}
	c := &counting{t: t, threads: 2, pieces: make([]int, 10)}
	for range 3 {
		p.run(10, c)
	}
	if late := p.call.Load() >> 16; w.claim(late) || w.claim(late-1) {
		t.Error("a worker claims what it was called off from")
	}
	go p.work(w, 1)
	s := &stuck{all: make(chan struct{})}
	s.missing.Store(9)
	p.run(10, s)
	p.close()
	for i, times := range c.pieces {
		if times != 3 {
			t.Errorf("piece %d ran %d times in 3 runs", i, times)
		}
	}
}
