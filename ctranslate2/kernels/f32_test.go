package kernels

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// eachTier runs a test on every tier of this machine.
func eachTier(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	saved := active
	defer func() { active = saved }()
	for i := range tiers {
		active = &tiers[i]
		t.Run(active.isa.String(), test)
	}
}

// fencedFloats fills a fenced slice with normal numbers.
func fencedFloats(t testing.TB, r *rand.Rand, n int) []float32 {
	x := fenced[float32](t, n)
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func newRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

// lengths are around the widths of vectors and tiles.
var lengths = []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 100, 127, 128, 129, 255, 1000, 1024, 1027}

// within fails unless got is within tolerance of want, in units of scale.
func within(t *testing.T, what string, got, want, scale, tolerance float64) {
	t.Helper()
	if math.IsNaN(want) && math.IsNaN(got) || got == want {
		return
	}
	if !(math.Abs(got-want) <= tolerance*scale) {
		t.Fatalf("%s: got %v, want %v: off by %.3g, at most %.3g", what, got, want, math.Abs(got-want), tolerance*scale)
	}
}

// dot64 returns a·b and Σ|a·b| in double precision.
func dot64(a, b []float32) (sum, magnitude float64) {
	for i := range a {
		p := float64(a[i]) * float64(b[i])
		sum += p
		magnitude += math.Abs(p)
	}
	return sum, magnitude
}

func TestGemmNT(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, k := range []int{1, 3, 8, 15, 16, 17, 64, 100, 1031} {
			for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13} {
				for _, n := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 13, 17, 33} {
					checkGemmNT(t, r, m, n, k)
				}
			}
		}
	})
}

func checkGemmNT(t *testing.T, r *rand.Rand, m, n, k int) {
	lda, ldb, ldd := k+r.IntN(3), k+r.IntN(3), n+r.IntN(3)
	a, b := fencedFloats(t, r, (m-1)*lda+k), fencedFloats(t, r, (n-1)*ldb+k)
	dst := fenced[float32](t, (m-1)*ldd+n)
	GemmNT(dst, ldd, a, lda, m, b, ldb, n, k, 0.125)
	for i := range m {
		for j := range n {
			x, y := a[i*lda:][:k], b[j*ldb:][:k]
			want, magnitude := dot64(x, y)
			within(t, fmt.Sprintf("m %d n %d k %d: [%d][%d]", m, n, k, i, j), float64(dst[i*ldd+j]), 0.125*want, 0.125*magnitude, 5e-7)
			var alone [1]float32
			if GemmNT(alone[:], 1, x, k, 1, y, k, 1, k, 0.125); alone[0] != dst[i*ldd+j] {
				t.Fatalf("m %d n %d k %d: [%d][%d] is %v, computed alone %v", m, n, k, i, j, dst[i*ldd+j], alone[0])
			}
			DotRowsAt(alone[:], x, b, []int32{int32(j * ldb)}, 0.125, 0)
			within(t, "DotRowsAt", float64(alone[0]), 0.125*want, 0.125*magnitude, 5e-7)
		}
	}
}

func TestGemmNN(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, n := range []int{1, 3, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 128, 131} {
			for _, m := range []int{1, 2, 3, 4, 5, 7, 8} {
				for _, k := range []int{0, 1, 2, 5, 64, 77} {
					checkGemmNN(t, r, m, n, k)
				}
			}
		}
	})
}

func checkGemmNN(t *testing.T, r *rand.Rand, m, n, k int) {
	lda, ldb, ldd := k+r.IntN(3), n+r.IntN(3), n+r.IntN(3)
	a, b := fencedFloats(t, r, max((m-1)*lda+k, 0)), fencedFloats(t, r, max((k-1)*ldb+n, 0))
	dst := fencedFloats(t, r, (m-1)*ldd+n)
	GemmNN(dst, ldd, a, lda, m, b, ldb, n, k, false)
	pieces := fencedFloats(t, r, len(dst))
	cut := k / 3
	GemmNN(pieces, ldd, a, lda, m, b, ldb, n, cut, false)
	if k > cut {
		GemmNN(pieces, ldd, a[cut:], lda, m, b[cut*ldb:], ldb, n, k-cut, true)
	}
	for i := range m {
		for j := range n {
			var want, magnitude float64
			for s := range k {
				p := float64(a[i*lda+s]) * float64(b[s*ldb+j])
				want, magnitude = want+p, magnitude+math.Abs(p)
			}
			got := dst[i*ldd+j]
			within(t, fmt.Sprintf("m %d n %d k %d: [%d][%d]", m, n, k, i, j), float64(got), want, magnitude, 1e-6)
			if pieces[i*ldd+j] != got {
				t.Fatalf("m %d n %d k %d: [%d][%d] is %v, in two calls %v", m, n, k, i, j, got, pieces[i*ldd+j])
			}
		}
	}
}

func TestCacheRows(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, d := range []int{1, 5, 8, 16, 63, 64, 65, 80, 128, 200} {
			for _, count := range []int{0, 1, 2, 3, 4, 5, 8, 9, 30} {
				checkRowsAt(t, r, d, count)
			}
		}
	})
}

func checkRowsAt(t *testing.T, r *rand.Rand, d, count int) {
	const rows = 12
	base, q, p := fencedFloats(t, r, rows*d), fencedFloats(t, r, d), fencedFloats(t, r, count)
	off := fenced[int32](t, count)
	for i := range off {
		off[i] = int32(r.IntN(rows) * d)
		if count > 8 { // in order at first, as in a cache
			off[i] = int32(i % rows * d)
		}
	}
	scores, sum := fenced[float32](t, count), fenced[float32](t, d)
	DotRowsAt(scores, q, base, off, 0.5, d)
	WeightedRowsAt(sum, p, base, off, d)
	want, size := make([]float64, d), make([]float64, d)
	for i, at := range off {
		row := base[at:][:d]
		dot, magnitude := dot64(q, row)
		within(t, "DotRowsAt", float64(scores[i]), dot/2, magnitude/2, 5e-7)
		var alone [1]float32
		if DotRowsAt(alone[:], q, base, off[i:i+1], 0.5, 0); alone[0] != scores[i] {
			t.Fatalf("d %d: row %d of %d gives %v, alone %v", d, i, count, scores[i], alone[0])
		}
		for j, v := range row {
			want[j] += float64(p[i]) * float64(v)
			size[j] += math.Abs(float64(p[i]) * float64(v))
		}
	}
	for j := range sum {
		within(t, "WeightedRowsAt", float64(sum[j]), want[j], size[j], 1e-6)
	}
}

func TestNorms(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, n := range lengths {
			x, gamma, beta, dst := fencedFloats(t, r, n), fencedFloats(t, r, n), fencedFloats(t, r, n), fenced[float32](t, n)
			for i := range x {
				x[i] = x[i]*3 + 2
			}
			var sum, squares float64
			for _, v := range x {
				sum, squares = sum+float64(v), squares+float64(v)*float64(v)
			}
			mean := sum / float64(n)
			deviation := math.Sqrt(max(squares/float64(n)-mean*mean, 0) + 1e-5)
			LayerNorm(dst, x, gamma, beta, 1e-5)
			for i := range dst {
				y := (float64(x[i]) - mean) / deviation
				within(t, fmt.Sprintf("layer norm of %d", n), float64(dst[i]), y*float64(gamma[i])+float64(beta[i]), 1+math.Abs(y), 1e-5)
			}
			RMSNorm(dst, x, gamma, 1e-6)
			for i := range dst {
				want := float64(x[i]) / math.Sqrt(squares/float64(n)+1e-6) * float64(gamma[i])
				within(t, fmt.Sprintf("RMS norm of %d", n), float64(dst[i]), want, math.Abs(want), 1e-6)
			}
			LayerNorm(x, x, gamma, beta, 1e-5) // in place
		}
	})
}

// TestLayerNormConstant checks rows without variance, where E[x²] - mean² may
// come out below zero.
func TestLayerNormConstant(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for _, n := range lengths {
			x, ones, zeros := make([]float32, n), make([]float32, n), make([]float32, n)
			for i := range x {
				x[i], ones[i] = 1000.1, 1
			}
			LayerNorm(x, x, ones, zeros, 1e-5)
			for _, v := range x {
				within(t, fmt.Sprintf("%d equal values", n), float64(v), 0, 1, 0.1)
			}
		}
	})
}

func TestSoftmax(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, n := range lengths {
			x := fencedFloats(t, r, n)
			for i := range x {
				x[i] *= 10
			}
			if n > 2 {
				x[n/2] = float32(math.Inf(-1))
			}
			top := slices.Max(x)
			want, sum := make([]float64, n), 0.0
			for i, v := range x {
				want[i] = math.Exp(float64(v - top))
				sum += want[i]
			}
			within(t, fmt.Sprintf("max of %d", n), float64(Max(x)), float64(top), 0, 0)
			within(t, fmt.Sprintf("sum of %d", n), float64(SumExp(x, top)), sum, sum, 4e-7)
			Softmax(x)
			for i, v := range x {
				within(t, fmt.Sprintf("softmax of %d", n), float64(v), want[i]/sum, want[i]/sum+1e-37, 6e-7)
			}
		}
	})
}

// TestExponential checks exp over its whole range, to two units in the last place.
func TestExponential(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for x := float32(-110); x < 0; x += 0.00371 {
			got, want := float64(SumExp([]float32{x}, 0)), math.Exp(float64(x))
			within(t, fmt.Sprintf("exp(%v)", x), got, want, want*0x1p-23+0x1p-149, 2)
		}
		for _, x := range []float64{0, math.Inf(-1), math.NaN(), math.Inf(1), 88, 100} {
			got := float64(SumExp([]float32{float32(x)}, 0))
			want := float64(float32(math.Exp(x)))
			within(t, fmt.Sprintf("exp(%v)", x), got, want, want, 3e-7)
		}
	})
}

func TestMaximum(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		nan, inf := float32(math.NaN()), float32(math.Inf(1))
		for _, n := range lengths {
			x := fencedFloats(t, r, n)
			for range n / 3 {
				x[r.IntN(n)] = nan
			}
			checkArgMax(t, x)
			x[r.IntN(n)], x[r.IntN(n)] = 9, 9
			checkArgMax(t, x)
			for i := range x {
				x[i] = -x[i]
			}
			checkArgMax(t, x)
			for i := range x {
				x[i] = -inf
			}
			checkArgMax(t, x)
			x[n/2] = inf
			checkArgMax(t, x)
			for i := range x {
				x[i] = nan
			}
			checkArgMax(t, x)
		}
		checkArgMax(t, nil)
	})
}

func checkArgMax(t *testing.T, x []float32) {
	t.Helper()
	best := -1
	for i, v := range x {
		if v == v && (best < 0 || v > x[best]) {
			best = i
		}
	}
	i, v := ArgMax(x)
	if i != best || i >= 0 && v != x[best] {
		t.Fatalf("ArgMax(%v) = %d, %v; want %d", x, i, v, best)
	}
}

func TestTopKOfTies(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, n := range lengths {
			for _, k := range []int{0, 1, 2, 8, 10, 60} {
				x := fencedFloats(t, r, n)
				for i := range x {
					x[i] = float32(r.IntN(50)) // many ties
				}
				x[r.IntN(n)] = float32(math.NaN())
				checkTopK(t, x, k, r.IntN(n+1))
			}
		}
	})
}

func checkTopK(t *testing.T, x []float32, k, cut int) {
	t.Helper()
	var all []Candidate
	for i, v := range x {
		if v == v {
			all = append(all, Candidate{int32(i), v})
		}
	}
	slices.SortStableFunc(all, func(a, b Candidate) int { return int(b.Score) - int(a.Score) })
	all = all[:min(k, len(all))]
	got := TopK(nil, k, x[:cut], 0)
	got = TopK(got, k, x[cut:], int32(cut))
	if !slices.Equal(got, all) {
		t.Fatalf("top %d of %v: got %v, want %v", k, x, got, all)
	}
}

func TestElementwise(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		r := newRand()
		for _, n := range lengths {
			a, b := fencedFloats(t, r, n), fencedFloats(t, r, n)
			sum, product, scaled := fencedFloats(t, r, n), fencedFloats(t, r, n), fenced[float32](t, n)
			copy(sum, a)
			copy(product, a)
			Add(sum, b)
			Mul(product, b)
			Scale(scaled, a, 3)
			for i := range a {
				if sum[i] != a[i]+b[i] || product[i] != a[i]*b[i] || scaled[i] != 3*a[i] {
					t.Fatalf("element %d of %d: %v %v: sum %v, product %v, scaled %v", i, n, a[i], b[i], sum[i], product[i], scaled[i])
				}
			}
		}
	})
}

func TestDequantize(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		for _, n := range lengths {
			q8, q16, dst := fenced[int8](t, n), fenced[int16](t, n), fenced[float32](t, n)
			for i := range q8 {
				q8[i], q16[i] = int8(i*7-100), int16(i*77-20000)
			}
			inverse := 1 / float32(12.7)
			DequantizeS8(dst, q8, 12.7)
			for i, v := range q8 {
				if dst[i] != float32(v)*inverse {
					t.Fatalf("int8 %d of %d: %v", v, i, dst[i])
				}
			}
			DequantizeS16(dst, q16, 12.7)
			for i, v := range q16 {
				if dst[i] != float32(v)*inverse {
					t.Fatalf("int16 %d of %d: %v", v, i, dst[i])
				}
			}
		}
	})
}

// TestHalves converts all half precision numbers and brain floats.
func TestHalves(t *testing.T) {
	eachTier(t, func(t *testing.T) {
		src, dst := fenced[uint16](t, 1<<16-1), fenced[float32](t, 1<<16-1)
		for i := range src {
			src[i] = uint16(i)
		}
		Float16ToFloat32(dst, src)
		for i, v := range dst {
			sign, exponent, fraction := 1-2*float64(i>>15), i>>10&31, float64(i&1023)
			want := sign * math.Ldexp(1024+fraction, exponent-25)
			switch {
			case exponent == 0:
				want = sign * math.Ldexp(fraction, -24)
			case exponent == 31 && fraction == 0:
				want = math.Inf(int(sign))
			case exponent == 31:
				want = math.NaN()
			}
			if float64(v) != want && !(v != v && want != want) {
				t.Fatalf("half %#x is %v, not %v", i, v, want)
			}
		}
		BFloat16ToFloat32(dst, src)
		for i, v := range dst {
			if math.Float32bits(v) != uint32(i)<<16 {
				t.Fatalf("brain float %#x is %v", i, v)
			}
		}
	})
}

func TestActivations(t *testing.T) {
	σ := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	functions := map[Activation]func(float64) float64{
		None: func(x float64) float64 { return x }, ReLU: func(x float64) float64 { return max(x, 0) },
		GELU:        func(x float64) float64 { return x / 2 * math.Erfc(-x/math.Sqrt2) },
		GELUTanh:    func(x float64) float64 { return x * σ(2*math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x)) },
		GELUSigmoid: func(x float64) float64 { return x * σ(1.702*x) },
		Swish:       func(x float64) float64 { return x * σ(x) }, Sigmoid: σ, Tanh: math.Tanh,
	}
	eachTier(t, func(t *testing.T) {
		for a, f := range functions {
			x := fenced[float32](t, 8009)
			for i := range x {
				x[i] = float32(i-4000) / 400
			}
			in := slices.Clone(x)
			a.apply(x)
			for i, v := range x {
				want := f(float64(in[i]))
				within(t, fmt.Sprintf("activation %d of %v", a, in[i]), float64(v), want, math.Abs(want)+0.05, 4e-6)
			}
		}
	})
}

// FuzzRow compares each tier with the reference on rows of any bits.
func FuzzRow(f *testing.F) {
	f.Add([]byte("\x00\x00\x80\x7f\x01\x00\x00\x00\x00\x00\xc0\x7f\xff\xff\x7f\x7f"))
	f.Add([]byte("000\x000000001X000C")) // 7.8e14, whose exp overflows
	f.Fuzz(func(t *testing.T, data []byte) {
		x := fenced[float32](t, len(data)/4)
		for i := range x {
			x[i] = math.Float32frombits(uint32(data[4*i]) | uint32(data[4*i+1])<<8 | uint32(data[4*i+2])<<16 | uint32(data[4*i+3])<<24)
		}
		saved := active
		defer func() { active = saved }()
		for i := range tiers {
			active = &tiers[i]
			checkArgMax(t, x)
			if got, want := Max(x), maxGeneric(x); got != want {
				t.Fatalf("%v: max %v, not %v", active.isa, got, want)
			}
			if len(x) > 0 {
				limit := x[len(x)/2]
				if got, want := active.f32.above(x, 0, limit), aboveGeneric(x, 0, limit); got != want {
					t.Fatalf("%v: above(%v) = %d, not %d", active.isa, limit, got, want)
				}
			}
			got, want := float64(SumExp(x, 1)), float64(sumExpGeneric(x, 1))
			within(t, active.isa.String()+": sum of exp", got, want, want+1e-37, 1e-6)
		}
	})
}
