package kernels

import (
	"math"
	"unsafe"
)

// neonF32 are the float32 kernels for arm64. What runs once a row or less is
// left to the compiler.
var neonF32 = f32Kernels{
	gemmNT: gemmNTNEON, gemmNN: gemmNNNEON, dotRowsAt: dotRowsAtNEON, weightedRowsAt: weightedRowsAtNEON,
	layerNorm: layerNormGeneric, rmsNorm: rmsNormGeneric, softmax: softmaxGeneric, max: maxNEON, sumExp: sumExpGeneric,
	above: aboveNEON, dequantS8: dequantizeS8Generic, add: addNEON, mul: mulGeneric, scale: scaleGeneric,
	gate: gateGeneric, gelu: geluGeneric, dequantS16: dequantizeS16Generic, float16: float16Generic, bfloat16: bfloat16Generic,
}

//go:noescape
func neonDot4x4(a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int, alpha float32)

//go:noescape
func neonDot1x4(a *float32, b *float32, ldb int, k int, c *float32, alpha float32)

//go:noescape
func neonAxpy(dst *float32, x *float32, n int, a float32)

//go:noescape
func neonMax(top *float32, x *float32, blocks int)

//go:noescape
func neonAbove(x *float32, blocks int, threshold float32) int

func gemmNTNEON(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, alpha float32) {
	if m == 0 || n == 0 {
		return
	}
	_, _, _ = dst[(m-1)*ldd+n-1], a[:(m-1)*lda+k], b[:(n-1)*ldb+k]
	for j := 0; j < n; j += 4 {
		columns, i := min(4, n-j), 0
		for ; columns == 4 && i+4 <= m; i += 4 {
			neonDot4x4(unsafe.SliceData(a[i*lda:]), 4*lda, unsafe.SliceData(b[j*ldb:]), 4*ldb, k, &dst[i*ldd+j], 4*ldd, alpha)
		}
		for ; i < m; i++ {
			dotsNEON(dst[i*ldd+j:][:columns], a[i*lda:][:k], b[j*ldb:], ldb, alpha)
		}
	}
}

// dotsNEON multiplies a by up to four rows of b. The stride 0 makes four of one.
func dotsNEON(dst, a, b []float32, ldb int, alpha float32) {
	if len(dst) == 4 {
		neonDot1x4(unsafe.SliceData(a), unsafe.SliceData(b), 4*ldb, len(a), &dst[0], alpha)
		return
	}
	for j := range dst {
		var same [4]float32
		neonDot1x4(unsafe.SliceData(a), unsafe.SliceData(b[j*ldb:]), 0, len(a), &same[0], alpha)
		dst[j] = same[0]
	}
}

func gemmNNNEON(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, accumulate bool) {
	for i := range m {
		row := dst[i*ldd:][:n]
		if !accumulate {
			clear(row)
		}
		for t := range k {
			neonAxpy(unsafe.SliceData(row), unsafe.SliceData(b[t*ldb:][:n]), n, a[i*lda+t])
		}
	}
}

func dotRowsAtNEON(dst, q, base []float32, off []int32, alpha float32, _ int) {
	for i, at := range off {
		dotsNEON(dst[i:i+1], q, base[at:], 0, alpha)
	}
}

func weightedRowsAtNEON(dst, p, base []float32, off []int32, _ int) {
	clear(dst)
	for i, at := range off {
		neonAxpy(unsafe.SliceData(dst), unsafe.SliceData(base[at:][:len(dst)]), len(dst), p[i])
	}
}

func addNEON(dst, x []float32) { neonAxpy(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), 1) }

func maxNEON(x []float32) float32 {
	low := float32(math.Inf(-1))
	tops := [4]float32{low, low, low, low}
	blocks := len(x) / 16
	neonMax(&tops[0], unsafe.SliceData(x), blocks)
	return max(maxGeneric(tops[:]), maxGeneric(x[16*blocks:]))
}

func aboveNEON(x []float32, from int, threshold float32) int {
	x = x[from:]
	at := 16 * neonAbove(unsafe.SliceData(x), len(x)/16, threshold)
	return from + aboveGeneric(x, at, threshold)
}
