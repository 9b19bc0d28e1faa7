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
	withTiers(t, func(k *s8Kernels) bool { return k.coarse != nil }, f)
}

// screened are weights in one of the forms that have coarse copies.
type screened struct {
	s8  *S8Weights
	f32 *F32Weights
}

// forms make screened weights of int8 weights.
var forms = map[string]func(w *S8Weights) *screened{
	"int8": func(w *S8Weights) *screened { return &screened{s8: w} },
	"float32": func(w *S8Weights) *screened { // that are no multiples of anything
		x := make([]float32, w.N*w.K)
		for i, v := range w.Data {
			x[i] = float32(v) / w.Scale[i/w.K] * float32(1+0.004*math.Sin(float64(i)))
		}
		return &screened{f32: &F32Weights{N: w.N, K: w.K, Data: x}}
	},
}

// withForms runs a test over the forms, in the tiers that have coarse weights.
func withForms(t *testing.T, f func(t *testing.T, form func(w *S8Weights) *screened)) {
	withCoarse(t, func(t *testing.T) {
		for name, form := range forms {
			t.Run(name, func(t *testing.T) { f(t, form) })
		}
	})
}

// guard moves the weights to where nothing around them can be read.
func (w *screened) guard(t *testing.T) {
	if w.s8 != nil {
		w.s8.Data, w.s8.Scale = inGuarded(t, w.s8.Data), inGuarded(t, w.s8.Scale)
	} else {
		w.f32.Data = inGuarded(t, w.f32.Data)
	}
}

// coarsen makes the coarse copy in memory of its size that memory gives.
func (w *screened) coarsen(e *Executor, bias []float32, memory func(n int) []byte) *CoarseWeights {
	if w.s8 != nil {
		e.Compensate(w.s8)
		return made(e, NewCoarseS8(w.s8, bias, memory(BoundBytes(w.s8.N))), memory)
	}
	return made(e, NewCoarseF32(w.f32, bias, memory(BoundBytes(w.f32.N))), memory)
}

// made makes c, in two parts, or returns nil if its numbers are not fit for bounds.
func made(e *Executor, c *CoarseWeights, memory func(n int) []byte) *CoarseWeights {
	levels, half := memory(LevelBytes(c.n, c.k)), c.Panels()/3
	if !e.Coarsen(c, 0, half, levels) || !e.Coarsen(c, half, c.Panels(), levels[half*c.PanelBytes():]) {
		return nil
	}
	c.UseLevels(levels)
	return c
}

// plain is memory for coarsen.
func plain(n int) []byte { return make([]byte, n) }

// linear computes the products of rows with all n columns.
func (w *screened) linear(e *Executor, a ScreenRows, n int, bias []float32) []float32 {
	y := make([]float32, a.Rows*n)
	if w.s8 != nil {
		e.LinearS8(y, n, a.QuantizedRows, w.s8, &Epilogue{Bias: bias})
	} else {
		e.LinearF32(y, n, a.X, a.LdX, a.Rows, w.f32, &Epilogue{Bias: bias})
	}
	return y
}

// screenRows quantizes m rows of k.
func screenRows(t testing.TB, e *Executor, x []float32, m, k int) ScreenRows {
	q := new(QuantizedRows)
	t.Cleanup(q.Free)
	e.Quantize(q, x, k, m, k, false)
	return ScreenRows{q, x, k}
}

// trained makes weights as training leaves them: rows of normal numbers of which
// some stand out, quantized so that the largest of a row is 127.
func trained(r *rand.Rand, n, k int, outliers float64) *S8Weights {
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
	return NewS8Weights(data, n, k, scale)
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

// argMax is the definition of what LinearArgMax finds.
func argMax(y []float32, skip []int32) Candidate {
	best := Candidate{Index: -1}
	for i, v := range y {
		if !slices.Contains(skip, int32(i)) && (best.Index < 0 || v > best.Score) {
			best = Candidate{int32(i), v}
		}
	}
	return best
}

func TestLinearArgMax(t *testing.T) {
	withForms(t, func(t *testing.T, form func(*S8Weights) *screened) {
		r := rand.New(rand.NewPCG(1, 9))
		for _, c := range []struct {
			n, k, m  int
			outliers float64
			biased   bool
		}{{4, 128, 1, 0, false}, {1, 1, 1, 0, true}, {5, 48, 2, 0, true}, {2047, 512, 3, 0.01, false}, {2049, 512, 4, 0, true}, {6001, 1024, 5, 0.002, false}, {4099, 1024, 16, 0, false}, {2300, 2048, 21, 0, true}, {400, 4096, 1, 0, false}} {
			t.Run(fmt.Sprint(c), func(t *testing.T) {
				e := NewExecutor(2)
				defer e.Close()
				w := trained(r, c.n, c.k, c.outliers)
				screened := form(w)
				screened.guard(t)
				var bias []float32
				if c.biased {
					bias = inGuarded(t, randomFloats(r, c.n))
				}
				coarse := screened.coarsen(e, bias, func(n int) []byte { return fenced[byte](t, n) })
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
				rows, best := screenRows(t, e, inGuarded(t, x), c.m, c.k), make([]Candidate, c.m)
				y := screened.linear(e, rows, c.n, bias)
				if !e.LinearArgMax(best, rows, coarse, skip) {
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

// TestOneRowHidesNoOthers: neither a row of zeros, as padding tokens have, nor one
// that is far longer than the others keeps the largest from being found early.
func TestOneRowHidesNoOthers(t *testing.T) {
	withForms(t, func(t *testing.T, form func(*S8Weights) *screened) {
		const n, k = 16 * screenChunk, 512
		r := newRand()
		w := trained(r, n, k, 0)
		x := towards(r, w, n/2, 2)
		clear(w.Data[k : 2*k])
		w.Scale[1] = 1
		for j := 0; j < k; j += 2 { // at a right angle to x
			w.Data[2*k+j], w.Data[2*k+j+1] = int8(20*x[j+1]), int8(-20*x[j])
		}
		w.Scale[2] /= 50
		e := NewExecutor(1)
		defer e.Close()
		screened := form(w)
		c := screened.coarsen(e, nil, plain)
		rows, best := screenRows(t, e, x, 1, k), make([]Candidate, 1)
		if !e.LinearArgMax(best, rows, c, nil) || best[0] != argMax(screened.linear(e, rows, n, nil), nil) {
			t.Fatalf("%v", best[0])
		}
		if f := e.screen.found[0]; len(f.columns)+len(f.chunks)*chunkPrice > 2*chunkPrice {
			t.Errorf("%d columns and %d chunks are left", len(f.columns), len(f.chunks))
		}
	})
}

// TestBoundsAtWorst: what bytes lose of activations, or of weights, all in one
// direction.
func TestBoundsAtWorst(t *testing.T) {
	ones := func(j int) float32 { return float32(1 - j/2%2*2) }
	activations := func(j int) float32 { return float32(3-j%2*6) + 0.49*ones(j) }
	withCoarse(t, func(t *testing.T) {
		const n, k = 3, 512
		x, w := make([]float32, k), make([]float32, n*k)
		for j := range k { // the first row is the longest, the last of zeros but one
			x[j], w[j] = activations(j), ones(j)
		}
		x[0], w[(n-1)*k] = 127, 1
		boundsHold(t, x, w, n)
		for j := range k {
			x[j], w[j] = 1, 9.49
		}
		w[0] = 127
		boundsHold(t, x, w, n)
	})
}

// boundsHold compares the products of x with n rows of w with their bounds.
func boundsHold(t *testing.T, x, w []float32, n int) {
	t.Helper()
	e := NewExecutor(1)
	defer e.Close()
	f := &screened{f32: &F32Weights{N: n, K: len(x), Data: w}}
	rows := screenRows(t, e, x, 1, len(x))
	task := screenTask{e: e, a: rows, c: f.coarsen(e, nil, plain)}
	if !task.prepare() {
		t.Fatal("refused")
	}
	dots, found := make([]int32, coarseColumns), &found{}
	task.dots(dots, 0, 1, 0, n)
	all := task.reaching(found, 0, 0, dots[:n])
	for i, y := range f.linear(e, rows, n, nil) {
		if y > all[i].upper {
			t.Errorf("column %d is %v, over its bound %v", i, y, all[i].upper)
		}
	}
}

// TestBounds holds the bounds of products to the products, whatever the weights.
func TestBounds(t *testing.T) {
	withForms(t, func(t *testing.T, form func(*S8Weights) *screened) {
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
			screened, bias := form(w), randomFloats(r, n)
			c := screened.coarsen(e, bias, func(n int) []byte { return fenced[byte](t, n) })
			x := randomFloats(r, k)
			x[r.IntN(k)] *= float32(1 + round) // what stands out makes the others small
			rows := screenRows(t, e, x, 1, k)
			y, dots := screened.linear(e, rows, n, bias), make([]int32, n+coarseColumns)
			task := screenTask{e: e, a: rows, c: c}
			if !task.prepare() {
				t.Fatal("ordinary numbers are refused")
			}
			if active.s8.coarse.pairs != nil && round%2 == 1 { // also of rows that many activations are cut off of
				task.pairRow(0)
			}
			for p := range coarsePanels(n) {
				task.dots(dots[p*coarseColumns:], 0, 1, p*coarseColumns, min((p+1)*coarseColumns, n))
			}
			reaching := func(floor float32) []bounded {
				dst := fenced[bounded](t, n+16)
				return dst[:active.s8.coarse.reaching(dst, inGuarded(t, dots[:n]), c.factor, c.radius, bias, &task.rows[0], 0, floor)]
			}
			all := reaching(none.Score)
			for i := range y {
				if all[i].column != int32(i) || y[i] > all[i].upper {
					t.Fatalf("round %d: column %d is %v, its bound %v", round, i, y[i], all[i])
				}
			}
			floor := y[r.IntN(n)]
			some := reaching(floor)
			for i, b := range all {
				listed := len(some) > 0 && some[0] == b
				if listed {
					some = some[1:]
				}
				if !listed && y[i] >= floor || listed && b.upper < floor-1e-6*abs32(floor) {
					t.Fatalf("round %d: column %d is %v, its bound %v, floor %v: listed %v", round, i, y[i], b, floor, listed)
				}
			}
			if len(some) > 0 {
				t.Fatalf("round %d: bound %v is no column's", round, some[0])
			}
		}
	})
}

func abs32(x float32) float32 { return float32(math.Abs(float64(x))) }

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
			if forms["int8"](w).coarsen(e, bias, plain) != nil {
				t.Errorf("scale %v and bias %v are taken", c.scale, c.bias)
			}
		}
		for _, c := range []struct{ weight, bias float32 }{{inf, 0}, {-inf, 0}, {nan, 0}, {1e15, 0}, {1e-14, 0}, {1, inf}, {1, nan}, {1, 1e16}} {
			x, bias := make([]float32, 40*33), make([]float32, 40)
			x[40*33-1], bias[39] = c.weight, c.bias
			if made(e, NewCoarseF32(&F32Weights{N: 40, K: 33, Data: x}, bias, plain(BoundBytes(40))), plain) != nil {
				t.Errorf("weight %v and bias %v are taken", c.weight, c.bias)
			}
		}
	})
}

// TestScreensNumbersOnly: activations that are not all numbers are left to the product.
func TestScreensNumbersOnly(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		e := NewExecutor(1)
		defer e.Close()
		const n, k = 40, 70
		c := forms["float32"](trained(newRand(), n, k, 0)).coarsen(e, nil, plain)
		for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1)), 1e20} {
			x := randomFloats(newRand(), k)
			x[k-1] = v
			if e.LinearArgMax(make([]Candidate, 1), screenRows(t, e, x, 1, k), c, nil) {
				t.Errorf("a row with %v is screened", v)
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
		for i := range chunkMost + 376 { // too many to set aside
			set(screenChunk+32+i, 1, 1e-3)
		}
		set(screenChunk, 120, 1e-10)
		set(screenChunk+1800, 127, 1.1e-12) // left out
		set(2*screenChunk+5, 110, 1e-10)
		e := NewExecutor(1)
		defer e.Close()
		screened := forms["int8"](w)
		c := screened.coarsen(e, nil, plain)
		x := make([]float32, k)
		for j := range x {
			x[j] = 0.9e12 * 127
		}
		rows, best, skip := screenRows(t, e, x, 1, k), make([]Candidate, 1), []int32{screenChunk + 1800}
		y := screened.linear(e, rows, n, nil)
		if !e.LinearArgMax(best, rows, c, [][]int32{skip}) {
			t.Fatal("refused")
		}
		if want := argMax(y, skip); best[0] != want {
			t.Errorf("%v, want %v", best[0], want)
		}
	})
}

// TestNarrowChunkSetAside: a last chunk that is no whole number of panels, in which too
// many columns may be the largest to set them aside one by one.
func TestNarrowChunkSetAside(t *testing.T) {
	withForms(t, func(t *testing.T, form func(*S8Weights) *screened) {
		const n, k = screenChunk + chunkMost + 276, 512
		w := trained(newRand(), n, k, 0)
		x := towards(newRand(), w, n-1, 1)
		for i := screenChunk; i < n-1; i++ { // all the same
			copy(w.Data[i*k:(i+1)*k], w.Data[(n-1)*k:])
			w.Scale[i] = w.Scale[n-1]
		}
		e := NewExecutor(2)
		defer e.Close()
		screened := form(w)
		c := screened.coarsen(e, nil, plain)
		for _, m := range []int{1, 4} {
			rows, best := screenRows(t, e, slices.Repeat(x, m), m, k), make([]Candidate, m)
			if !e.LinearArgMax(best, rows, c, nil) {
				t.Fatal("refused")
			}
			for r, y := range slices.Collect(slices.Chunk(screened.linear(e, rows, n, nil), n)) {
				if want := argMax(y, nil); best[r] != want || want.Index < screenChunk {
					t.Errorf("row %d of %d: %v, want %v", r, m, best[r], want)
				}
			}
			if !slices.ContainsFunc(e.screen.found, func(f found) bool { return len(f.chunks) > 0 }) {
				t.Error("no chunk was screened again")
			}
		}
	})
}

func TestLinearArgMaxOfNoRows(t *testing.T) {
	withForms(t, func(t *testing.T, form func(*S8Weights) *screened) {
		e := NewExecutor(2)
		defer e.Close()
		c := form(trained(newRand(), 40, 32, 0)).coarsen(e, nil, plain)
		if !e.LinearArgMax(nil, screenRows(t, e, nil, 0, 32), c, nil) {
			t.Error("refused")
		}
	})
}

// FuzzLinearArgMax holds what is found to the products, bit for bit.
func FuzzLinearArgMax(f *testing.F) {
	f.Add(uint64(1), uint16(4), uint8(0), uint8(1), false)
	f.Add(uint64(2), uint16(2049), uint8(3), uint8(5), true)
	f.Add(uint64(3), uint16(1000), uint8(42), uint8(8), true)
	f.Fuzz(func(t *testing.T, seed uint64, columns uint16, groups, m uint8, biased bool) {
		withForms(t, func(t *testing.T, form func(*S8Weights) *screened) {
			testLinearArgMax(t, form, seed, columns, groups, m, biased)
		})
	})
}

func testLinearArgMax(t *testing.T, form func(*S8Weights) *screened, seed uint64, columns uint16, groups, m uint8, biased bool) {
	r := rand.New(rand.NewPCG(seed, 1))
	n, k, rows := 1+int(columns%4096), 1+int(groups)*3, 1+int(m%9)
	e := NewExecutor(1 + int(seed%3))
	defer e.Close()
	w := NewS8Weights(anyBytes(r, n*k), n, k, positive(r, n))
	screened := form(w)
	var bias []float32
	if biased {
		bias = randomFloats(r, n)
	}
	c := screened.coarsen(e, bias, plain)
	x := randomFloats(r, rows*k)
	for i := range rows {
		Add(x[i*k:(i+1)*k], towards(r, w, r.IntN(n), 4*r.Float64()))
	}
	a, best := screenRows(t, e, x, rows, k), make([]Candidate, rows)
	if !e.LinearArgMax(best, a, c, nil) {
		return
	}
	y := screened.linear(e, a, n, bias)
	for i := range rows {
		if want := argMax(y[i*n:(i+1)*n], nil); best[i] != want {
			t.Fatalf("row %d of %d, %d columns of %d: %v, want %v", i, rows, n, k, best[i], want)
		}
	}
}

// BenchmarkLinearArgMax finds the largest product with NLLB's vocabulary.
func BenchmarkLinearArgMax(b *testing.B) {
	const n, k = 256206, 1024
	if active.s8.coarse == nil {
		b.Skip("this tier has no coarse weights")
	}
	e := NewExecutor(DefaultThreads())
	defer e.Close()
	w := trained(newRand(), n, k, 0)
	for name, form := range forms {
		screened, room := form(w), map[int][]byte{}
		memory := func(n int) []byte { // the same each time
			if room[n] == nil {
				room[n] = make([]byte, n)
			}
			return room[n]
		}
		if w.Comp == nil {
			e.Compensate(w)
		}
		c := screened.coarsen(e, nil, memory)
		b.Run(name+"/Coarsen", func(b *testing.B) {
			for b.Loop() {
				screened.coarsen(e, nil, memory)
			}
		})
		for _, m := range []int{1, 4, 8, 16} {
			var x []float32
			for range m {
				x = append(x, towards(newRand(), w, m*1000, 0.5)...)
			}
			rows, best := screenRows(b, e, x, m, k), make([]Candidate, m)
			b.Run(fmt.Sprintf("%s/m%d", name, m), func(b *testing.B) {
				for b.Loop() {
					if !e.LinearArgMax(best, rows, c, nil) {
						b.Fatal("too many columns may be the largest")
					}
				}
			})
		}
	}
}

// TestReaching lists columns whose bounds reach a floor, in memory of just the room that
// is asked for.
func TestReaching(t *testing.T) {
	inf := float32(math.Inf(1))
	withCoarse(t, func(t *testing.T) {
		r := newRand()
		for n := range 300 {
			dots, factor, radius, bias := fenced[int32](t, n), fenced[float32](t, n), fenced[float32](t, n), fenced[float32](t, n)
			row := &screenRow{shift: 3, inverse: 0.5, reach: 2, least: 1}
			upper := make([]float32, n)
			for _, biased := range []bool{false, true} {
				for i := range dots {
					dots[i], factor[i], radius[i], bias[i] = int32(r.IntN(9)), float32(r.IntN(3)), float32(r.IntN(3)), 0
					upper[i] = (float32(dots[i])-3)*factor[i]*0.5 + radius[i] + 1
					if biased {
						bias[i] = float32(r.IntN(3) - 1)
						upper[i] += bias[i]
					}
				}
				some := bias
				if !biased {
					some = nil
				}
				for _, floor := range []float32{-inf, -1, 0, 2, 4.5, 1e9, inf} {
					dst := fenced[bounded](t, n+16)
					var want []bounded
					for i, u := range upper {
						if u >= floor {
							want = append(want, bounded{int32(100 + i), u})
						}
					}
					got := dst[:active.s8.coarse.reaching(dst, dots, factor, radius, some, row, 100, floor)]
					if !slices.EqualFunc(got, want, func(a, b bounded) bool { return a.column == b.column && abs32(a.upper-b.upper) < 1e-4 }) {
						t.Fatalf("%d bounds, floor %v: %v, want %v of %v", n, floor, got, want, upper)
					}
				}
			}
		}
	})
}
