package kernels

import "unsafe"

// A tile is tileRows of activations by tileColumns of weights. Its products
// stay in registers over tileDepth vectors of a row.
const (
	tileRows    = 4
	tileColumns = 6
	tileDepth   = 32
	lanes512    = 16
)

// avx512Blocked is the product of many rows for AVX-512.
var avx512Blocked = blockedF32{
	rows: tileRows, columns: tileColumns, pack: packRowsAVX512, products: blockedF32AVX512,
	accumulators: tileRows * tileColumns * lanes512, panel: tileColumns * tileDepth * lanes512,
}

// packRowsAVX512 interleaves the vectors of up to tileRows rows of k floats.
// Rows that are missing keep what dst holds.
func packRowsAVX512(dst, x []float32, ldx, m, k int) {
	for i := range m {
		packF32(&dst[i*lanes512], 4*tileRows*lanes512, &x[i*ldx], k)
	}
}

// blockedF32AVX512 computes columns n0..n1 for m packed rows. A column's 16
// partial sums are those of dotF32: only where they are kept meanwhile differs.
func blockedF32AVX512(out []float32, ldo int, packed []float32, m int, w *F32Weights, n0, n1 int, acc, panel []float32) {
	vectors := (w.K + lanes512 - 1) / lanes512
	blocks := (m + tileRows - 1) / tileRows
	for n := n0; n < n1; n += tileColumns {
		columns := min(tileColumns, n1-n)
		next, step := w.ahead(n+tileColumns, n1, blocks*vectors)
		for v := 0; v < vectors; v += tileDepth {
			depth := min(tileDepth, vectors-v)
			for j := range columns {
				row := w.Data[(n+j)*w.K+v*lanes512:]
				packF32(&panel[j*lanes512], 4*tileColumns*lanes512, &row[0], min(depth*lanes512, w.K-v*lanes512))
			}
			for i := range blocks {
				a := packed[(i*vectors+v)*tileRows*lanes512:]
				ahead := uintptr(unsafe.Pointer(&a[0])) + uintptr(4*vectors*tileRows*lanes512)
				tileF32(&acc[i*tileRows*tileColumns*lanes512], b2i(v == 0), &a[0], &panel[0], depth, ahead, next, step)
				next += uintptr(depth) * step
			}
		}
		storeTiles(out[n-n0:], ldo, acc, m, columns)
	}
}

// ahead is the address of column n, to prefetch, and how many bytes to move on
// in each of some steps; columns from n1 on are another's.
func (w *F32Weights) ahead(n, n1, steps int) (address, step uintptr) {
	if n >= n1 {
		return uintptr(unsafe.Pointer(unsafe.SliceData(w.Data))) + uintptr(4*(n1-1)*w.K), 0
	}
	step = 64
	if 4*tileColumns*w.K/steps < 32 {
		step = 16
	}
	return uintptr(unsafe.Pointer(unsafe.SliceData(w.Data))) + uintptr(4*n*w.K), step
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

// storeTiles writes the sums of the first columns of each row of the tiles.
func storeTiles(out []float32, ldo int, acc []float32, m, columns int) {
	for r := range m {
		row := &acc[r*tileColumns*lanes512]
		if columns == tileColumns {
			reduceF32(&out[r*ldo : r*ldo+columns][0], row, 1)
			continue
		}
		var sums [tileColumns]float32
		reduceF32(&sums[0], row, 1)
		copy(out[r*ldo:][:columns], sums[:])
	}
}
