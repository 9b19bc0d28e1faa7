package kernels

import (
	"bytes"
	"math"
	"unsafe"

	"golang.org/x/sys/cpu"
)

// hasAVX512VNNI reports whether the AVX-512 tier can run.
func hasAVX512VNNI() bool {
	return cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL && cpu.X86.HasAVX512VNNI && cpu.X86.HasBMI2
}

func machineTiers() []tier {
	var all []tier
	if hasAVX512VNNI() {
		tuneAVX512(thisDesign())
		if hasAMX() {
			all = append(all, tier{AMX, amxS8(), avx512F32})
		}
		all = append(all, tier{AVX512VNNI, avx512S8, avx512F32})
	}
	if cpu.X86.HasAVXVNNI && cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, tier{AVXVNNI, avxVNNIS8, avx2F32})
	}
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		all = append(all, tier{AVX2, avx2S8, avx2F32})
	}
	return all
}

var avx512S8 = s8Kernels{
	quantizeRow:   quantizeRowAVX512,
	dequantizeRow: dequantizeRowAVX512,
	rowSums:       rowSumsAVX512,
	coarse:        &avx512Coarse,
	sparse:        avx512Sparse,
}

// ptr returns the address of a slice's first element.
func ptr[T any](s []T) *T { return unsafe.SliceData(s) }

func quantizeRowAVX512(dst []uint8, x []float32, truncate bool) float32 {
	scale, inverse := activationScale(absMaxF32(ptr(x), len(x)))
	if truncate {
		quantizeU8Truncate(ptr(dst), ptr(x), len(x), scale)
	} else {
		quantizeU8(ptr(dst), ptr(x), len(x), scale)
	}
	return inverse
}

func dequantizeRowAVX512(dst []float32, c []int32, inverse float32, scale, bias, residual []float32, relu bool) {
	floor := float32(math.Inf(-1))
	if relu {
		floor = 0
	}
	fn := dequantS32
	switch {
	case bias != nil && residual != nil:
		fn = dequantS32BiasResidual
	case bias != nil:
		fn = dequantS32Bias
	case residual != nil:
		fn = dequantS32Residual
	}
	fn(ptr(dst), ptr(c), len(c), inverse, floor, ptr(scale), ptr(bias), ptr(residual))
}

// ones is a row that is long enough for most models.
var ones = bytes.Repeat([]byte{1}, 8192)

// rowSumsAVX512 multiplies the rows by ones.
func rowSumsAVX512(dst []int32, rows []int8, k int) {
	clear(dst)
	row := ones
	if k > len(row) {
		row = bytes.Repeat(ones[:1], (k+63)&^63)
	}
	productsAVX512(dst, len(dst), QuantizedRows{Data: row, Rows: 1, K: k}, &S8Weights{N: len(dst), K: k, Data: rows, Comp: dst}, 0, len(dst), 0)
}

var avx512F32 = f32Kernels{
	gemmNT: gemmNTAVX512, gemmNN: gemmNNAVX512, dotRowsAt: dotRowsAtAVX512, weightedRowsAt: weightedRowsAtAVX512,
	layerNorm: layerNormAVX512, rmsNorm: rmsNormAVX2, softmax: softmaxAVX512, max: maxAVX512, sumExp: sumExpAVX512,
	above: aboveAVX512, dequantS8: dequantizeS8AVX512, add: addAVX512, mul: mulAVX2, scale: scaleAVX2,
	gate: gateAVX2, gelu: geluAVX2, dequantS16: dequantizeS16AVX2, float16: float16AVX2, bfloat16: bfloat16AVX2,
	blocked: avx512Blocked,
}

// dotF32Tile is a product of some rows and columns.
type dotF32Tile func(a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int, alpha float32, pf uintptr)

// Tiles by rows: the more rows, the fewer columns.
var (
	wideF32Tiles   = [...]dotF32Tile{1: dotF32_1x8, dotF32_2x8, dotF32_3x8}
	narrowF32Tiles = [...]dotF32Tile{1: dotF32_1x6, dotF32_2x6, dotF32_3x6, dotF32_4x6}
)

// gemmNTAVX512 takes some columns at a time for all rows, so that their weights
// stay in the cache, while the next columns are fetched.
func gemmNTAVX512(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, alpha float32) {
	if m == 0 || n == 0 {
		return
	}
	_, _, _ = dst[(m-1)*ldd+n-1], a[:(m-1)*lda+k], b[:(n-1)*ldb+k]
	width, tiles := 8, wideF32Tiles[:]
	if m > 3 {
		width, tiles = 6, narrowF32Tiles[:]
	}
	most, j := len(tiles)-1, 0
	for ; j+width <= n; j += width {
		next := uintptr(unsafe.Pointer(&b[j*ldb])) + uintptr(4*width*ldb)
		for i := 0; i < m; i += most {
			tiles[min(most, m-i)](&a[i*lda], 4*lda, &b[j*ldb], 4*ldb, k, &dst[i*ldd+j], 4*ldd, alpha, next)
		}
	}
	for ; j < n; j++ {
		i, next := 0, uintptr(unsafe.Pointer(&b[j*ldb]))
		for ; i+4 <= m; i += 4 {
			dotF32_4x1(&a[i*lda], 4*lda, &b[j*ldb], 0, k, &dst[i*ldd+j], 4*ldd, alpha, next)
		}
		for ; i < m; i++ {
			dotF32_1x1(&a[i*lda], 0, &b[j*ldb], 0, k, &dst[i*ldd+j], 0, alpha, next)
		}
	}
}

func gemmNNAVX512(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, accumulate bool) {
	flag := 0
	if accumulate {
		flag = 1
	}
	i := 0
	for ; i+4 <= m; i += 4 {
		nnF32_4(&dst[i*ldd], 4*ldd, &a[i*lda], 4*lda, ptr(b), 4*ldb, n, k, flag)
	}
	for ; i < m; i++ {
		nnF32_1(&dst[i*ldd], 0, &a[i*lda], 0, ptr(b), 4*ldb, n, k, flag)
	}
}

func dotRowsAtAVX512(dst, q, base []float32, off []int32, alpha float32, ahead int) {
	n := len(off) &^ 3
	dotAtF32_4(ptr(dst), ptr(q), len(q), ptr(base), ptr(off), n, alpha, 4*ahead)
	if n < len(off) {
		dotAtF32_1(&dst[n], ptr(q), len(q), ptr(base), &off[n], len(off)-n, alpha, 4*ahead)
	}
}

func weightedRowsAtAVX512(dst, p, base []float32, off []int32, ahead int) {
	weightedAtF32(ptr(dst), len(dst), ptr(p), ptr(base), ptr(off), len(off), 4*ahead)
}

// layerNormAVX512 takes the first value off all, which changes nothing but lets
// the variance of large, near values keep its digits.
func layerNormAVX512(dst, x, gamma, beta []float32, eps float32) {
	sum, squares := sumsF32(ptr(x), len(x), x[0])
	n := float32(len(x))
	shifted := sum / n
	variance := max(squares/n-shifted*shifted, 0)
	r := 1 / float32(math.Sqrt(float64(variance+eps)))
	normalizeF32(ptr(dst), ptr(x), len(x), shifted+x[0], r, ptr(gamma), ptr(beta))
}

func softmaxAVX512(x []float32) {
	sum := expF32(ptr(x), len(x), maxF32(ptr(x), len(x)))
	scaleF32(ptr(x), len(x), 1/sum)
}

func maxAVX512(x []float32) float32 { return maxF32(ptr(x), len(x)) }

func sumExpAVX512(x []float32, top float32) float32 { return sumExpF32(ptr(x), len(x), top) }

func aboveAVX512(x []float32, from int, threshold float32) int {
	return from + aboveF32(ptr(x[from:]), len(x)-from, threshold)
}

func dequantizeS8AVX512(dst []float32, q []int8, inverse float32) {
	dequantS8F32(ptr(dst), ptr(q), len(q), inverse)
}

func addAVX512(dst, x []float32) { addF32(ptr(dst), ptr(x), len(x)) }
