package kernels

import "unsafe"

// Fetch asks for the memory of x, which is read or written soon.
func Fetch(x []float32) { fetch((*byte)(unsafe.Pointer(unsafe.SliceData(x))), 4*len(x)) }

// DotRowsAt writes alpha · q·row to dst for rows of len(q) that lie at the
// offsets off within base: the scores of a query against keys in a paged cache.
// Each dot product is the same whatever the other rows are. What lies ahead
// elements behind each row, where the caller reads next, is fetched meanwhile.
func DotRowsAt(dst, q, base []float32, off []int32, alpha float32, ahead int) {
	active.f32.dotRowsAt(dst[:len(off)], q, base, off, alpha, ahead)
}

// WeightedRowsAt writes to dst the sum of rows of len(dst) that lie at the
// offsets off within base, weighted by p: the values of a paged cache. The rows
// are added one after the other. It fetches ahead as DotRowsAt does.
func WeightedRowsAt(dst, p, base []float32, off []int32, ahead int) {
	active.f32.weightedRowsAt(dst, p[:len(off)], base, off, ahead)
}
