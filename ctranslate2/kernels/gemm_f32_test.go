package kernels

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// columns collects what a sink is given.
type columns struct {
	all []float32
	ld  int
}

func (c *columns) Columns(_, n0, n1 int, tile []float32, ldt int) {
	for i := range len(c.all) / c.ld {
		copy(c.all[i*c.ld+n0:i*c.ld+n1], tile[i*ldt:])
	}
}

func TestLinearF32(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for _, threads := range []int{1, 2, 3} {
			e := NewExecutor(threads)
			r := newRand()
			for _, s := range [][3]int{{1, 1, 1}, {1, 70, 33}, {2, 33, 64}, {3, 100, 17}, {5, 257, 48}, {17, 130, 40}, {40, 97, 100}, {1, 3000, 129}, {4, 2001, 64}} {
				checkLinearF32(t, e, r, s[0], s[1], s[2])
			}
			e.Close()
		}
	})
}

func checkLinearF32(t *testing.T, e *Executor, r *rand.Rand, m, n, k int) {
	w := &F32Weights{N: n, K: k, Data: fencedFloats(t, r, n*k)}
	x, bias, residual := fencedFloats(t, r, m*k), fencedFloats(t, r, n), fencedFloats(t, r, m*n)
	dst, sink := slices.Clone(residual), columns{make([]float32, m*n), n}
	ep := &Epilogue{Bias: bias, Activation: ReLU, Residual: dst, ResidualStride: n}
	e.LinearF32(dst, n, x, k, m, w, ep)
	e.LinearF32To(&sink, x, k, m, w, &Epilogue{Bias: bias})
	row := make([]float32, n)
	for i := range m {
		for j := range n {
			y, magnitude := dot64(x[i*k:][:k], w.Data[j*k:][:k])
			y += float64(bias[j])
			within(t, "LinearF32To", float64(sink.all[i*n+j]), y, magnitude+1, 1e-6)
			within(t, "LinearF32", float64(dst[i*n+j]), max(y, 0)+float64(residual[i*n+j]), magnitude+1, 1e-6)
		}
		e.LinearF32(row, n, x[i*k:], k, 1, w, &Epilogue{Bias: bias})
		if !slices.Equal(row, sink.all[i*n:][:n]) {
			t.Fatalf("m %d n %d k %d: row %d differs when computed alone", m, n, k, i)
		}
	}
}

func TestLinearF32Allocations(t *testing.T) {
	e := NewExecutor(2)
	defer e.Close()
	w := &F32Weights{N: 300, K: 64, Data: make([]float32, 300*64)}
	x, dst := make([]float32, 4*64), make([]float32, 4*300)
	ep := &Epilogue{Residual: dst, ResidualStride: 300}
	if n := testing.AllocsPerRun(20, func() { e.LinearF32(dst, 300, x, 64, 4, w, ep) }); n > 0 {
		t.Fatalf("%v allocations a call", n)
	}
}
