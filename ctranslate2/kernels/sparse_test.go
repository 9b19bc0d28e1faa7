package kernels

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sematech/sema/ctranslate2/memory"
)

// withSparse runs a test over the tiers that multiply by transposed weights.
func withSparse(t *testing.T, f func(t *testing.T)) {
	withTiers(t, func(k *s8Kernels) bool { return k.sparse != nil }, f)
}

// transposed gives w a transposed copy, made in some pieces.
func transposed(t testing.TB, w *S8Weights) {
	t.Helper()
	dst := fenced[byte](t, w.TransposedBytes())
	for k := 0; k < w.K; k += 128 {
		to := min(k+128, w.K)
		w.Transpose(dst[k*w.N:to*w.N], k, to)
	}
	w.UseTransposed(dst)
}

// sparse returns m rows of k numbers of which zeros, a part, are zero, as are blocks of them.
func sparse(r *rand.Rand, m, k int, zeros float64) []float32 {
	x := randomFloats(r, m*k)
	for i := range x {
		if x[i] = max(x[i], -x[i]); r.Float64() < zeros || i/100%7 == 3 {
			x[i] = 0
		}
	}
	return x
}

// TestSparse multiplies rows of which more or fewer values are zero by weights with a
// transposed copy: the products are those by definition.
func TestSparse(t *testing.T) {
	withSparse(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for _, threads := range []int{1, 2, 3} {
			e := NewExecutor(threads)
			defer e.Close()
			for _, p := range []product{{1, 64, 64}, {1, 128, 4096}, {2, 192, 128}, {3, 64, 2048}, {4, 576, 192}, {5, 64, 128}, {1, 1024, 320}, {4, 1024, 256}} {
				for _, zeros := range []float64{0, 0.3, 0.6, 0.9, 0.99, 1} {
					t.Run(fmt.Sprint(threads, p, zeros), func(t *testing.T) { testSparse(t, e, r, p, zeros) })
				}
			}
		}
	})
}

// TestSparseAllocatesNothing multiplies by transposed weights without garbage.
func TestSparseAllocatesNothing(t *testing.T) {
	withSparse(t, func(t *testing.T) {
		const n, k = 128, 1024
		r := rand.New(rand.NewPCG(7, 8))
		e := NewExecutor(1)
		defer e.Close()
		w := NewS8Weights(randomBytes(r, n*k), n, k, positive(r, n))
		e.Compensate(w)
		transposed(t, w)
		var q QuantizedRows
		defer q.Free()
		for m := 1; m <= active.s8.sparse.rows; m++ {
			y, before := make([]float32, m*n), e.SkippedBytes()
			e.Quantize(&q, sparse(r, m, k, 0.9), k, m, k, false)
			if allocs := testing.AllocsPerRun(10, func() { e.LinearS8(y, n, &q, w, nil) }); allocs > 0 {
				t.Errorf("%d rows: %v allocations", m, allocs)
			}
			if e.SkippedBytes() == before {
				t.Errorf("%d rows: no weights were skipped", m)
			}
		}
	})
}

func testSparse(t *testing.T, e *Executor, r *rand.Rand, p product, zeros float64) {
	w := NewS8Weights(randomBytes(r, p.n*p.k), p.n, p.k, positive(r, p.n))
	e.Compensate(w)
	transposed(t, w)
	var q QuantizedRows
	defer q.Free()
	e.Quantize(&q, sparse(r, p.m, p.k, zeros), p.k, p.m, p.k, false)
	dst := inGuarded(t, randomFloats(r, p.m*p.n))
	before, skipped := slices.Clone(dst), e.SkippedBytes()
	ep := Epilogue{Bias: inGuarded(t, randomFloats(r, p.n)), Residual: dst, ResidualStride: p.n}
	e.LinearS8(dst, p.n, &q, w, &ep)
	ep.Residual = before
	for i, got := range dst {
		if want := wantS8(&q, w, &ep, i/p.n, i%p.n); got != want {
			t.Fatalf("[%d][%d] is %v, want %v", i/p.n, i%p.n, got, want)
		}
	}
	nonzeros := 0
	for k := range p.k {
		if used(&q, k) {
			nonzeros++
		}
	}
	want := int64(0)
	if p.m <= active.s8.sparse.rows && nonzeros <= p.k/8*sparseMost {
		want = int64((p.k - nonzeros) * p.n)
	}
	if got := e.SkippedBytes() - skipped; got != want {
		t.Errorf("%d bytes were skipped, not %d: %d of %d inputs are no zeros", got, want, nonzeros, p.k)
	}
}

// TestSparseNegative multiplies rows with a negative value, which no rectifier leaves, the
// usual way.
func TestSparseNegative(t *testing.T) {
	withSparse(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(7, 8))
		e := NewExecutor(2)
		defer e.Close()
		p := product{2, 64, 512}
		w := NewS8Weights(randomBytes(r, p.n*p.k), p.n, p.k, positive(r, p.n))
		e.Compensate(w)
		transposed(t, w)
		x := sparse(r, p.m, p.k, 0.9)
		x[700] = -1
		var q QuantizedRows
		defer q.Free()
		e.Quantize(&q, x, p.k, p.m, p.k, false)
		dst := make([]float32, p.m*p.n)
		e.LinearS8(dst, p.n, &q, w, nil)
		for i, got := range dst {
			if want := wantS8(&q, w, &Epilogue{}, i/p.n, i%p.n); got != want {
				t.Fatalf("[%d][%d] is %v, want %v", i/p.n, i%p.n, got, want)
			}
		}
		if e.SkippedBytes() != 0 {
			t.Error("weights were skipped")
		}
	})
}

// TestInputLists lists inputs in memory of just the room that is asked for.
func TestInputLists(t *testing.T) {
	withSparse(t, func(t *testing.T) {
		kernels := active.s8.sparse
		r := rand.New(rand.NewPCG(11, 12))
		for m := 1; m <= kernels.rows; m++ {
			for i, k := range []int{64, 128, 4096} {
				var q QuantizedRows
				q.Resize(m, k)
				zeros := []float64{0, 0.5, 0.95, 1}
				for row := range m {
					q.Set(row, sparse(r, 1, k, zeros[(i+row)%4]), false)
				}
				l := inputList{places: fenced[int32](t, k+16), values: fenced[uint8](t, m*(k+16)), stride: k + 16, rows: m}
				count, negative := kernels.list(&l, q, 64)
				n := 0
				for k := range q.K {
					if used(&q, k) {
						if l.places[n] != int32(64*k) {
							t.Fatalf("%d rows of %d: place %d is %d, want %d", m, q.K, n, l.places[n], 64*k)
						}
						for row := range m {
							if got, want := l.values[row*l.stride+n], q.Data[row*q.Stride+k]-128; got != want {
								t.Fatalf("%d rows of %d: value %d of row %d is %d, want %d", m, q.K, n, row, got, want)
							}
						}
						n++
					}
				}
				if count != n || negative {
					t.Errorf("%d rows of %d: %d inputs, want %d; negative: %t", m, q.K, count, n, negative)
				}
				q.Free()
			}
		}
	})
}

// used reports whether input k is no zero in some row.
func used(q *QuantizedRows, k int) bool {
	for row := range q.Rows {
		if q.Data[row*q.Stride+k] != 128 {
			return true
		}
	}
	return false
}

// TestTransposedShapes wants no copy of weights of other shapes than it is made for.
func TestTransposedShapes(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		for _, p := range []product{{0, 63, 64}, {0, 64, 65}, {0, 1 << 16, 1 << 15}} {
			if n := NewS8Weights(nil, p.n, p.k, nil).TransposedBytes(); n != 0 {
				t.Errorf("%d outputs of %d inputs: %d bytes", p.n, p.k, n)
			}
		}
		want := 0
		if active.s8.sparse != nil {
			want = 1 << 20
		}
		if n := NewS8Weights(nil, 1024, 1024, nil).TransposedBytes(); n != want {
			t.Errorf("1024 outputs of 1024 inputs: %d bytes", n)
		}
	})
}

// BenchmarkSparse multiplies one row and more by layers that are read from memory, with a
// part of the inputs zero.
func BenchmarkSparse(b *testing.B) {
	r := rand.New(rand.NewPCG(9, 10))
	e := NewExecutor(2)
	defer e.Close()
	for _, p := range []product{{1, 1024, 4096}, {2, 1024, 4096}, {4, 1024, 4096}, {1, 2048, 8192}, {4, 2048, 8192}} {
		layers := make([]*S8Weights, (256<<20)/(p.n*p.k))
		for i := range layers {
			layers[i] = NewS8Weights(randomBytes(r, p.n*p.k), p.n, p.k, positive(r, p.n))
		}
		e.Compensate(layers...)
		for _, zeros := range []float64{-1, 0.3, 0.5, 0.8, 0.95} {
			for _, w := range layers {
				if zeros >= 0 && w.transposed == nil && w.TransposedBytes() > 0 {
					w.UseTransposed(huge(b, w.TransposedBytes()))
				}
			}
			var q QuantizedRows
			e.Quantize(&q, sparse(r, p.m, p.k, zeros), p.k, p.m, p.k, false)
			dst := make([]float32, p.m*p.n)
			b.Run(fmt.Sprint(p, zeros), func(b *testing.B) {
				b.SetBytes(int64(p.n * p.k))
				for i := range b.N {
					e.LinearS8(dst, p.n, &q, layers[i%len(layers)], nil)
				}
			})
			q.Free()
		}
	}
}

// huge returns memory in huge pages, not all of whose bytes are zero.
func huge(b *testing.B, n int) []byte {
	all, err := memory.Reserve(n)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { memory.Release(all) })
	memory.AdviseHuge(all, true)
	for i := 0; i < n; i += 4096 {
		all[i] = 1
	}
	return all
}
