package main

import (
	"fmt"
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// ntTiles are rows × columns of products of two row-major matrices.
var ntTiles = [][2]int{{1, 8}, {2, 8}, {3, 8}, {1, 6}, {2, 6}, {3, 6}, {4, 6}, {1, 1}, {4, 1}}

// dotF32 generates c[i][j] = alpha·Σ a[i][k]·b[j][k]. Strides are in bytes, k in
// elements. An element is summed in 16 lanes and these in one fixed order, so
// that all tiles agree. Meanwhile the 4·nr·k bytes at pf are fetched.
func dotF32(mr, nr int) {
	name := fmt.Sprintf("dotF32_%dx%d", mr, nr)
	TEXT(name, NOSPLIT, "func(a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int, alpha float32, pf uintptr)")
	Pragma("noescape")
	a, b, pf := gp("a"), gp("b"), gp("pf")
	var lda, ldb reg.GPVirtual
	if mr > 1 {
		lda = gp("lda")
	}
	if nr > 1 {
		ldb = gp("ldb")
	}
	as, bs := newRows(a, lda, mr), newRows(b, ldb, nr)
	k := gp("k")
	acc := zeros(mr * nr)
	step := func(mask *reg.OpmaskVirtual) {
		ra := make([]reg.VecVirtual, mr)
		for i := range ra {
			ra[i] = loadPS(as.row(i), mask)
		}
		for j := 0; j < nr; j++ {
			v := loadPS(bs.row(j), mask)
			if mask == nil {
				PREFETCHT1(mem{Base: pf, Disp: 64 * j})
			}
			for i := range ra {
				VFMADD231PS(v, ra[i], acc[i*nr+j])
			}
		}
	}
	loop16(name, k, step, func() {
		as.advance(64)
		bs.advance(64)
		ADDQ(operand.I32(64*nr), pf)
	})
	c := gp("c")
	var ldc reg.GPVirtual
	if mr > 1 {
		ldc = gp("ldc")
	}
	alpha := broadcast("alpha")
	for i := 0; i < mr; i++ {
		float32Lanes.sums(acc[i*nr:(i+1)*nr], func(x reg.VecVirtual, first, n int) {
			VMULPS(alpha.AsX(), x.AsX(), x.AsX())
			storeLanes(x, n, mem{Base: c, Disp: 4 * first})
		})
		if i < mr-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}

// nnTile generates dst[i][:n] (+)= Σ a[i][t]·b[t][:n] for mr rows: blocks of 64
// columns, then of 16, the last with a mask. The sum over t is in order.
func nnTile(mr int) {
	name := fmt.Sprintf("nnF32_%d", mr)
	TEXT(name, NOSPLIT, "func(dst *float32, ldd int, a *float32, lda int, b *float32, ldb int, n int, k int, accumulate int)")
	Pragma("noescape")
	n := gp("n")
	dst, b := gp("dst"), gp("b")
	block := func(v int, mask *reg.OpmaskVirtual, suffix string) {
		d, ldd := GP64(), gp("ldd")
		MOVQ(dst, d)
		ds := newRows(d, ldd, mr)
		acc := zeros(mr * v)
		flag := gp("accumulate")
		TESTQ(flag, flag)
		JZ(label(name + suffix + "_fresh"))
		for i := 0; i < mr; i++ {
			for j := 0; j < v; j++ {
				if mask != nil {
					VMOVUPS_Z(at(ds.row(i), 64*j), *mask, acc[i*v+j])
				} else {
					VMOVUPS(at(ds.row(i), 64*j), acc[i*v+j])
				}
			}
		}
		Label(name + suffix + "_fresh")
		a, lda, ldb, t, p := gp("a"), gp("lda"), gp("ldb"), gp("k"), GP64()
		MOVQ(b, p)
		as := newRows(a, lda, mr)
		TESTQ(t, t)
		JZ(label(name + suffix + "_done"))
		Label(name + suffix + "_loop")
		vs := make([]reg.VecVirtual, v)
		for j := range vs {
			vs[j] = loadPS(mem{Base: p, Disp: 64 * j}, mask)
		}
		for i := 0; i < mr; i++ {
			w := ZMM()
			VBROADCASTSS(as.row(i), w)
			for j := range vs {
				VFMADD231PS(vs[j], w, acc[i*v+j])
			}
		}
		ADDQ(ldb, p)
		as.advance(4)
		DECQ(t)
		JNZ(label(name + suffix + "_loop"))
		Label(name + suffix + "_done")
		for i := 0; i < mr; i++ {
			for j := 0; j < v; j++ {
				storePS(acc[i*v+j], at(ds.row(i), 64*j), mask)
			}
		}
	}
	Label(name + "_wide")
	CMPQ(n, imm(64))
	JLT(label(name + "_narrow"))
	block(4, nil, "_w")
	ADDQ(operand.I32(256), dst)
	ADDQ(operand.I32(256), b)
	SUBQ(operand.I32(64), n)
	JMP(label(name + "_wide"))
	Label(name + "_narrow")
	CMPQ(n, imm(16))
	JLT(label(name + "_rest"))
	block(1, nil, "_n")
	ADDQ(imm(64), dst)
	ADDQ(imm(64), b)
	SUBQ(imm(16), n)
	JMP(label(name + "_narrow"))
	Label(name + "_rest")
	TESTQ(n, n)
	JZ(label(name + "_end"))
	mask := lowMask(n)
	block(1, &mask, "_r")
	Label(name + "_end")
	VZEROUPPER()
	RET()
}

// dotAt generates dst[i] = alpha·q·row for rows of n floats at the offsets off
// (in elements) from base, four rows at a time. Meanwhile it fetches what lies
// ahead bytes behind each row.
func dotAt() {
	for _, r := range []int{4, 1} {
		name := fmt.Sprintf("dotAtF32_%d", r)
		TEXT(name, NOSPLIT, "func(dst *float32, q *float32, n int, base *float32, off *int32, count int, alpha float32, ahead int)")
		Pragma("noescape")
		dst, base, off, count, ahead := gp("dst"), gp("base"), gp("off"), gp("count"), gp("ahead")
		alpha := broadcast("alpha")
		TESTQ(count, count)
		JZ(label(name + "_end"))
		Label(name + "_rows")
		ps := make([]reg.GPVirtual, r)
		for i := range ps {
			ps[i] = GP64()
			MOVLQSX(mem{Base: off, Disp: 4 * i}, ps[i])
			LEAQ(mem{Base: base, Index: ps[i], Scale: 4}, ps[i])
		}
		acc := zeros(r)
		q, n := gp("q"), gp("n")
		loop16(name+"_dot", n, func(mask *reg.OpmaskVirtual) {
			v := loadPS(mem{Base: q}, mask)
			for i := range ps {
				PREFETCHT1(mem{Base: ps[i], Index: ahead, Scale: 1})
				VFMADD231PS(loadPS(mem{Base: ps[i]}, mask), v, acc[i])
			}
		}, func() {
			ADDQ(imm(64), q)
			for _, p := range ps {
				ADDQ(imm(64), p)
			}
		})
		float32Lanes.sums(acc, func(x reg.VecVirtual, first, k int) {
			VMULPS(alpha.AsX(), x.AsX(), x.AsX())
			storeLanes(x, k, mem{Base: dst, Disp: 4 * first})
		})
		ADDQ(imm(4*r), dst)
		ADDQ(imm(4*r), off)
		SUBQ(imm(r), count)
		JNZ(label(name + "_rows"))
		Label(name + "_end")
		VZEROUPPER()
		RET()
	}
}

// weightedAt generates dst = Σ p[i]·row for rows at the offsets off: blocks of
// 64 columns, then of 16, the last with a mask. It fetches ahead as dotAt does.
func weightedAt() {
	const name = "weightedAtF32"
	TEXT(name, NOSPLIT, "func(dst *float32, n int, p *float32, base *float32, off *int32, count int, ahead int)")
	Pragma("noescape")
	dst, n, base, ahead := gp("dst"), gp("n"), gp("base"), gp("ahead")
	block := func(v int, mask *reg.OpmaskVirtual, suffix string) {
		acc := zeros(v)
		p, off, count := gp("p"), gp("off"), gp("count")
		TESTQ(count, count)
		JZ(label(name + suffix + "_done"))
		Label(name + suffix + "_loop")
		at64, w := GP64(), ZMM()
		MOVLQSX(mem{Base: off}, at64)
		VBROADCASTSS(mem{Base: p}, w)
		LEAQ(mem{Base: base, Index: at64, Scale: 4}, at64)
		for j := 0; j < v; j++ {
			PREFETCHT1(mem{Base: at64, Index: ahead, Scale: 1, Disp: 64 * j})
			VFMADD231PS(loadPS(mem{Base: at64, Disp: 64 * j}, mask), w, acc[j])
		}
		ADDQ(imm(4), p)
		ADDQ(imm(4), off)
		DECQ(count)
		JNZ(label(name + suffix + "_loop"))
		Label(name + suffix + "_done")
		for j := 0; j < v; j++ {
			storePS(acc[j], mem{Base: dst, Disp: 64 * j}, mask)
		}
	}
	Label(name + "_wide")
	CMPQ(n, imm(64))
	JLT(label(name + "_narrow"))
	block(4, nil, "_w")
	ADDQ(operand.I32(256), dst)
	ADDQ(operand.I32(256), base)
	SUBQ(operand.I32(64), n)
	JMP(label(name + "_wide"))
	Label(name + "_narrow")
	CMPQ(n, imm(16))
	JLT(label(name + "_rest"))
	block(1, nil, "_n")
	ADDQ(imm(64), dst)
	ADDQ(imm(64), base)
	SUBQ(imm(16), n)
	JMP(label(name + "_narrow"))
	Label(name + "_rest")
	TESTQ(n, n)
	JZ(label(name + "_end"))
	mask := lowMask(n)
	block(1, &mask, "_r")
	Label(name + "_end")
	VZEROUPPER()
	RET()
}

// addLanesPS leaves the sum of all lanes of v in its lowest.
func addLanesPS(v reg.VecVirtual) {
	float32Lanes.fold(v)
	x := XMM()
	VPSHUFD(imm(0xee), v.AsX(), x)
	VADDPS(x, v.AsX(), v.AsX())
	VPSHUFD(imm(0x55), v.AsX(), x)
	VADDPS(x, v.AsX(), v.AsX())
}

// norms generates the sums of a normalization, of values less a shift, and its
// application.
func norms() {
	TEXT("sumsF32", NOSPLIT, "func(x *float32, n int, shift float32) (sum float32, squares float32)")
	Pragma("noescape")
	x, n := gp("x"), gp("n")
	acc, shift := zeros(2), broadcast("shift")
	loop16("sumsF32", n, func(mask *reg.OpmaskVirtual) {
		v := loadPS(mem{Base: x}, mask)
		if mask != nil {
			VSUBPS_Z(shift, v, *mask, v)
		} else {
			VSUBPS(shift, v, v)
		}
		VADDPS(v, acc[0], acc[0])
		VFMADD231PS(v, v, acc[1])
	}, func() { ADDQ(imm(64), x) })
	addLanesPS(acc[0])
	addLanesPS(acc[1])
	args.Return(acc[0], Return("sum"))
	args.Return(acc[1], Return("squares"))
	VZEROUPPER()
	RET()

	TEXT("normalizeF32", NOSPLIT, "func(dst *float32, x *float32, n int, mean float32, r float32, gamma *float32, beta *float32)")
	Pragma("noescape")
	dst, x, n, gamma, beta := gp("dst"), gp("x"), gp("n"), gp("gamma"), gp("beta")
	mean, r := broadcast("mean"), broadcast("r")
	loop16("normalizeF32", n, func(mask *reg.OpmaskVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VSUBPS(mean, v, v)
		VMULPS(r, v, v)
		g, b := loadPS(mem{Base: gamma}, mask), loadPS(mem{Base: beta}, mask)
		VFMADD213PS(b, g, v)
		storePS(v, mem{Base: dst}, mask)
	}, func() {
		for _, p := range []reg.GPVirtual{dst, x, gamma, beta} {
			ADDQ(imm(64), p)
		}
	})
	VZEROUPPER()
	RET()
}

// scans generates the search for the largest value and for the next value above
// a threshold.
func scans() {
	TEXT("maxF32", NOSPLIT, "func(x *float32, n int) float32")
	Pragma("noescape")
	x, n := gp("x"), gp("n")
	top := constant(math.Float32bits(float32(math.Inf(-1))))
	loop16("maxF32", n, func(mask *reg.OpmaskVirtual) {
		if mask != nil {
			v := ZMM()
			VMOVAPS(top, v)
			VMOVUPS(mem{Base: x}, *mask, v)
			VMAXPS(top, v, top)
			return
		}
		// The second source is the result where either is NaN: top stays.
		v := loadPS(mem{Base: x}, nil)
		VMAXPS(top, v, top)
	}, func() { ADDQ(imm(64), x) })
	maxLanes(top)
	args.Return(top, ReturnIndex(0))
	VZEROUPPER()
	RET()

	const name = "aboveF32"
	TEXT(name, NOSPLIT, "func(x *float32, n int, threshold float32) int")
	Pragma("noescape")
	x, n = gp("x"), gp("n")
	limit := broadcast("threshold")
	index, found := GP64(), GP64()
	XORQ(index, index)
	blocks := GP64()
	MOVQ(n, blocks)
	SHRQ(imm(4), blocks)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	k := K()
	VCMPPS(imm(17), mem{Base: x, Index: index, Scale: 4}, limit, k) // limit < x
	KMOVW(k, found.As32())
	TESTL(found.As32(), found.As32())
	JNZ(label(name + "_found"))
	ADDQ(imm(16), index)
	DECQ(blocks)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	rest := GP64()
	MOVQ(n, rest)
	ANDQ(imm(15), rest)
	JZ(label(name + "_none"))
	mask := lowMask(rest)
	v := loadPS(mem{Base: x, Index: index, Scale: 4}, &mask)
	VCMPPS(imm(17), v, limit, mask, k)
	KMOVW(k, found.As32())
	TESTL(found.As32(), found.As32())
	JZ(label(name + "_none"))
	Label(name + "_found")
	TZCNTL(found.As32(), found.As32())
	ADDQ(found, index)
	Store(index, ReturnIndex(0))
	VZEROUPPER()
	RET()
	Label(name + "_none")
	Store(n, ReturnIndex(0))
	VZEROUPPER()
	RET()
}

// exponential replaces v by exp(v): 2^n·p(r) with n = round(v/ln 2) and a
// polynomial for |r| <= ln 2/2 (Cody and Waite's reduction; minimax
// coefficients as in Cephes).
type exponential struct {
	log2e, ln2hi, ln2lo, low, high reg.VecVirtual
	p                              []reg.VecVirtual
}

func newExponential() exponential {
	f := func(x float64) reg.VecVirtual { return constant(math.Float32bits(float32(x))) }
	e := exponential{log2e: f(math.Log2E), ln2hi: f(0.693359375), ln2lo: f(-2.12194440e-4), low: f(-104), high: f(89)}
	for _, c := range []float64{1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1, 1} {
		e.p = append(e.p, f(c))
	}
	return e
}

func (e exponential) apply(v reg.VecVirtual) {
	n, y := ZMM(), ZMM()
	VMAXPS(v, e.low, v) // NaN stays
	VMINPS(v, e.high, v)
	VMULPS(e.log2e, v, n)
	VRNDSCALEPS(imm(8), n, n)
	VFNMADD231PS(e.ln2hi, n, v)
	VFNMADD231PS(e.ln2lo, n, v)
	VMOVAPS(e.p[0], y)
	for _, c := range e.p[1:] {
		VFMADD213PS(c, v, y)
	}
	VSCALEFPS(n, y, v)
}

// exponentials generates Σ exp(x - top), with and without storing the terms,
// and a scaling.
func exponentials() {
	for _, store := range []bool{false, true} {
		name := "sumExpF32"
		if store {
			name = "expF32"
		}
		TEXT(name, NOSPLIT, "func(x *float32, n int, top float32) float32")
		Pragma("noescape")
		x, n := gp("x"), gp("n")
		top, sum := broadcast("top"), zeros(1)[0]
		e := newExponential()
		loop16(name, n, func(mask *reg.OpmaskVirtual) {
			v := loadPS(mem{Base: x}, mask)
			VSUBPS(top, v, v)
			e.apply(v)
			if mask != nil {
				VADDPS(v, sum, *mask, sum)
			} else {
				VADDPS(v, sum, sum)
			}
			if store {
				storePS(v, mem{Base: x}, mask)
			}
		}, func() { ADDQ(imm(64), x) })
		addLanesPS(sum)
		args.Return(sum, ReturnIndex(0))
		VZEROUPPER()
		RET()
	}
}

// small generates element-wise operations.
func small() {
	TEXT("scaleF32", NOSPLIT, "func(x *float32, n int, s float32)")
	Pragma("noescape")
	x, n, s := gp("x"), gp("n"), broadcast("s")
	loop16("scaleF32", n, func(mask *reg.OpmaskVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VMULPS(s, v, v)
		storePS(v, mem{Base: x}, mask)
	}, func() { ADDQ(imm(64), x) })
	VZEROUPPER()
	RET()

	TEXT("addF32", NOSPLIT, "func(dst *float32, x *float32, n int)")
	Pragma("noescape")
	dst, x, n := gp("dst"), gp("x"), gp("n")
	loop16("addF32", n, func(mask *reg.OpmaskVirtual) {
		v := loadPS(mem{Base: dst}, mask)
		VADDPS(loadPS(mem{Base: x}, mask), v, v)
		storePS(v, mem{Base: dst}, mask)
	}, func() { ADDQ(imm(64), dst); ADDQ(imm(64), x) })
	VZEROUPPER()
	RET()

	TEXT("dequantS8F32", NOSPLIT, "func(dst *float32, q *int8, n int, inverse float32)")
	Pragma("noescape")
	dst, q, n := gp("dst"), gp("q"), gp("n")
	inverse := broadcast("inverse")
	loop16("dequantS8F32", n, func(mask *reg.OpmaskVirtual) {
		v, b := ZMM(), XMM()
		if mask != nil {
			VMOVDQU8_Z(mem{Base: q}, *mask, b)
			VPMOVSXBD(b, v)
		} else {
			VPMOVSXBD(mem{Base: q}, v)
		}
		VCVTDQ2PS(v, v)
		VMULPS(inverse, v, v)
		storePS(v, mem{Base: dst}, mask)
	}, func() { ADDQ(imm(64), dst); ADDQ(imm(16), q) })
	VZEROUPPER()
	RET()
}
