package kernels

import "sync/atomic"

// shares are the pieces of some work, cut into one run for each thread. A thread
// takes the pieces of its own, and those of others once it has no more. So who
// does a piece does the same piece of the next work, as a rule, and finds in its
// cache what it wrote: other cores may be far away.
type shares []share

type share struct {
	next atomic.Int64
	end  int64
	_    [48]byte
}

// shareStart is where the share of thread i of n pieces begins: a multiple of unit.
func shareStart(i, threads, n, unit int) int {
	units := (n + unit - 1) / unit
	return min(units*i/threads*unit, n)
}

// divide starts with n pieces. All shares but a last one are multiples of unit.
func (s shares) divide(n, unit int) {
	for i := range s {
		s[i].next.Store(int64(shareStart(i, len(s), n, unit)))
		s[i].end = int64(shareStart(i+1, len(s), n, unit))
	}
}

// take returns the next pieces of share i, or if it has no more of another; or
// none. size says how many of those that are left.
func (s shares) take(i int, size func(left int) int) (from, to int) {
	for k := range s {
		if from, to = s[(i+k)%len(s)].take(size); from >= 0 {
			break
		}
	}
	return from, to
}

// take returns the next pieces of the share, or none.
func (s *share) take(size func(left int) int) (from, to int) {
	for {
		n := s.next.Load()
		left := s.end - n
		if left <= 0 {
			return -1, -1
		}
		if m := n + int64(size(int(left))); s.next.CompareAndSwap(n, m) {
			return int(n), int(m)
		}
	}
}

// one takes a piece at a time.
func one(int) int { return 1 }
