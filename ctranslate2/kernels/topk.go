package kernels

import "math"

// Candidate is a value and where it stands.
type Candidate struct {
	Index int32
	Score float32
}

// ArgMax returns the first of the largest values, or -1 if all are NaN or
// there is none.
func ArgMax(x []float32) (int, float32) {
	top := Max(x)
	if math.IsInf(float64(top), -1) {
		for i, v := range x {
			if v == top {
				return i, v
			}
		}
		return -1, 0
	}
	// The first value above the one just below the largest is the largest.
	return active.f32.above(x, 0, math.Nextafter32(top, float32(math.Inf(-1)))), top
}

// TopK merges values x, which stand at base, base+1, …, into the k best found so
// far: dst is sorted best first, ties by index. Values must come in the order
// of their indices. NaN is passed over.
func TopK(dst []Candidate, k int, x []float32, base int32) []Candidate {
	i := 0
	for ; i < len(x) && len(dst) < k; i++ {
		if v := x[i]; v == v {
			dst = insert(append(dst, Candidate{}), Candidate{base + int32(i), v})
		}
	}
	if k <= 0 {
		return dst
	}
	for i < len(x) {
		if i = active.f32.above(x, i, dst[k-1].Score); i == len(x) {
			break
		}
		dst = insert(dst, Candidate{base + int32(i), x[i]})
		i++
	}
	return dst
}

// insert puts c in its place and drops the last.
func insert(dst []Candidate, c Candidate) []Candidate {
	j := len(dst) - 1
	for ; j > 0 && dst[j-1].Score < c.Score; j-- {
		dst[j] = dst[j-1]
	}
	dst[j] = c
	return dst
}
