package kernels

import (
	"fmt"
	"testing"
)

// BenchmarkLinearF32 multiplies by weights of 64 MiB, more than the caches
// hold. GB/s are of weights read, GFLOPS of products and sums.
func BenchmarkLinearF32(b *testing.B) {
	e := NewExecutor(DefaultThreads())
	defer e.Close()
	for _, s := range [][2]int{{16384, 1024}, {4096, 4096}} {
		n, k := s[0], s[1]
		w := &F32Weights{N: n, K: k, Data: make([]float32, n*k)}
		for i := range w.Data { // memory that was never written is one page of zeros
			w.Data[i] = float32(i%17) - 8
		}
		for _, m := range []int{1, 2, 3, 4, 8, 16, 32, 128} {
			x, dst := make([]float32, m*k), make([]float32, m*n)
			b.Run(fmt.Sprintf("%dx%d/m%d", n, k, m), func(b *testing.B) {
				for b.Loop() {
					e.LinearF32(dst, n, x, k, m, w, nil)
				}
				perSecond := float64(b.N) / b.Elapsed().Seconds()
				b.ReportMetric(perSecond*float64(4*n*k)/1e9, "GB/s")
				b.ReportMetric(perSecond*float64(2*m*n*k)/1e9, "GFLOPS")
			})
		}
	}
}

// BenchmarkRow runs the operations on one row of a model or of a vocabulary.
func BenchmarkRow(b *testing.B) {
	for _, n := range []int{1024, 256206} {
		x, y, ones := make([]float32, n), make([]float32, n), make([]float32, n)
		r := newRand()
		for i := range x {
			x[i], ones[i] = float32(r.NormFloat64()), 1
		}
		var top []Candidate
		for name, f := range map[string]func(){
			"LayerNorm": func() { LayerNorm(y, x, ones, ones, 1e-5) },
			"RMSNorm":   func() { RMSNorm(y, x, ones, 1e-5) },
			"Softmax":   func() { copy(y, x); Softmax(y) },
			"SumExp":    func() { SumExp(x, 4) },
			"ArgMax":    func() { ArgMax(x) },
			"Top8":      func() { top = TopK(top[:0], 8, x, 0) },
			"Swish":     func() { copy(y, x); Swish.apply(y) },
			"GELU":      func() { copy(y, x); GELU.apply(y) },
			"Add":       func() { Add(y, x) },
			"Mul":       func() { Mul(y, x) },
			"Scale":     func() { Scale(y, x, 2) },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				for b.Loop() {
					f()
				}
				b.SetBytes(int64(4 * n))
			})
		}
	}
}

// BenchmarkAttention is one query of 64 against 256 rows of a cache.
func BenchmarkAttention(b *testing.B) {
	const d, count = 64, 256
	base, q := make([]float32, d*count), make([]float32, d)
	scores, off := make([]float32, count), make([]int32, count)
	for i := range off {
		off[i] = int32(i * d)
	}
	b.Run("DotRowsAt", func(b *testing.B) {
		for b.Loop() {
			DotRowsAt(scores, q, base, off, 1, 0)
		}
	})
	b.Run("WeightedRowsAt", func(b *testing.B) {
		for b.Loop() {
			WeightedRowsAt(q, scores, base, off, 0)
		}
	})
}
