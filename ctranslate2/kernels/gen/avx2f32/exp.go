package main

import (
	"math"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// expTable holds the constants of exp, each eight times.
var expTable mem

// The rows of expTable.
const (
	expLow = iota
	expHigh
	expLog2e
	expLn2Hi
	expLn2Lo
	expP0
	expP7   = expP0 + 7
	expOne  = expP7
	expBias = expP7 + 1
)

// expConstants: 2ⁿ·p(r) with n = round(x/ln 2) and a polynomial for
// |r| <= ln 2/2 (Cody and Waite's reduction, coefficients of Cephes). Below
// -104 the result is 0, above 89 infinite.
var expConstants = []float64{-104, 89, math.Log2E, 0.693359375, -2.12194440e-4,
	1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 0.5, 1, 1}

func expConstant(i int) mem {
	m := expTable
	m.Disp += 32 * i
	return m
}

func makeExpTable() {
	expTable = GLOBL("avx2Exp", RODATA|NOPTR)
	for i, c := range expConstants {
		for lane := range 8 {
			DATA(32*i+4*lane, operand.U32(math.Float32bits(float32(c))))
		}
	}
	for lane := range 8 {
		DATA(32*expBias+4*lane, operand.U32(127))
	}
}

// exp replaces v by exp(v). NaN stays.
func exp(v reg.VecVirtual) {
	n, y := YMM(), YMM()
	VMOVUPS(expConstant(expLow), n)
	VMAXPS(v, n, v)
	VMOVUPS(expConstant(expHigh), n)
	VMINPS(v, n, v)
	VMULPS(expConstant(expLog2e), v, n)
	VROUNDPS(imm(8), n, n)
	VFNMADD231PS(expConstant(expLn2Hi), n, v)
	VFNMADD231PS(expConstant(expLn2Lo), n, v)
	VMOVUPS(expConstant(expP0), y)
	for i := expP0 + 1; i <= expP7; i++ {
		VFMADD213PS(expConstant(i), v, y)
	}
	// 2ⁿ in two factors: one alone would leave the range of exponents.
	half := YMM()
	VCVTPS2DQ(n, n)
	VPSRAD(imm(1), n, half)
	VPSUBD(half, n, n)
	for _, e := range []reg.VecVirtual{half, n} {
		VPADDD(expConstant(expBias), e, e)
		VPSLLD(imm(23), e, e)
		VMULPS(e, y, y)
	}
	VMOVAPS(y, v)
}

// expSum generates Σ exp(x - top), summed in double precision; dst, if not nil,
// takes the terms.
func expSum() {
	makeExpTable()
	for _, name := range []string{"avx2ExpStore", "avx2ExpSum"} {
		store := name == "avx2ExpStore"
		text(name, "func(x *float32, n int, top float32) float64")
		x, n := gp("x"), gp("n")
		top, acc := broadcast("top"), zeros(2)
		loop8(name, n, func(mask *reg.VecVirtual) {
			v := loadPS(mem{Base: x}, mask)
			VSUBPS(top, v, v)
			exp(v)
			if mask != nil {
				VANDPS(*mask, v, v)
			}
			if store {
				storePS(v, mem{Base: x}, mask)
			}
			low, high := wide(v)
			VADDPD(low, acc[0], acc[0])
			VADDPD(high, acc[1], acc[1])
		}, func() { spread(32, x) })
		VADDPD(acc[1], acc[0], acc[0])
		foldPD(acc[0])
		args.Return(acc[0], ReturnIndex(0))
		end()
	}
}

// gelu generates x·Φ(x) = x/2·(1 + erf(x/√2)), with erf(z) = 1 - t·p(t)·exp(-z²)
// for z >= 0 and t = 1/(1 + 0.3275911·z): to 1.5e-7 (Abramowitz and Stegun 7.1.26).
func gelu() {
	const name = "avx2GELU"
	text(name, "func(x *float32, n int)")
	x, n := gp("x"), gp("n")
	p := []float64{1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592}
	loop8(name, n, func(mask *reg.VecVirtual) {
		v, z, t, e := loadPS(mem{Base: x}, mask), YMM(), YMM(), YMM()
		VMULPS(v, v, e)
		VMULPS(constant(-0.5), e, e)
		exp(e)
		VANDPS(constantBits(0x7fffffff), v, z)
		VMOVUPS(expConstant(expOne), t)
		VFMADD231PS(constant(0.3275911/math.Sqrt2), z, t)
		VDIVPS(t, expOnes(), t)
		y := constant(p[0])
		for _, c := range p[1:] {
			VFMADD213PS(constant(c), t, y)
		}
		VMULPS(t, y, y)
		VMULPS(e, y, y)
		// y = 1 - erf(|x|/√2): 2Φ(x) is y below 0 and 2 - y above.
		above := YMM()
		VSUBPS(y, constant(2), above)
		VBLENDVPS(v, y, above, y)
		VMULPS(constant(0.5), v, v)
		VMULPS(y, v, v)
		storePS(v, mem{Base: x}, mask)
	}, func() { spread(32, x) })
	end()
}

func expOnes() reg.VecVirtual {
	v := YMM()
	VMOVUPS(expConstant(expOne), v)
	return v
}

// gate generates x·σ(x·(c1 + c3·x²)): Swish, and GELU in two approximations.
func gate() {
	const name = "avx2Gate"
	text(name, "func(x *float32, n int, c1 float32, c3 float32)")
	x, n := gp("x"), gp("n")
	c1, c3 := broadcast("c1"), broadcast("c3")
	loop8(name, n, func(mask *reg.VecVirtual) {
		v, t := loadPS(mem{Base: x}, mask), YMM()
		// exp(-x·(c1 + c3·x²))
		VMULPS(v, v, t)
		VFMADD213PS(c1, c3, t)
		VMULPS(v, t, t)
		zero := YMM()
		VXORPS(zero, zero, zero)
		VSUBPS(t, zero, t)
		exp(t)
		VADDPS(expConstant(expOne), t, t)
		VDIVPS(t, v, v)
		storePS(v, mem{Base: x}, mask)
	}, func() { spread(32, x) })
	end()
}
