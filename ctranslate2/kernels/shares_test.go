package kernels

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestShares takes pieces on all threads at once: each comes once, in runs of
// multiples of the unit, whatever the number of threads and pieces.
func TestShares(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		s := newShares(threads)
		for _, n := range []int{0, 1, 5, 31, 32, 33, 64, 100, 1000} {
			for _, unit := range []int{1, 32} {
				taken := make([]atomic.Int32, n)
				s.divide(n, unit)
				var all sync.WaitGroup
				for i := range threads {
					all.Go(func() {
						for from, to := s.take(i, one); from >= 0; from, to = s.take(i, func(left int) int { return max(left/2, 1) }) {
							for ; from < to; from++ {
								taken[from].Add(1)
							}
						}
					})
				}
				all.Wait()
				for i := range taken {
					if got := taken[i].Load(); got != 1 {
						t.Fatalf("%d threads, unit %d: piece %d of %d is taken %d times", threads, unit, i, n, got)
					}
				}
				if from, to := s.take(0, one); from >= 0 || to >= 0 {
					t.Fatalf("%d threads: %d to %d after all %d pieces", threads, from, to, n)
				}
			}
		}
	}
}

// TestShareOfEachThread: a thread takes its own pieces in their order, from where
// start says, and then another's last.
func TestShareOfEachThread(t *testing.T) {
	for _, threads := range []int{1, 2, 3, 8} {
		s := newShares(threads)
		for _, n := range []int{0, 1, 100, 256206} {
			next := 0
			for i := range threads {
				s.divide(n, 32)
				start, end := s.start(i, n, 32), s.start(i+1, n, 32)
				if start != next || start%32 != 0 && start != n {
					t.Fatalf("share %d of %d of %d pieces begins at %d, the one before ends at %d", i, threads, n, start, next)
				}
				for next = start; next < end; {
					if !s.has(i) {
						t.Fatalf("share %d of %d of %d pieces has none after %d of %d", i, threads, n, next, end)
					}
					from, to := s.take(i, one)
					if from != next || to <= from || to > end {
						t.Fatalf("share %d of %d of %d pieces: %d to %d after %d, before %d", i, threads, n, from, to, next, end)
					}
					next = to
				}
				if s.has(i) {
					t.Fatalf("share %d of %d of %d pieces has more than %d", i, threads, n, end)
				}
				other := (i + 1) % threads
				if from, to := s.take(i, one); s.start(other, n, 32) < s.start(other+1, n, 32) && other != i {
					if last := s.start(other+1, n, 32); to != last || from != (last-1)/32*32 {
						t.Fatalf("share %d of %d of %d pieces: then %d to %d, but the next share ends at %d", i, threads, n, from, to, last)
					}
				} else if threads == 1 && from >= 0 {
					t.Fatalf("%d to %d after all %d pieces", from, to, n)
				}
			}
			if next != n {
				t.Fatalf("the shares of %d pieces end at %d", n, next)
			}
		}
	}
}

// TestProductOfOneChunkEach: no thread takes a second chunk before it has computed
// its first, while another has none.
func TestProductOfOneChunkEach(t *testing.T) {
	const threads = 2
	e := NewExecutor(threads)
	defer e.Close()
	w := NewS8Weights(make([]int8, 2*chunkUnit*64), 2*chunkUnit, 64, make([]float32, 2*chunkUnit))
	for i := range w.Scale {
		w.Scale[i] = 1
	}
	e.Compensate(w)
	var q QuantizedRows
	defer q.Free()
	e.Quantize(&q, make([]float32, 64), 64, 1, 64, false)
	e.LinearS8To(&meeting{t: t, missing: threads, all: make(chan struct{})}, &q, w, nil)
}

// meeting is a sink at which threads meet: none leaves before all came.
type meeting struct {
	t       *testing.T
	mu      sync.Mutex
	missing int
	all     chan struct{}
}

func (m *meeting) Columns(int, int, int, []float32, int) {
	m.mu.Lock()
	if m.missing--; m.missing == 0 {
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
	case <-time.After(10 * time.Second):
		m.t.Error("one thread has all of the chunks")
	}
}
