package kernels

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// everyISA runs a test over all tiers that the machine has.
func everyISA(t *testing.T, f func(t *testing.T)) {
	withTiers(t, func(*s8Kernels) bool { return true }, f)
}

// withTiers runs a test over those of the machine's tiers whose kernels have what it tests.
func withTiers(t *testing.T, have func(*s8Kernels) bool, f func(t *testing.T)) {
	defer Use("")
	for _, isa := range Available() {
		if err := Use(isa.String()); err != nil {
			t.Fatal(err)
		}
		if have(&active.s8) {
			t.Run(isa.String(), f)
		}
	}
}

// inGuarded copies s to memory whose neighbours may not be touched.
func inGuarded[T any](t testing.TB, s []T) []T {
	t.Helper()
	g := fenced[T](t, len(s))
	copy(g, s)
	return g
}

func randomFloats(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func randomBytes(r *rand.Rand, n int) []int8 {
	x := make([]int8, n)
	for i := range x {
		x[i] = int8(r.IntN(255) - 127)
	}
	return x
}

func positive(r *rand.Rand, n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = 50 + 4000*r.Float32()
	}
	return x
}

// product is the shape of a product to test.
type product struct{ m, n, k int }

func someProducts() []product {
	all := []product{{1, 1, 1}, {1, 7, 3}, {1, 8, 64}, {3, 31, 65}, {9, 32, 64}, {9, 33, 100}, {16, 70, 129}, {17, 100, 300}, {40, 64, 256}, {1, 300, 4096}, {5, 130, 2049},
		{8, 67, 2100}, {33, 96, 4100}, {2, 40, 8192}, {49, 40, 2112}, {150, 40, 1152}, {16, 400, 2048}, {18, 600, 1024}, {33, 1100, 64},
		{40, 100, 576}, {70, 75, 704}, {128, 40, 1024}, {129, 40, 1024}, {77, 33, 1088}} // several blocks of rows, an odd one too, of as many as depth allows and one more
	for m := 1; m <= 20; m++ {
		all = append(all, product{m, 45, 70}, product{m, 33, 191}, product{m, 45, 2000 + m})
	}
	for _, m := range []int{2, 12, 13, 15, 16, 17, 21, 28, 29, 31, 32, 33, 47, 70} { // whole tiles, and a little less and more
		all = append(all, product{m, 32, 64}, product{m, 75, 192})
	}
	for m := 2; m <= 12; m++ { // few rows, by columns of an odd number and of a chunk of one
		all = append(all, product{m, 33, 128}, product{m, 47, 1088})
	}
	for _, m := range []int{12, 16, 17, 24, 25, 33, 41, 49, 56} { // blocks of two and three registers of rows, with columns for each
		all = append(all, product{m, 150, 128}, product{m, 136, 1088})
	}
	return all
}

// wantS8 is an element of a product by definition, with the reference's roundings.
func wantS8(q *QuantizedRows, w *S8Weights, ep *Epilogue, r, n int) float32 {
	var c int32
	for k := range w.K {
		c += (int32(q.Data[r*q.Stride+k]) - 128) * int32(w.Data[n*w.K+k])
	}
	y := float32(float32(c)*q.InvScale[r]) / w.Scale[n]
	if ep.Bias != nil {
		y += ep.Bias[n]
	}
	one := []float32{y}
	ep.Activation.apply(one)
	if ep.Residual != nil {
		one[0] += ep.Residual[r*ep.ResidualStride+n]
	}
	return one[0]
}

func TestLinearS8(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(1, 2))
		for _, threads := range []int{1, 3} {
			e := NewExecutor(threads)
			for i, p := range someProducts() {
				testLinearS8(t, e, r, p, i)
			}
			e.Close()
		}
	})
}

func testLinearS8(t *testing.T, e *Executor, r *rand.Rand, p product, i int) {
	t.Helper()
	w := NewS8Weights(inGuarded(t, randomBytes(r, p.n*p.k)), p.n, p.k, inGuarded(t, positive(r, p.n)))
	e.Compensate(w)
	x := inGuarded(t, randomFloats(r, p.m*p.k))
	ep := Epilogue{Bias: inGuarded(t, randomFloats(r, p.n)), Activation: []Activation{None, ReLU, Swish}[i%3]}
	ldd := p.n + i%3
	dst := inGuarded(t, randomFloats(r, p.m*ldd))
	if i%4 == 1 {
		ep.Bias = nil
	}
	before := slices.Clone(dst)
	if i%4 >= 2 { // the destination is the residual
		ep.Residual, ep.ResidualStride = dst, ldd
	}
	var q QuantizedRows
	defer q.Free()
	e.Quantize(&q, x, p.k, p.m, p.k, false)
	e.LinearS8(dst, ldd, &q, w, &ep)
	if ep.Residual != nil {
		ep.Residual = before
	}
	for row := range p.m {
		for n := range p.n {
			if got, want := dst[row*ldd+n], wantS8(&q, w, &ep, row, n); got != want {
				t.Fatalf("%+v: [%d][%d] is %v, want %v", p, row, n, got, want)
			}
		}
		for n := p.n; n < ldd; n++ {
			if dst[row*ldd+n] != before[row*ldd+n] {
				t.Fatalf("%+v: wrote beyond row %d", p, row)
			}
		}
	}
}

// TestWeightsAnywhere multiplies by weights that lie at each distance behind a
// line's start, among other bytes, as the rows of activations do.
func TestWeightsAnywhere(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(3, 4))
		e := NewExecutor(2)
		defer e.Close()
		for _, k := range []int{64, 192} {
			for shift := range 64 {
				testWeightsAt(t, e, r, 45, k, shift)
			}
		}
		for _, shift := range []int{0, 1, 3, 4, 5, 15, 16, 33, 63} { // columns in the same sets of a cache
			testWeightsAt(t, e, r, 45, 2048, shift)
		}
	})
}

func testWeightsAt(t *testing.T, e *Executor, r *rand.Rand, n, k, shift int) {
	t.Helper()
	around := inGuarded(t, randomBytes(r, n*k+64)) // whole lines
	w := NewS8Weights(around[shift:][:n*k], n, k, positive(r, n))
	if at := int(w.address(0) % 64); at != shift {
		t.Fatalf("the weights lie %d bytes behind a line's start, not %d", at, shift)
	}
	e.Compensate(w)
	for _, m := range []int{1, 2, 9, 16, 17, 26} {
		var q QuantizedRows
		for i, all := 0, q.memory.Grow(4*m*k+1024); i < len(all); i++ {
			all[i] = byte(r.Uint32())
		}
		e.Quantize(&q, randomFloats(r, m*k), k, m, k, false)
		dst := make([]float32, m*n)
		e.LinearS8(dst, n, &q, w, nil)
		for i, got := range dst {
			if want := wantS8(&q, w, &Epilogue{}, i/n, i%n); got != want {
				t.Fatalf("%d rows of %d, %d bytes behind a line's start: [%d][%d] is %v, want %v", m, k, shift, i/n, i%n, got, want)
			}
		}
		q.Free()
	}
}

// collector is a sink that stores what it is given.
type collector struct {
	dst []float32
	ld  int
}

func (c *collector) Columns(_, n0, n1 int, tile []float32, ldt int) {
	for r := 0; r*ldt < len(tile); r++ {
		copy(c.dst[r*c.ld+n0:], tile[r*ldt:r*ldt+n1-n0])
	}
}

func TestSinksAndBatches(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		for _, k := range []int{200, 192} {
			testSinksAndBatches(t, 1500, k, 21)
		}
	})
}

func testSinksAndBatches(t *testing.T, n, k, m int) {
	r := rand.New(rand.NewPCG(3, 4))
	w8 := NewS8Weights(randomBytes(r, n*k), n, k, positive(r, n))
	w32 := &F32Weights{N: n, K: k, Data: randomFloats(r, n*k)}
	x := randomFloats(r, m*k)
	e := NewExecutor(2)
	defer e.Close()
	e.Compensate(w8)
	run := map[string]func(dst []float32, x []float32, m int, sink bool){
		"int8": func(dst, x []float32, m int, sink bool) {
			var q QuantizedRows
			defer q.Free()
			e.Quantize(&q, x, k, m, k, false)
			if sink {
				e.LinearS8To(&collector{dst, n}, &q, w8, nil)
			} else {
				e.LinearS8(dst, n, &q, w8, nil)
			}
		},
		"float32": func(dst, x []float32, m int, sink bool) {
			if sink {
				e.LinearF32To(&collector{dst, n}, x, k, m, w32, nil)
			} else {
				e.LinearF32(dst, n, x, k, m, w32, nil)
			}
		},
	}
	for name, f := range run {
		all, sunk := make([]float32, m*n), make([]float32, m*n)
		f(all, x, m, false)
		f(sunk, x, m, true)
		if !slices.Equal(all, sunk) {
			t.Errorf("%s: a sink is given other values than a destination", name)
		}
		for _, batch := range []int{1, 2, 3, 5, 8} {
			part := make([]float32, batch*n)
			f(part, x[7*k:], batch, false)
			if !slices.Equal(part, all[7*n:(7+batch)*n]) {
				t.Errorf("%s: rows differ between batches of %d and %d", name, batch, m)
			}
		}
	}
}

func TestQuantize(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 6))
		for n := 1; n < 200; n += 3 {
			for _, truncate := range []bool{false, true} {
				x := inGuarded(t, randomFloats(r, n))
				if n%5 == 0 {
					clear(x)
				}
				want := make([]uint8, n)
				inverse := quantizeRowGeneric(want, x, truncate)
				got := fenced[uint8](t, n)
				if active.s8.quantizeRow(got, x, truncate) != inverse || !slices.Equal(got, want) {
					t.Fatalf("n %d: %v, want %v", n, got, want)
				}
			}
		}
	})
}

// TestQuantizedMargins wants zeros around each row, also where other rows lay before, and
// room for as many rows as kernels read.
func TestQuantizedMargins(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	e := NewExecutor(2)
	defer e.Close()
	var q QuantizedRows
	defer q.Free()
	for _, p := range []product{{20, 0, 1000}, {3, 0, 64}, {17, 0, 129}, {1, 0, 1024}} {
		e.Quantize(&q, randomFloats(r, p.m*p.k), p.k, p.m, p.k, false)
		all := unsafe.Slice((*uint8)(unsafe.Add(unsafe.Pointer(&q.Data[0]), -quantizedMargin)), len(q.Data)+quantizedMargin)
		for row := range p.m + 1 { // of which each lies behind a margin
			if margin := all[row*q.Stride:][:quantizedMargin]; slices.Max(margin) != 0 {
				t.Errorf("%d rows of %d: before row %d lies %v", p.m, p.k, row, margin)
			}
		}
		if room := cap(q.Data) / q.Stride; room < quantizedRows {
			t.Errorf("%d rows of %d: there is room for %d", p.m, p.k, room)
		}
	}
}

func TestUse(t *testing.T) {
	defer Use("")
	if err := Use("mmx"); err == nil {
		t.Error("an unknown tier is accepted")
	}
	missing := NEON
	if slices.Contains(Available(), NEON) {
		missing = AVX2
	}
	if err := Use(missing.String()); err == nil {
		t.Error("a tier that the machine lacks is accepted")
	}
	if err := Use("GENERIC"); err != nil || Active() != Generic {
		t.Errorf("Use(GENERIC): %v, %v is active", err, Active())
	}
}

// FuzzLinearS8 holds every tier's products to the generic ones, bit for bit.
func FuzzLinearS8(f *testing.F) {
	f.Add(uint64(1), uint8(1), uint8(5), uint16(64), uint8(0))
	f.Add(uint64(2), uint8(9), uint8(33), uint16(79), uint8(5))
	f.Add(uint64(3), uint8(16), uint8(64), uint16(15), uint8(10))
	f.Add(uint64(4), uint8(31), uint8(3), uint16(2100), uint8(15))
	f.Add(uint64(5), uint8(20), uint8(80), uint16(127), uint8(14))
	f.Add(uint64(6), uint8(38), uint8(80), uint16(1151), uint8(7))
	f.Fuzz(func(t *testing.T, seed uint64, m, n uint8, k uint16, flags uint8) {
		defer Use("")
		r := rand.New(rand.NewPCG(seed, 0))
		p := product{int(m%40) + 1, int(n) + 1, int(k%5000) + 1}
		x, bias := inGuarded(t, randomFloats(r, p.m*p.k)), inGuarded(t, randomFloats(r, p.n))
		data, scale := inGuarded(t, anyBytes(r, p.n*p.k)), inGuarded(t, positive(r, p.n))
		ep := Epilogue{Activation: Activation(flags & 1)}
		if flags&2 != 0 {
			ep.Bias = bias
		}
		if flags&4 != 0 {
			ep.Residual, ep.ResidualStride = randomFloats(r, p.m*p.n), p.n
		}
		var want []float32
		for _, isa := range slices.Backward(Available()) {
			if err := Use(isa.String()); err != nil {
				t.Fatal(err)
			}
			got := inGuarded(t, make([]float32, p.m*p.n))
			e := NewExecutor(1 + int(flags>>3&1))
			w := NewS8Weights(data, p.n, p.k, scale)
			e.Compensate(w)
			var q QuantizedRows
			defer q.Free()
			e.Quantize(&q, x, p.k, p.m, p.k, flags&16 != 0)
			e.LinearS8(got, p.n, &q, w, &ep)
			e.Close()
			if want == nil {
				want = slices.Clone(got)
			}
			for i := range want {
				if math.Float32bits(got[i]) != math.Float32bits(want[i]) {
					t.Fatalf("%v, %+v: [%d][%d] is %v, not %v", isa, p, i/p.n, i%p.n, got[i], want[i])
				}
			}
		}
	})
}

// anyBytes are random weights, -128 among them, which foreign quantizers write.
func anyBytes(r *rand.Rand, n int) []int8 {
	x := make([]int8, n)
	for i := range x {
		x[i] = int8(r.Uint32())
	}
	return x
}

// TestQuotients holds what several rows are divided by to division, whatever the
// scales: near powers of two, where rounding is at its worst, and out of all bounds.
func TestQuotients(t *testing.T) {
	mantissas := []uint32{0, 1, 2, 0x3fffff, 0x400000, 0x400001, 0x7ffffd, 0x7ffffe, 0x7fffff}
	everyISA(t, func(t *testing.T) {
		r := newRand()
		const m, n, k = 24, 96, 64
		e := NewExecutor(1)
		defer e.Close()
		for round := range 300 {
			scale, exponents := make([]float32, n), 20
			if round%10 == 0 {
				exponents = 100
			}
			for i := range scale {
				mantissa := mantissas[r.IntN(len(mantissas))]
				if r.IntN(2) == 0 {
					mantissa = r.Uint32() >> 9
				}
				scale[i] = math.Float32frombits(uint32(127-exponents+r.IntN(2*exponents))<<23 | mantissa)
			}
			w := NewS8Weights(anyBytes(r, n*k), n, k, scale)
			e.Compensate(w)
			x := randomFloats(r, m*k)
			for i := range m {
				row := x[i*k : (i+1)*k]
				Scale(row, row, math.Float32frombits(uint32(127-exponents+r.IntN(2*exponents))<<23|mantissas[r.IntN(len(mantissas))]))
			}
			var q QuantizedRows
			e.Quantize(&q, x, k, m, k, false)
			y := make([]float32, m*n)
			e.LinearS8(y, n, &q, w, nil)
			for i, got := range y {
				if want := wantS8(&q, w, &Epilogue{}, i/n, i%n); math.Float32bits(got) != math.Float32bits(want) {
					t.Fatalf("[%d][%d] is %v, want %v", i/n, i%n, got, want)
				}
			}
			q.Free()
		}
	})
}

// TestStepsAllocateNothing: what a step runs has all of its memory after the first time.
func TestStepsAllocateNothing(t *testing.T) {
	everyISA(t, func(t *testing.T) {
		const n, k = 300, 128
		r, best := newRand(), make([]Candidate, 33)
		e := NewExecutor(1)
		defer e.Close()
		w := trained(r, n, k, 0)
		e.Compensate(w)
		var c *CoarseWeights
		if active.s8.coarse != nil {
			c = made(e, NewCoarseS8(w, nil, plain(BoundBytes(n))), plain)
		}
		for _, m := range []int{1, 4, 5, 16, 33} {
			var x []float32
			for i := range m {
				x = append(x, towards(r, w, i, 3)...)
			}
			rows, y, scores, offsets := screenRows(t, e, x, m, k), make([]float32, m*n), make([]float32, m*m), make([]int32, m)
			var q QuantizedRows
			defer q.Free()
			if allocs := testing.AllocsPerRun(10, func() {
				e.Quantize(&q, x, k, m, k, false)
				e.Quantize(&q, x, k-3, m, k-3, false) // what is left behind whole registers
				e.LinearS8(y, n, rows.QuantizedRows, w, nil)
				if c != nil {
					e.LinearArgMax(best[:m], rows, c, nil)
				}
				GemmNT(scores, m, x, k, m, x, k, m, k, 1)
				DotRowsAt(scores[:m], x[:k], x, offsets, 1, 0)
				Softmax(scores[:m])
				WeightedRowsAt(y[:k], scores[:m], x, offsets, 0)
				LayerNorm(y[:k], x[:k], x[:k], x[:k], 1)
			}); allocs > 0 {
				t.Errorf("%d rows: %v allocations", m, allocs)
			}
		}
	})
}
