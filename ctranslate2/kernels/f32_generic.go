package kernels

import "math"

var genericF32 = f32Kernels{
	gemmNT: gemmNTGeneric, gemmNN: gemmNNGeneric, dotRowsAt: dotRowsAtGeneric, weightedRowsAt: weightedRowsAtGeneric,
	layerNorm: layerNormGeneric, rmsNorm: rmsNormGeneric, softmax: softmaxGeneric, max: maxGeneric, sumExp: sumExpGeneric,
	above: aboveGeneric, dequantS8: dequantizeS8Generic, add: addGeneric, mul: mulGeneric, scale: scaleGeneric,
	gate: gateGeneric, gelu: geluGeneric, dequantS16: dequantizeS16Generic, float16: float16Generic, bfloat16: bfloat16Generic,
}

// dotGeneric sums in four lanes, so that long rows lose little precision.
func dotGeneric(a, b []float32) float32 {
	var s [4]float32
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s[0] += float32(a[i] * b[i])
		s[1] += float32(a[i+1] * b[i+1])
		s[2] += float32(a[i+2] * b[i+2])
		s[3] += float32(a[i+3] * b[i+3])
	}
	for ; i < len(a); i++ {
		s[0] += float32(a[i] * b[i])
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func gemmNTGeneric(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, alpha float32) {
	for i := range m {
		for j := range n {
			dst[i*ldd+j] = alpha * dotGeneric(a[i*lda:][:k], b[j*ldb:][:k])
		}
	}
}

func gemmNNGeneric(dst []float32, ldd int, a []float32, lda, m int, b []float32, ldb, n, k int, accumulate bool) {
	for i := range m {
		row := dst[i*ldd:][:n]
		if !accumulate {
			clear(row)
		}
		for t := range k {
			axpyGeneric(row, a[i*lda+t], b[t*ldb:][:n])
		}
	}
}

// axpyGeneric adds a·x to dst.
func axpyGeneric(dst []float32, a float32, x []float32) {
	for j, v := range x {
		dst[j] += float32(a * v)
	}
}

func dotRowsAtGeneric(dst, q, base []float32, off []int32, alpha float32, _ int) {
	for i, at := range off {
		dst[i] = alpha * dotGeneric(q, base[at:][:len(q)])
	}
}

func weightedRowsAtGeneric(dst, p, base []float32, off []int32, _ int) {
	clear(dst)
	for i, at := range off {
		axpyGeneric(dst, p[i], base[at:][:len(dst)])
	}
}

func layerNormGeneric(dst, x, gamma, beta []float32, eps float32) {
	var sum, squares float64
	for _, v := range x {
		sum += float64(v)
		squares += float64(v) * float64(v)
	}
	n := float64(len(x))
	mean := sum / n
	r := 1 / math.Sqrt(max(squares/n-mean*mean, 0)+float64(eps))
	for i, v := range x {
		dst[i] = float32((float64(v)-mean)*r)*gamma[i] + beta[i]
	}
}

func rmsNormGeneric(dst, x, gamma []float32, eps float32) {
	var squares float64
	for _, v := range x {
		squares += float64(v) * float64(v)
	}
	r := float32(1 / math.Sqrt(squares/float64(len(x))+float64(eps)))
	for i, v := range x {
		dst[i] = v * r * gamma[i]
	}
}

func softmaxGeneric(x []float32) {
	top := maxGeneric(x)
	var sum float64
	for i, v := range x {
		e := math.Exp(float64(v - top))
		x[i] = float32(e)
		sum += e
	}
	r := float32(1 / sum)
	for i := range x {
		x[i] *= r
	}
}

func maxGeneric(x []float32) float32 {
	top := float32(math.Inf(-1))
	for _, v := range x {
		if v > top {
			top = v
		}
	}
	return top
}

func sumExpGeneric(x []float32, top float32) float32 {
	var sum float64
	for _, v := range x {
		sum += math.Exp(float64(v - top))
	}
	return float32(sum)
}

func aboveGeneric(x []float32, from int, threshold float32) int {
	for i := from; i < len(x); i++ {
		if x[i] > threshold {
			return i
		}
	}
	return len(x)
}

func dequantizeS8Generic(dst []float32, q []int8, inverse float32) {
	for i, v := range q {
		dst[i] = float32(v) * inverse
	}
}

func addGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] += v
	}
}

func mulGeneric(dst, x []float32) {
	for i, v := range x {
		dst[i] *= v
	}
}

func scaleGeneric(dst, x []float32, s float32) {
	for i, v := range x {
		dst[i] = v * s
	}
}

func dequantizeS16Generic(dst []float32, q []int16, inverse float32) {
	for i, v := range q {
		dst[i] = float32(v) * inverse
	}
}
