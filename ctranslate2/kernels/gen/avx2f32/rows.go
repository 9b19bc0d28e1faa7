package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// constant spreads a float over a vector.
func constant(x float64) reg.VecVirtual { return constantBits(math.Float32bits(float32(x))) }

// constantBits spreads a dword over a vector.
func constantBits(x uint32) reg.VecVirtual {
	bits, v, y := GP32(), XMM(), YMM()
	MOVL(operand.U32(x), bits)
	VMOVD(bits, v)
	VBROADCASTSS(v, y)
	return y
}

// wide converts eight floats to two vectors of four doubles.
func wide(v reg.VecVirtual) (low, high reg.VecVirtual) {
	low, high = YMM(), YMM()
	x := XMM()
	VEXTRACTF128(imm(1), v, x)
	VCVTPS2PD(v.AsX(), low)
	VCVTPS2PD(x, high)
	return low, high
}

// foldPD sums the four doubles of v into its lowest.
func foldPD(v reg.VecVirtual) {
	x := XMM()
	VEXTRACTF128(imm(1), v, x)
	VADDPD(x, v.AsX(), v.AsX())
	VHADDPD(v.AsX(), v.AsX(), v.AsX())
}

// moments generates Σ x and Σ x², in double precision.
func moments() {
	text("avx2Moments", "func(x *float32, n int) (sum float64, squares float64)")
	x, n := gp("x"), gp("n")
	acc := zeros(4)
	loop8("avx2Moments", n, func(mask *reg.VecVirtual) {
		low, high := wide(loadPS(mem{Base: x}, mask))
		VADDPD(low, acc[0], acc[0])
		VADDPD(high, acc[1], acc[1])
		VFMADD231PD(low, low, acc[2])
		VFMADD231PD(high, high, acc[3])
	}, func() { spread(32, x) })
	VADDPD(acc[1], acc[0], acc[0])
	VADDPD(acc[3], acc[2], acc[2])
	foldPD(acc[0])
	foldPD(acc[2])
	args.Return(acc[0], Return("sum"))
	args.Return(acc[2], Return("squares"))
	end()
}

// normalize generates (x - mean)·r·gamma + beta, and x·r·gamma.
func normalize() {
	text("avx2Normalize", "func(dst *float32, x *float32, n int, mean float32, r float32, gamma *float32, beta *float32)")
	dst, x, n, gamma, beta := gp("dst"), gp("x"), gp("n"), gp("gamma"), gp("beta")
	mean, r := broadcast("mean"), broadcast("r")
	loop8("avx2Normalize", n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VSUBPS(mean, v, v)
		VMULPS(r, v, v)
		g, b := loadPS(mem{Base: gamma}, mask), loadPS(mem{Base: beta}, mask)
		VFMADD213PS(b, g, v)
		storePS(v, mem{Base: dst}, mask)
	}, func() { spread(32, dst, x, gamma, beta) })
	end()

	text("avx2ScaleBy", "func(dst *float32, x *float32, n int, r float32, gamma *float32)")
	dst, x, n, gamma = gp("dst"), gp("x"), gp("n"), gp("gamma")
	r = broadcast("r")
	loop8("avx2ScaleBy", n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VMULPS(r, v, v)
		VMULPS(loadPS(mem{Base: gamma}, mask), v, v)
		storePS(v, mem{Base: dst}, mask)
	}, func() { spread(32, dst, x, gamma) })
	end()
}

// maximum generates the largest value; NaN is passed over.
func maximum() {
	text("avx2Max", "func(x *float32, n int) float32")
	x, n := gp("x"), gp("n")
	top := constant(math.Inf(-1))
	low := constant(math.Inf(-1))
	loop8("avx2Max", n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: x}, mask)
		if mask != nil {
			VBLENDVPS(*mask, v, low, v)
		}
		// Where either is NaN the result is the second source: top stays.
		VMAXPS(top, v, top)
	}, func() { spread(32, x) })
	half := XMM()
	VEXTRACTF128(imm(1), top, half)
	VMAXPS(half, top.AsX(), top.AsX())
	VPERMILPS(imm(0x4e), top.AsX(), half)
	VMAXPS(half, top.AsX(), top.AsX())
	VPERMILPS(imm(0xb1), top.AsX(), half)
	VMAXPS(half, top.AsX(), top.AsX())
	args.Return(top, ReturnIndex(0))
	end()
}

// above generates the first index whose value exceeds a threshold, or n.
func above() {
	const name = "avx2Above"
	text(name, "func(x *float32, n int, threshold float32) int")
	x, n := gp("x"), gp("n")
	limit, index, hits, count := broadcast("threshold"), GP64(), GP32(), GP64()
	XORQ(index, index)
	MOVQ(n, count)
	hit := YMM()
	loop8(name, n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: x, Index: index, Scale: 4}, mask)
		VCMPPS(imm(17), v, limit, hit) // limit < v, false for NaN
		if mask != nil {
			VANDPS(*mask, hit, hit)
		}
		VMOVMSKPS(hit, hits)
		TESTL(hits, hits)
		JNZ(label(name + "_found"))
	}, func() { ADDQ(imm(8), index) })
	Store(count, ReturnIndex(0))
	end()
	Label(name + "_found")
	BSFL(hits, hits)
	ADDQ(hits.As64(), index)
	Store(index, ReturnIndex(0))
	end()
}

// elementwise generates sums, products and multiples of vectors.
func elementwise() {
	pair := func(name string, op func(x, v reg.VecVirtual)) {
		text(name, "func(dst *float32, x *float32, n int)")
		dst, x, n := gp("dst"), gp("x"), gp("n")
		loop8(name, n, func(mask *reg.VecVirtual) {
			v := loadPS(mem{Base: dst}, mask)
			op(loadPS(mem{Base: x}, mask), v)
			storePS(v, mem{Base: dst}, mask)
		}, func() { spread(32, dst, x) })
		end()
	}
	pair("avx2Add", func(x, v reg.VecVirtual) { VADDPS(x, v, v) })
	pair("avx2Mul", func(x, v reg.VecVirtual) { VMULPS(x, v, v) })

	text("avx2Scale", "func(dst *float32, x *float32, n int, s float32)")
	dst, x, n, s := gp("dst"), gp("x"), gp("n"), broadcast("s")
	loop8("avx2Scale", n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VMULPS(s, v, v)
		storePS(v, mem{Base: dst}, mask)
	}, func() { spread(32, dst, x) })
	end()
}

// convert generates conversions of whole blocks of eight: n is a multiple of 8.
func convert() {
	block := func(name, signature string, size int, value func(src mem, v reg.VecVirtual)) {
		text(name, signature)
		dst, src, n := gp("dst"), gp("src"), gp("n")
		SHRQ(imm(3), n)
		JZ(label(name + "_done"))
		Label(name + "_loop")
		v := YMM()
		value(mem{Base: src}, v)
		VMOVUPS(v, mem{Base: dst})
		spread(32, dst)
		spread(8*size, src)
		DECQ(n)
		JNZ(label(name + "_loop"))
		Label(name + "_done")
		end()
	}
	var inverse reg.VecVirtual
	scaled := func(widen func(src mem, v reg.VecVirtual)) func(src mem, v reg.VecVirtual) {
		return func(src mem, v reg.VecVirtual) {
			inverse = broadcast("inverse")
			widen(src, v)
			VCVTDQ2PS(v, v)
			VMULPS(inverse, v, v)
		}
	}
	block("avx2DequantizeS8", "func(dst *float32, src *int8, n int, inverse float32)", 1, scaled(func(src mem, v reg.VecVirtual) { VPMOVSXBD(src, v) }))
	block("avx2DequantizeS16", "func(dst *float32, src *int16, n int, inverse float32)", 2, scaled(func(src mem, v reg.VecVirtual) { VPMOVSXWD(src, v) }))
	block("avx2Float16", "func(dst *float32, src *uint16, n int)", 2, func(src mem, v reg.VecVirtual) { VCVTPH2PS(src, v) })
	block("avx2BFloat16", "func(dst *float32, src *uint16, n int)", 2, func(src mem, v reg.VecVirtual) {
		VPMOVZXWD(src, v)
		VPSLLD(imm(16), v, v)
	})
}
