package kernels

import "math"

// avx2S8 are the int8 kernels for AVX2 and FMA.
var avx2S8 = s8Kernels{
	quantizeRow:   quantizeRowAVX2,
	products:      productsAVX2,
	prepare:       prepareAVX2,
	blocked:       blockedAVX2,
	dequantizeRow: dequantizeRowAVX2,
	rowSums:       rowSumsAVX2,
	coarse:        &avx2Coarse,
	sparse:        avx2Sparse,
}

func quantizeRowAVX2(dst []uint8, x []float32, truncate bool) float32 {
	scale, inverse := activationScale(avx2AbsMax(ptr(x), len(x)))
	n := len(x) &^ 7
	quantizeAVX2(ptr(dst), ptr(x), n/8, scale, truncate)
	if n < len(x) {
		var last [8]float32
		var bytes [8]uint8
		copy(last[:], x[n:])
		quantizeAVX2(&bytes[0], &last[0], 1, scale, truncate)
		copy(dst[n:len(x)], bytes[:])
	}
	return inverse
}

// quantizeAVX2 calls the kernel by its name, so that nothing it is given escapes to the heap.
func quantizeAVX2(dst *uint8, x *float32, n int, scale float32, truncate bool) {
	if truncate {
		avx2QuantizeU8Truncate(dst, x, n, scale)
	} else {
		avx2QuantizeU8(dst, x, n, scale)
	}
}

// vexTile is a product of a block of rows and some columns.
type vexTile func(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int, add *int32, pf uintptr)

// vexTiles are a tier's products straight from stored weights: four columns at a
// time, and what is left of them one by one.
type vexTiles struct {
	tiles   []vexTile // by rows, less 1
	single  vexTile   // one row and one column
	minimum int       // the least depth
}

var avx2Tiles = vexTiles{[]vexTile{avx2DotS8_1x4, avx2DotS8_2x4}, avx2DotS8_1x1, 16}

func productsAVX2(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	avx2Tiles.products(c, ldc, a, w, n0, n1, next)
}

// products takes some columns at a time for all rows, so that their weights
// stay in the cache, while the next columns are fetched.
func (v *vexTiles) products(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	const nr = 4
	k := w.K
	if k < v.minimum {
		productsGeneric(c, ldc, a, w, n0, n1, next)
		return
	}
	n := n0
	for ; n+nr <= n1; n += nr {
		pf := w.ahead(n+nr, n1, next)
		for r, rows := 0, 0; r < a.Rows; r += rows {
			rows = v.height(a.Rows - r)
			v.tiles[rows-1](&a.Data[r*a.Stride], a.Stride, &w.Data[n*k], k, k, &c[r*ldc+n-n0], 4*ldc, &w.Comp[n], pf)
			pf = w.address(n) // which is in the cache
		}
	}
	for ; n < n1; n++ {
		for r := range a.Rows {
			v.single(&a.Data[r*a.Stride], 0, &w.Data[n*k], 0, k, &c[r*ldc+n-n0], 0, &w.Comp[n], w.address(n))
		}
	}
}

// height is how many of the remaining rows to take: as many as there is a tile
// for, less one rather than to leave a single row.
func (v *vexTiles) height(remaining int) int {
	most := len(v.tiles)
	if remaining == most+1 && most > 2 {
		return most - 1
	}
	return min(most, remaining)
}

func dequantizeRowAVX2(dst []float32, c []int32, inverse float32, scale, bias, residual []float32, relu bool) {
	floor := float32(math.Inf(-1))
	if relu {
		floor = 0
	}
	fn := avx2DequantS32
	switch {
	case bias != nil && residual != nil:
		fn = avx2DequantS32BiasResidual
	case bias != nil:
		fn = avx2DequantS32Bias
	case residual != nil:
		fn = avx2DequantS32Residual
	}
	fn(ptr(dst), ptr(c), len(c), inverse, floor, ptr(scale), ptr(bias), ptr(residual))
}

func rowSumAVX2(row []int8) int32 {
	n := len(row) &^ 63
	sum := avx2RowSumS8(ptr(row), n/64) - 128*n
	return int32(sum) + rowSumGeneric(row[n:])
}

func rowSumsAVX2(dst []int32, rows []int8, k int) { eachRowSum(dst, rows, k, rowSumAVX2) }
