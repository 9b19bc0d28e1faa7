package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// masks is eight dwords of ones and eight of zeros: read from 8-n on it is a
// mask of the low n lanes.
var masks mem

func lowMasks() {
	masks = GLOBL("s8LowMasks", RODATA|NOPTR)
	for i := range 16 {
		ones := operand.U32(0)
		if i < 8 {
			ones = 0xffffffff
		}
		DATA(4*i, ones)
	}
}

// loop8 runs step for each 8 of n elements, then with a mask for the rest.
// A step without mask is followed by advance.
func loop8(name string, n reg.GPVirtual, step func(mask *reg.VecVirtual), advance func()) {
	blocks := GP64()
	MOVQ(n, blocks)
	SHRQ(imm(3), blocks)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	step(nil)
	advance()
	DECQ(blocks)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	ANDQ(imm(7), n)
	JZ(label(name + "_done"))
	p, mask := GP64(), YMM()
	LEAQ(masks, p)
	NEGQ(n)
	VMOVDQU(mem{Base: p, Disp: 32, Index: n, Scale: 4}, mask)
	step(&mask)
	Label(name + "_done")
}

// loadPS reads eight floats, or those under the mask and zeros.
func loadPS(m mem, mask *reg.VecVirtual) reg.VecVirtual {
	v := YMM()
	if mask != nil {
		VMASKMOVPS(m, *mask, v)
	} else {
		VMOVUPS(m, v)
	}
	return v
}

// broadcast spreads a float parameter over a vector.
func broadcast(name string) reg.VecVirtual {
	v := YMM()
	VBROADCASTSS(args.Param(name), v)
	return v
}

// constant sets all lanes to a dword.
func constant(bits uint32) reg.VecVirtual {
	r, x, v := GP32(), XMM(), YMM()
	MOVL(operand.U32(bits), r)
	VMOVD(r, x)
	VPBROADCASTD(x, v)
	return v
}

// zero returns a cleared vector.
func zero() reg.VecVirtual {
	v := YMM()
	VPXOR(v, v, v)
	return v
}

// absMax generates the largest magnitude of n floats; NaN counts for nothing.
func absMax() {
	text("avx2AbsMax", "func(x *float32, n int) float32")
	x, n := gp("x"), gp("n")
	abs, top := constant(0x7fffffff), zero()
	loop8("avx2AbsMax", n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VANDPS(abs, v, v)
		VMAXPS(top, v, top)
	}, func() { spread(32, x) })
	maxLanes(top)
	args.Return(top, ReturnIndex(0))
	end()
}

// maxLanes leaves the largest lane of v in its lowest.
func maxLanes(v reg.VecVirtual) {
	low, high := v.AsX(), XMM()
	VEXTRACTF128(imm(1), v, high)
	VMAXPS(high, low, low)
	VPSHUFD(imm(0xee), low, high)
	VMAXPS(high, low, low)
	VPSHUFD(imm(0x55), low, high)
	VMAXPS(high, low, low)
}

// quantize generates dst = x·scale + 128, rounded or cut, for blocks of eight.
func quantize(truncate bool) {
	name := "avx2QuantizeU8"
	if truncate {
		name += "Truncate"
	}
	text(name, "func(dst *uint8, x *float32, blocks int, scale float32)")
	dst, x, blocks := gp("dst"), gp("x"), gp("blocks")
	scale, shift, low := broadcast("scale"), constant(0x43000000), zero() // 128
	TESTQ(blocks, blocks)
	JZ(label(name + "_done"))
	Label(name + "_loop")
	v, high := loadPS(mem{Base: x}, nil), XMM()
	VFMADD213PS(shift, scale, v)
	if truncate {
		VCVTTPS2DQ(v, v)
	} else {
		VCVTPS2DQ(v, v)
	}
	VPMAXSD(low, v, v)
	VEXTRACTI128(imm(1), v, high)
	VPACKSSDW(high, v.AsX(), v.AsX())
	VPACKUSWB(v.AsX(), v.AsX(), v.AsX())
	VMOVQ(v.AsX(), mem{Base: dst})
	spread(32, x)
	spread(8, dst)
	DECQ(blocks)
	JNZ(label(name + "_loop"))
	Label(name + "_done")
	end()
}

// dequantize generates dst = max(c·inverse/scale + bias, floor) + residual, with
// and without bias and residual.
func dequantize() {
	for _, name := range []string{"avx2DequantS32", "avx2DequantS32Bias", "avx2DequantS32Residual", "avx2DequantS32BiasResidual"} {
		bias := name == "avx2DequantS32Bias" || name == "avx2DequantS32BiasResidual"
		residual := name == "avx2DequantS32Residual" || name == "avx2DequantS32BiasResidual"
		text(name, "func(dst *float32, c *int32, n int, inverse float32, floor float32, scale *float32, bias *float32, residual *float32)")
		dst, c, n, s := gp("dst"), gp("c"), gp("n"), gp("scale")
		inverse, floor := broadcast("inverse"), broadcast("floor")
		pointers := []reg.GPVirtual{dst, c, s}
		var b, r reg.GPVirtual
		if bias {
			b = gp("bias")
			pointers = append(pointers, b)
		}
		if residual {
			r = gp("residual")
			pointers = append(pointers, r)
		}
		loop8(name, n, func(mask *reg.VecVirtual) {
			v := loadPS(mem{Base: c}, mask)
			VCVTDQ2PS(v, v)
			VMULPS(inverse, v, v)
			VDIVPS(loadPS(mem{Base: s}, mask), v, v)
			if bias {
				VADDPS(loadPS(mem{Base: b}, mask), v, v)
			}
			VMAXPS(v, floor, v) // NaN stays
			if residual {
				VADDPS(loadPS(mem{Base: r}, mask), v, v)
			}
			if mask != nil {
				VMASKMOVPS(v, *mask, mem{Base: dst})
			} else {
				VMOVUPS(v, mem{Base: dst})
			}
		}, func() { spread(32, pointers...) })
		end()
	}
}

// rowSum generates the sum of blocks of 64 signed bytes, each plus 128.
func rowSum() {
	const name = "avx2RowSumS8"
	text(name, "func(b *int8, blocks int) int")
	b, blocks := gp("b"), gp("blocks")
	flip, none, sum0, sum1 := constant(0x80808080), zero(), zero(), zero()
	TESTQ(blocks, blocks)
	JZ(label(name + "_done"))
	Label(name + "_loop")
	for i, sum := range []reg.VecVirtual{sum0, sum1} {
		v := YMM()
		VPXOR(mem{Base: b, Disp: 32 * i}, flip, v)
		VPSADBW(none, v, v)
		VPADDQ(v, sum, sum)
	}
	PREFETCHT0(mem{Base: b, Disp: 4096})
	spread(64, b)
	DECQ(blocks)
	JNZ(label(name + "_loop"))
	Label(name + "_done")
	VPADDQ(sum1, sum0, sum0)
	high, r := XMM(), GP64()
	VEXTRACTI128(imm(1), sum0, high)
	low := sum0.AsX()
	VPADDQ(high, low, low)
	VPSHUFD(imm(0xee), low, high)
	VPADDQ(high, low, low)
	VMOVQ(low, r)
	Store(r, ReturnIndex(0))
	end()
}
