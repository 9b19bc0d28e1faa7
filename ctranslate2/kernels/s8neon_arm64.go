package kernels

import "unsafe"

// neonS8 are the int8 kernels for arm64 with the dot products of bytes, neonMulS8
// those without.
var (
	neonS8    = s8Kernels{quantizeRow: quantizeRowNEON, products: productsDotNEON, dequantizeRow: dequantizeRowNEON, rowSums: rowSumsNEON}
	neonMulS8 = s8Kernels{quantizeRow: quantizeRowNEON, products: productsMulNEON, dequantizeRow: dequantizeRowNEON, rowSums: rowSumsNEON}
)

//go:noescape
func neonDotS8_4x4(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int)

//go:noescape
func neonDotS8_1x4(a *uint8, b *int8, ldb int, k int, c *int32)

//go:noescape
func neonMulS8_1x4(a *uint8, b *int8, ldb int, k int, c *int32)

//go:noescape
func neonRowSumS8(b *int8, blocks int) int32

//go:noescape
func neonAbsMax(x *float32, blocks int) float32

//go:noescape
func neonQuantizeU8(dst *uint8, x *float32, blocks int, scale float32, truncate int)

//go:noescape
func neonDequantS32(dst *float32, c *int32, blocks int, inverse float32, relu uint32, scale *float32, bias *float32, residual *float32)

// quantizeRowNEON fills the last block up with zeros.
func quantizeRowNEON(dst []uint8, x []float32, truncate bool) float32 {
	var last [8]float32
	var bytes [8]uint8
	n := len(x) &^ 7
	copy(last[:], x[n:])
	amax := max(neonAbsMax(unsafe.SliceData(x), n/8), neonAbsMax(&last[0], 1))
	scale, inverse := activationScale(amax)
	cut := 0
	if truncate {
		cut = 1
	}
	neonQuantizeU8(unsafe.SliceData(dst), unsafe.SliceData(x), n/8, scale, cut)
	neonQuantizeU8(&bytes[0], &last[0], 1, scale, cut)
	copy(dst[n:len(x)], bytes[:])
	return inverse
}

// productsDotNEON takes four columns at a time for all rows, so that their
// weights stay in the cache. The products are of signed bytes: they need no Comp.
func productsDotNEON(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	k := w.K
	if k < 16 {
		productsGeneric(c, ldc, a, w, n0, n1, next)
		return
	}
	for n := n0; n < n1; n += 4 {
		columns, r := min(4, n1-n), 0
		for ; columns == 4 && r+4 <= a.Rows; r += 4 {
			neonDotS8_4x4(&a.Data[r*a.Stride], a.Stride, &w.Data[n*k], k, k, &c[r*ldc+n-n0], 4*ldc)
		}
		for ; r < a.Rows; r++ {
			rowNEON(neonDotS8_1x4, c[r*ldc+n-n0:][:columns], a.Data[r*a.Stride:], w.Data[n*k:], k)
		}
	}
}

// productsMulNEON is productsDotNEON where only pairs of bytes can be multiplied.
func productsMulNEON(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	k := w.K
	if k < 16 {
		productsGeneric(c, ldc, a, w, n0, n1, next)
		return
	}
	for n := n0; n < n1; n += 4 {
		for r := range a.Rows {
			rowNEON(neonMulS8_1x4, c[r*ldc+n-n0:][:min(4, n1-n)], a.Data[r*a.Stride:], w.Data[n*k:], k)
		}
	}
}

// rowNEON multiplies a by up to four rows of b. The stride 0 makes four of one.
func rowNEON(tile func(a *uint8, b *int8, ldb int, k int, c *int32), c []int32, a []uint8, b []int8, k int) {
	if len(c) == 4 {
		tile(&a[0], &b[0], k, k, &c[0])
		return
	}
	for j := range c {
		var same [4]int32
		tile(&a[0], &b[j*k], 0, k, &same[0])
		c[j] = same[0]
	}
}

func dequantizeRowNEON(dst []float32, c []int32, inverse float32, scale, bias, residual []float32, relu bool) {
	var mask uint32
	if relu {
		mask = ^mask
	}
	n := len(c) &^ 3
	neonDequantS32(unsafe.SliceData(dst), unsafe.SliceData(c), n/4, inverse, mask, unsafe.SliceData(scale), unsafe.SliceData(bias), unsafe.SliceData(residual))
	if bias != nil {
		bias = bias[n:]
	}
	if residual != nil {
		residual = residual[n:]
	}
	dequantizeRowGeneric(dst[n:], c[n:], inverse, scale[n:], bias, residual, relu)
}

func rowSumNEON(row []int8) int32 {
	n := len(row) &^ 31
	return neonRowSumS8(unsafe.SliceData(row), n/32) + rowSumGeneric(row[n:])
}

func rowSumsNEON(dst []int32, rows []int8, k int) { eachRowSum(dst, rows, k, rowSumNEON) }
