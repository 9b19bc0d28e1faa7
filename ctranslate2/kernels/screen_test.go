package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// withCoarse runs a test over the tiers that have coarse weights.
func withCoarse(t *testing.T, f func(t *testing.T)) {
	defer Use("")
	for _, isa := range Available() {
		if err := Use(isa.String()); err != nil {
			t.Fatal(err)
		}
		if active.s8.coarse != nil {
			t.Run(isa.String(), f)
		}
	}
}

// trained makes weights as training leaves them: rows of normal numbers of which
// some stand out, quantized so that the largest of a row is 127.
func trained(r *rand.Rand, n, k int, outliers float64) (*S8Weights, []float32) {
	data, scale, row := make([]int8, n*k), make([]float32, n), make([]float32, k)
	for i := range n {
		for j := range row {
			row[j] = float32(r.NormFloat64() / 32)
			if r.Float64() < outliers {
				row[j] *= 3
			}
		}
		scale[i] = QuantizeWeightsS8(data[i*k:(i+1)*k], row, false)
	}
	return NewS8Weights(data, n, k, scale), row
}

// towards makes activations that have a column of w as their largest, by about a
// share of their length.
func towards(r *rand.Rand, w *S8Weights, column int, share float64) []float32 {
	x := make([]float32, w.K)
	norm := 0.0
	for _, v := range w.Data[column*w.K:][:w.K] {
		norm += float64(v) * float64(v)
	}
	for i := range x {
		x[i] = float32(share*float64(w.Data[column*w.K+i])/math.Sqrt(norm)*math.Sqrt(float64(w.K)) + r.NormFloat64())
	}
	return x
}

// argMax is the definition of what ArgMaxS8 finds.
func argMax(y []float32, skip []int32) Candidate {
	best := Candidate{Index: -1}
	for i, v := range y {
		if !slices.Contains(skip, int32(i)) && (best.Index < 0 || v > best.Score) {
			best = Candidate{int32(i), v}
		}
	}
	return best
}

func TestArgMaxS8(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 9))
		for _, c := range []struct {
			n, k, m  int
			outliers float64
			biased   bool
		}{{4, 128, 1, 0, false}, {1, 1, 1, 0, true}, {5, 48, 2, 0, true}, {2047, 512, 3, 0.01, false}, {2049, 512, 4, 0, true}, {6001, 1024, 5, 0.002, false}, {4099, 1024, 16, 0, false}, {2300, 2048, 21, 0, true}, {400, 4096, 1, 0, false}} {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				e := NewExecutor(2)
				defer e.Close()
				w, _ := trained(r, c.n, c.k, c.outliers)
				w.Data, w.Scale = inGuarded(t, w.Data), inGuarded(t, w.Scale)
				e.Compensate(w)
				var bias []float32
				if c.biased {
					bias = inGuarded(t, randomFloats(r, c.n))
				}
				coarse := e.Coarsen(w, bias, fenced[byte](t, CoarseBytes(w)))
				x := make([]float32, 0, c.m*c.k)
				skip := make([][]int32, c.m)
				for i := range c.m {
					column := r.IntN(c.n)
					row := towards(r, w, column, 1+r.Float64())
					if i%3 == 1 { // without its largest, and the first and the last
						Add(row, towards(r, w, r.IntN(c.n), 1.5+r.Float64()))
						skip[i] = slices.Compact(slices.Sorted(slices.Values([]int32{0, int32(column), int32(c.n - 1)})))
					}
					x = append(x, row...)
				}
				var q QuantizedRows
				defer q.Free()
				e.Quantize(&q, x, c.k, c.m, c.k, false)
				y, best := make([]float32, c.m*c.n), make([]Candidate, c.m)
				e.LinearS8(y, c.n, &q, w, &Epilogue{Bias: bias})
				if !e.ArgMaxS8(best, &q, coarse, skip) {
					t.Fatal("too many columns may be the largest")
				}
				for i := range c.m {
					if want := argMax(y[i*c.n:(i+1)*c.n], skip[i]); best[i] != want {
						t.Errorf("row %d: %v, want %v", i, best[i], want)
					}
				}
			})
		}
	})
}

// TestPairs holds products of pairs to products of levels, which are the same but
// for what is cut off.
func TestPairs(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		kernels := active.s8.coarse
		if kernels.pairs == nil { // the tier has none
			return
		}
		r := rand.New(rand.NewPCG(4, 9))
		e := NewExecutor(1)
		defer e.Close()
		for _, k := range []int{1, 4, 5, 32, 391, 1024, coarseDepth} {
			w := NewS8Weights(anyBytes(r, 40*k), 40, k, positive(r, 40))
			c := e.Coarsen(w, nil, make([]byte, CoarseBytes(w)))
			for m := 1; m <= 19; m++ {
				task := screenTask{c: c, lds: c.depth + 64, signed: anyBytes(r, m*(c.depth+64)), rows: make([]screenRow, m)}
				for i := range task.signed {
					task.signed[i] = min(task.signed[i], pairMost)
				}
				const ldc = coarseColumns + 5
				want, got := make([]int32, m*ldc), inGuarded(t, make([]int32, m*ldc))
				kernels.dots(want, ldc, task.signed, task.lds, m, c.panel(1), c.depth)
				for i := range m {
					task.pairRow(i)
				}
				kernels.pairs(got, ldc, inGuarded(t, task.signed), task.lds, m, inGuarded(t, task.sums), c.panel(1), c.depth)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%d rows of %d: product %d is %d, want %d", m, k, i, got[i], want[i])
					}
				}
			}
		}
	})
}

// TestBounds holds the bounds of products to the products, whatever the weights.
func TestBounds(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(2, 9))
		const n, k = 203, 391
		e := NewExecutor(1)
		defer e.Close()
		for round := range 60 {
			w := NewS8Weights(anyBytes(r, n*k), n, k, positive(r, n))
			for i := range w.Data {
				switch round % 3 {
				case 1:
					w.Data[i] /= 16
				case 2:
					w.Data[i] &= 0x70
				}
			}
			e.Compensate(w)
			bias := randomFloats(r, n)
			c := e.Coarsen(w, bias, fenced[byte](t, CoarseBytes(w)))
			var q QuantizedRows
			defer q.Free()
			x := randomFloats(r, k)
			x[r.IntN(k)] *= float32(1 + round) // what stands out makes the others small
			e.Quantize(&q, x, k, 1, k, false)
			y, upper, dots := make([]float32, n), inGuarded(t, make([]float32, n)), make([]int32, n+coarseColumns)
			e.LinearS8(y, n, &q, w, &Epilogue{Bias: bias})
			task := screenTask{e: e, a: &q, c: c}
			if !task.prepare() {
				t.Fatal("ordinary numbers are refused")
			}
			if active.s8.coarse.pairs != nil && round%2 == 1 { // also of rows that many activations are cut off of
				task.pairRow(0)
			}
			for p := range w.panels() {
				task.dots(dots[p*coarseColumns:], 0, 1, p*coarseColumns, min((p+1)*coarseColumns, n))
			}
			floor := y[r.IntN(n)]
			top, reached := active.s8.coarse.bounds(upper, inGuarded(t, dots[:n]), c.factor, c.radius, bias, &task.rows[0], floor)
			for i := range y {
				if y[i] > upper[i] {
					t.Fatalf("round %d: column %d is %v, over its bound %v", round, i, y[i], upper[i])
				}
			}
			if want := slices.Max(upper); top != want {
				t.Fatalf("round %d: the largest bound is %v, want %v", round, top, want)
			}
			want := 0
			for _, v := range upper {
				if v >= floor {
					want++
				}
			}
			if reached != want {
				t.Fatalf("round %d: %d bounds are at least %v, want %d", round, reached, floor, want)
			}
		}
	})
}

// TestCoarsenRefuses: numbers for which bounds would not hold.
func TestCoarsenRefuses(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		e := NewExecutor(1)
		defer e.Close()
		inf, nan := float32(math.Inf(1)), float32(math.NaN())
		for _, c := range []struct{ scale, bias float32 }{{0, 0}, {-1, 0}, {1e-13, 0}, {1e13, 0}, {inf, 0}, {nan, 0}, {1, inf}, {1, -inf}, {1, nan}, {1, 1e16}} {
			w := NewS8Weights(make([]int8, 40*32), 40, 32, positive(rand.New(rand.NewPCG(3, 9)), 40))
			bias := make([]float32, 40)
			w.Scale[39], bias[39] = c.scale, c.bias
			if e.Coarsen(w, bias, make([]byte, CoarseBytes(w))) != nil {
				t.Errorf("scale %v and bias %v are taken", c.scale, c.bias)
			}
		}
	})
}

// TestLeftOutColumnsHideNone: a column that is left out, with the largest factor
// and the largest activations, does not make the bounds beside it disappear.
func TestLeftOutColumnsHideNone(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		const n, k = 3 * screenChunk, 64
		w := NewS8Weights(make([]int8, n*k), n, k, make([]float32, n))
		set := func(column int, v int8, scale float32) {
			for j := range k {
				w.Data[column*k+j] = v
			}
			w.Scale[column] = scale
		}
		for i := range n {
			set(i, 0, 1e11)
		}
		set(0, 9, 1.1e-12) // of a high bound and a small product
		for j := 1; j < k; j += 2 {
			w.Data[j] = -9
		}
		for i := range 400 { // too many to set aside
			set(screenChunk+32+i, 1, 1e-3)
		}
		set(screenChunk, 120, 1e-10)
		set(screenChunk+800, 127, 1.1e-12) // left out
		set(2*screenChunk+5, 110, 1e-10)
		e := NewExecutor(1)
		defer e.Close()
		e.Compensate(w)
		c := e.Coarsen(w, nil, make([]byte, CoarseBytes(w)))
		x := make([]float32, k)
		for j := range x {
			x[j] = 0.9e12 * 127
		}
		var q QuantizedRows
		defer q.Free()
		e.Quantize(&q, x, k, 1, k, false)
		y, best, skip := make([]float32, n), make([]Candidate, 1), []int32{screenChunk + 800}
		e.LinearS8(y, n, &q, w, nil)
		if !e.ArgMaxS8(best, &q, c, [][]int32{skip}) {
			t.Fatal("refused")
		}
		if want := argMax(y, skip); best[0] != want {
			t.Errorf("%v, want %v", best[0], want)
		}
	})
}

func TestArgMaxS8OfNoRows(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		e := NewExecutor(2)
		defer e.Close()
		w := NewS8Weights(make([]int8, 40*32), 40, 32, positive(rand.New(rand.NewPCG(3, 9)), 40))
		e.Compensate(w)
		c := e.Coarsen(w, nil, make([]byte, CoarseBytes(w)))
		var q QuantizedRows
		defer q.Free()
		e.Quantize(&q, nil, 32, 0, 32, false)
		if !e.ArgMaxS8(nil, &q, c, nil) {
			t.Error("refused")
		}
	})
}

// FuzzArgMaxS8 holds what is found to the products, bit for bit.
func FuzzArgMaxS8(f *testing.F) {
	f.Add(uint64(1), uint16(4), uint8(0), uint8(1), false)
	f.Add(uint64(2), uint16(2049), uint8(3), uint8(5), true)
	f.Fuzz(func(t *testing.T, seed uint64, columns uint16, groups, m uint8, biased bool) {
		withCoarse(t, func(t *testing.T) { testArgMaxS8(t, seed, columns, groups, m, biased) })
	})
}

func testArgMaxS8(t *testing.T, seed uint64, columns uint16, groups, m uint8, biased bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	n, k, rows := 1+int(columns%4096), 1+int(groups)*3, 1+int(m%9)
	e := NewExecutor(1 + int(seed%3))
	defer e.Close()
	w := NewS8Weights(anyBytes(r, n*k), n, k, positive(r, n))
	e.Compensate(w)
	var bias []float32
	if biased {
		bias = randomFloats(r, n)
	}
	c := e.Coarsen(w, bias, make([]byte, CoarseBytes(w)))
	x := randomFloats(r, rows*k)
	for i := range rows {
		Add(x[i*k:(i+1)*k], towards(r, w, r.IntN(n), 4*r.Float64()))
	}
	var q QuantizedRows
	defer q.Free()
	e.Quantize(&q, x, k, rows, k, false)
	best, y := make([]Candidate, rows), make([]float32, rows*n)
	if !e.ArgMaxS8(best, &q, c, nil) {
		return
	}
	e.LinearS8(y, n, &q, w, &Epilogue{Bias: bias})
	for i := range rows {
		if want := argMax(y[i*n:(i+1)*n], nil); best[i] != want {
			t.Fatalf("row %d of %d, %d columns of %d: %v, want %v", i, rows, n, k, best[i], want)
		}
	}
}

// BenchmarkArgMaxS8 finds the largest product with NLLB's vocabulary.
func BenchmarkArgMaxS8(b *testing.B) {
	const n, k = 256206, 1024
	if active.s8.coarse == nil {
		b.Skip("this tier has no coarse weights")
	}
	r := rand.New(rand.NewPCG(1, 1))
	data, scale := make([]int8, n*k), make([]float32, n)
	for i := range data {
		data[i] = int8(max(min(r.NormFloat64()*38, 127), -127))
	}
	for i := range scale {
		scale[i] = 3600
	}
	e := NewExecutor(DefaultThreads())
	defer e.Close()
	w := NewS8Weights(data, n, k, scale)
	e.Compensate(w)
	b.Run("Coarsen", func(b *testing.B) {
		memory := make([]byte, CoarseBytes(w))
		for b.Loop() {
			e.Coarsen(w, nil, memory)
		}
	})
	c := e.Coarsen(w, nil, make([]byte, CoarseBytes(w)))
	for _, m := range []int{1, 4, 8, 16} {
		var x []float32
		for range m {
			x = append(x, towards(r, w, r.IntN(n), 0.5)...)
		}
		var q QuantizedRows
		defer q.Free()
		e.Quantize(&q, x, k, m, k, false)
		best := make([]Candidate, m)
		b.Run(fmt.Sprintf("m%d", m), func(b *testing.B) {
			for b.Loop() {
				if !e.ArgMaxS8(best, &q, c, nil) {
					b.Fatal("too many columns may be the largest")
				}
			}
		})
	}
}

// BenchmarkLevels multiplies 16 rows by levels that lie in the cache, as products
// and as products of pairs.
func BenchmarkLevels(b *testing.B) {
	const n, k, m = 256, 1024, 16
	kernels := active.s8.coarse
	if kernels == nil {
		b.Skip("this tier has no coarse weights")
	}
	r := rand.New(rand.NewPCG(1, 1))
	e := NewExecutor(1)
	defer e.Close()
	w, _ := trained(r, n, k, 0)
	task := screenTask{c: e.Coarsen(w, nil, make([]byte, CoarseBytes(w))), lds: k + 64, signed: anyBytes(r, m*(k+64)), rows: make([]screenRow, m)}
	dst := make([]int32, m*chunkStride)
	run := func(b *testing.B) {
		for b.Loop() {
			task.dots(dst, 0, m, 0, n)
		}
		b.ReportMetric(2*n*k*m*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOPS")
	}
	b.Run("products", run)
	if kernels.pairs != nil {
		for i := range m {
			task.pairRow(i)
		}
		b.Run("pairs", run)
	}
}
