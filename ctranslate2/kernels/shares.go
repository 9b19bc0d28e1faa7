package kernels

import "sync/atomic"

// shares are the pieces of some work, cut into one run for each thread. A thread
// takes the pieces of its own from the front, and once it has no more those of others
// from the back. So who does a piece does the same piece of the next work, as a rule,
// and finds in its cache what it wrote: other cores may be far away. And what a thread
// does next lies behind what it does now, until its share ends.
type shares struct {
	each    []share
	n, unit int
}

// share is what is left of a thread's run, in units: from the upper half on, to the lower.
type share struct {
	left atomic.Uint64
	_    [56]byte
}

func newShares(threads int) shares { return shares{each: make([]share, threads)} }

// divide starts with n pieces, of which each run but a last one has whole units; there
// are fewer than 2³² units.
func (s *shares) divide(n, unit int) {
	s.n, s.unit = n, unit
	units := (n + unit - 1) / unit
	for i := range s.each {
		s.each[i].left.Store(uint64(units*i/len(s.each))<<32 | uint64(units*(i+1)/len(s.each)))
	}
}

// start is where the run of thread i of n pieces begins.
func (s *shares) start(i, n, unit int) int {
	units := (n + unit - 1) / unit
	return min(units*i/len(s.each)*unit, n)
}

// take returns the next pieces of thread i's run, or if it has no more the last of
// another; or none. size says how many of the units that are left.
func (s *shares) take(i int, size func(left int) int) (from, to int) {
	from, to = s.each[i].take(size, false)
	for k := 1; k < len(s.each) && from < 0; k++ {
		from, to = s.each[(i+k)%len(s.each)].take(size, true)
	}
	if from < 0 {
		return -1, -1
	}
	return from * s.unit, min(to*s.unit, s.n)
}

// has reports whether thread i's run has more.
func (s *shares) has(i int) bool {
	left := s.each[i].left.Load()
	return left>>32 < uint64(uint32(left))
}

// take returns some units from the front or the back of the run, or none.
func (s *share) take(size func(left int) int, back bool) (from, to int) {
	for {
		left := s.left.Load()
		from, to := int(left>>32), int(uint32(left))
		if from >= to {
			return -1, -1
		}
		first, last, some := from, to, size(to-from)
		if back {
			first = to - some
			to = first
		} else {
			last = from + some
			from = last
		}
		if s.left.CompareAndSwap(left, uint64(from)<<32|uint64(to)) {
			return first, last
		}
	}
}

// one takes a piece at a time.
func one(int) int { return 1 }
