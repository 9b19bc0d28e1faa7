package kernels

import (
	"math"
	"sync/atomic"
)

// bounded is a column whose product is at most upper.
type bounded struct {
	column int32
	upper  float32
}

// found is what a thread knows of a row's products.
type found struct {
	best    Candidate // the largest that was computed, the first of equals
	likely  float32   // the largest bound whose column was computed
	columns []bounded // those that may be as large
	chunks  []bounded // the first columns of chunks where too many may be
	single  singleProduct
}

// score is a product that only grows.
type score struct{ bits atomic.Uint32 }

func (s *score) load() float32 { return math.Float32frombits(s.bits.Load()) }

// raise makes s at least y, and reports whether it was less.
func (s *score) raise(y float32) bool {
	for old := s.bits.Load(); y > math.Float32frombits(old); old = s.bits.Load() {
		if s.bits.CompareAndSwap(old, math.Float32bits(y)) {
			return true
		}
	}
	return false
}

// none is less than any product.
var none = Candidate{Index: -1, Score: float32(math.Inf(-1))}

// likeliest returns the first of those with the largest bound.
func likeliest(some []bounded) bounded {
	top := some[0]
	for _, b := range some {
		if b.upper > top.upper {
			top = b
		}
	}
	return top
}

// upTo drops what can't be as large as known: nearly all, one after the other.
func upTo(all []bounded, known float32) []bounded {
	n := 0
	for _, b := range all {
		if b.upper < known {
			continue
		}
		all[n] = b
		n++
	}
	return all[:n]
}
