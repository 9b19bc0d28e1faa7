package kernels

import (
	"math"
	"unsafe"
)

// avx2F32 are the float32 kernels for AVX2 and FMA.
var avx2F32 = f32Kernels{
	gemmNT: gemmNTAVX2, gemmNN: gemmNNAVX2, dotRowsAt: dotRowsAtAVX2, weightedRowsAt: weightedRowsAtAVX2,
	layerNorm: layerNormAVX2, rmsNorm: rmsNormAVX2, softmax: softmaxAVX2, max: maxAVX2, sumExp: sumExpAVX2,
	above: aboveAVX2, dequantS8: dequantizeS8AVX2, add: addAVX2, mul: mulAVX2, scale: scaleAVX2,
	gate: gateAVX2, gelu: geluAVX2, dequantS16: dequantizeS16AVX2, float16: float16AVX2, bfloat16: bfloat16AVX2,
}

// dotTile is a kernel for a tile of gemmNT. Strides are in bytes.
type dotTile func(a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int, alpha float32, pf uintptr)

// avx2Dots are the tiles of 4 columns by their rows.
var avx2Dots = [...]dotTile{1: avx2Dot1x4, 2: avx2Dot2x4, 3: avx2Dot3x4}

// gemmNTAVX2 multiplies blocks of up to 3 rows of a: the columns of one block
// after the other, each while the next is fetched.
func gemmNTAVX2(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, alpha float32) {
	if m == 0 || n == 0 {
		return
	}
	_, _, _ = dst[(m-1)*ldd+n-1], a[:(m-1)*lda+k], b[:(n-1)*ldb+k]
	for i := 0; i < m; {
		rows, columns, tile := min(m-i, 3), 4, dotTile(nil)
		if m-i == 4 {
			rows = 2 // 2 and 2 rather than 3 and 1
		}
		if tile = avx2Dots[rows]; rows == 1 {
			columns, tile = 8, avx2Dot1x8
		}
		j := 0
		for ; j+columns <= n; j += columns {
			next := min(j+columns, n-columns)
			tile(at32(a, i*lda), 4*lda, at32(b, j*ldb), 4*ldb, k, &dst[i*ldd+j], 4*ldd, alpha, address(b, next*ldb))
		}
		for r := i; r < i+rows; r++ {
			for c := j; c < n; c++ {
				avx2Dot1x1(at32(a, r*lda), 0, at32(b, c*ldb), 0, k, &dst[r*ldd+c], 0, alpha, address(b, c*ldb))
			}
		}
		i += rows
	}
}

// at32 is a pointer to element i, which may be one past the end of no elements.
func at32(x []float32, i int) *float32 { return unsafe.SliceData(x[i:]) }

// address is where element i is, for a prefetch.
func address(x []float32, i int) uintptr { return uintptr(unsafe.Pointer(unsafe.SliceData(x[i:]))) }

func gemmNNAVX2(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, accumulate bool) {
	if n == 0 {
		return
	}
	add := 0
	if accumulate {
		add = 1
	}
	i := 0
	for ; i+2 <= m; i += 2 {
		avx2NN2(at32(dst, i*ldd), 4*ldd, at32(a, i*lda), 4*lda, unsafe.SliceData(b), 4*ldb, n, k, add)
	}
	if i < m {
		avx2NN1(at32(dst, i*ldd), 4*ldd, at32(a, i*lda), 4*lda, unsafe.SliceData(b), 4*ldb, n, k, add)
	}
}

func dotRowsAtAVX2(dst, q, base []float32, off []int32, alpha float32, ahead int) {
	four := len(off) &^ 3
	if four > 0 {
		avx2DotAt4(&dst[0], unsafe.SliceData(q), len(q), unsafe.SliceData(base), &off[0], four, alpha, 4*ahead)
	}
	if four < len(off) {
		avx2DotAt1(&dst[four], unsafe.SliceData(q), len(q), unsafe.SliceData(base), &off[four], len(off)-four, alpha, 4*ahead)
	}
}

func weightedRowsAtAVX2(dst, p, base []float32, off []int32, ahead int) {
	avx2WeightedAt(unsafe.SliceData(dst), len(dst), unsafe.SliceData(p), unsafe.SliceData(base), unsafe.SliceData(off), len(off), 4*ahead)
}

func layerNormAVX2(dst, x, gamma, beta []float32, eps float32) {
	sum, squares := avx2Moments(unsafe.SliceData(x), len(x))
	n := float64(len(x))
	mean := sum / n
	r := 1 / math.Sqrt(max(squares/n-mean*mean, 0)+float64(eps))
	avx2Normalize(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), float32(mean), float32(r), unsafe.SliceData(gamma), unsafe.SliceData(beta))
}

func rmsNormAVX2(dst, x, gamma []float32, eps float32) {
	_, squares := avx2Moments(unsafe.SliceData(x), len(x))
	r := 1 / math.Sqrt(squares/float64(len(x))+float64(eps))
	avx2ScaleBy(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), float32(r), unsafe.SliceData(gamma))
}

func softmaxAVX2(x []float32) {
	sum := avx2ExpStore(unsafe.SliceData(x), len(x), maxAVX2(x))
	avx2Scale(unsafe.SliceData(x), unsafe.SliceData(x), len(x), float32(1/sum))
}

func maxAVX2(x []float32) float32 { return avx2Max(unsafe.SliceData(x), len(x)) }

func sumExpAVX2(x []float32, top float32) float32 {
	return float32(avx2ExpSum(unsafe.SliceData(x), len(x), top))
}

func aboveAVX2(x []float32, from int, threshold float32) int {
	return from + avx2Above(at32(x, from), len(x)-from, threshold)
}

func dequantizeS8AVX2(dst []float32, q []int8, inverse float32) {
	n := len(q) &^ 7
	avx2DequantizeS8(unsafe.SliceData(dst), unsafe.SliceData(q), n, inverse)
	dequantizeS8Generic(dst[n:], q[n:], inverse)
}

func addAVX2(dst, x []float32) { avx2Add(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) }

func mulAVX2(dst, x []float32) { avx2Mul(unsafe.SliceData(dst), unsafe.SliceData(x), len(x)) }

func scaleAVX2(dst, x []float32, s float32) {
	avx2Scale(unsafe.SliceData(dst), unsafe.SliceData(x), len(x), s)
}

func gateAVX2(x []float32, c1, c3 float32) { avx2Gate(unsafe.SliceData(x), len(x), c1, c3) }

func geluAVX2(x []float32) { avx2GELU(unsafe.SliceData(x), len(x)) }

func dequantizeS16AVX2(dst []float32, q []int16, inverse float32) {
	n := len(q) &^ 7
	avx2DequantizeS16(unsafe.SliceData(dst), unsafe.SliceData(q), n, inverse)
	dequantizeS16Generic(dst[n:], q[n:], inverse)
}

func float16AVX2(dst []float32, src []uint16) {
	n := len(src) &^ 7
	avx2Float16(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	float16Generic(dst[n:], src[n:])
}

func bfloat16AVX2(dst []float32, src []uint16) {
	n := len(src) &^ 7
	avx2BFloat16(unsafe.SliceData(dst), unsafe.SliceData(src), n)
	bfloat16Generic(dst[n:], src[n:])
}
