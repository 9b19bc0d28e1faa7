package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// quantize generates the two passes over a row of activations.
func quantize() {
	TEXT("absMaxF32", NOSPLIT, "func(x *float32, n int) float32")
	Pragma("noescape")
	x, n := gp("x"), gp("n")
	abs, top := constant(0x7fffffff), zeros(1)[0]
	loop16("absMaxF32", n, func(mask *reg.OpmaskVirtual) {
		v := loadPS(mem{Base: x}, mask)
		VPANDD(abs, v, v)
		VMAXPS(top, v, top)
	}, func() { ADDQ(imm(64), x) })
	maxLanes(top)
	args.Return(top, ReturnIndex(0))
	VZEROUPPER()
	RET()

	for _, truncate := range []bool{false, true} {
		name := "quantizeU8"
		if truncate {
			name = "quantizeU8Truncate"
		}
		TEXT(name, NOSPLIT, "func(dst *uint8, x *float32, n int, scale float32)")
		Pragma("noescape")
		dst, x, n := gp("dst"), gp("x"), gp("n")
		scale, shift, zero := broadcast("scale"), constant(0x43000000), zeros(1)[0] // 128
		loop16(name, n, func(mask *reg.OpmaskVirtual) {
			v := loadPS(mem{Base: x}, mask)
			VFMADD213PS(shift, scale, v)
			if truncate {
				VCVTTPS2DQ(v, v)
			} else {
				VCVTPS2DQ(v, v)
			}
			VPMAXSD(zero, v, v)
			if mask != nil {
				VPMOVUSDB(v, *mask, mem{Base: dst})
			} else {
				VPMOVUSDB(v, mem{Base: dst})
			}
		}, func() { ADDQ(imm(64), x); ADDQ(imm(16), dst) })
		VZEROUPPER()
		RET()
	}
}

// dequantize generates dst = max(c·inverse/scale + bias, floor) + residual, with
// and without bias and residual.
func dequantize() {
	for _, bias := range []bool{false, true} {
		for _, residual := range []bool{false, true} {
			name := "dequantS32"
			if bias {
				name += "Bias"
			}
			if residual {
				name += "Residual"
			}
			TEXT(name, NOSPLIT, "func(dst *float32, c *int32, n int, inverse float32, floor float32, scale *float32, bias *float32, residual *float32)")
			Pragma("noescape")
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
			loop16(name, n, func(mask *reg.OpmaskVirtual) {
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
				storePS(v, mem{Base: dst}, mask)
			}, func() {
				for _, p := range pointers {
					ADDQ(imm(64), p)
				}
			})
			VZEROUPPER()
			RET()
		}
	}
}

// dequantizeTile generates the same for some rows of a panel's 32 columns, for scales
// and inverses that are far from the ends of float32. Quotients are of products with
// inverses, themselves correctly rounded, of which what they are off is taken twice: the
// first time leaves less than a unit in the last place, the second time nothing that
// rounding does not undo. Source: Markstein, "Computation of elementary functions on the
// IBM RISC System/6000 processor", 1990.
func dequantizeTile() {
	for _, residual := range []bool{false, true} {
		name := "dequantTile"
		if residual {
			name += "Residual"
		}
		TEXT(name, NOSPLIT, "func(dst *float32, ldd int, c *int32, rows int, inverse *float32, floor float32, scale *float32, bias *float32, residual *float32, ldr int)")
		Pragma("noescape")
		dst, ldd, c, n, inverse := gp("dst"), gp("ldd"), gp("c"), gp("rows"), gp("inverse")
		floor := broadcast("floor")
		scale, bias := gp("scale"), gp("bias")
		unit := constant(0x3f800000)
		var s, b, one [2]reg.VecVirtual
		for j := range s {
			s[j], b[j] = loadPS(mem{Base: scale, Disp: 64 * j}, nil), loadPS(mem{Base: bias, Disp: 64 * j}, nil)
			one[j] = ZMM()
			VDIVPS(s[j], unit, one[j])
		}
		var r, ldr reg.GPVirtual
		if residual {
			r, ldr = gp("residual"), gp("ldr")
		}
		Label(name + "_row")
		inv := ZMM()
		VBROADCASTSS(mem{Base: inverse}, inv)
		for j := range s {
			v := loadPS(mem{Base: c, Disp: 64 * j}, nil)
			VCVTDQ2PS(v, v)
			VMULPS(inv, v, v)
			q := ZMM()
			VMULPS(one[j], v, q)
			for range 2 {
				off := ZMM()
				VMOVAPS(v, off)
				VFNMADD231PS(q, s[j], off)
				VFMADD231PS(off, one[j], q)
			}
			VADDPS(b[j], q, q)
			VMAXPS(q, floor, q) // NaN stays
			if residual {
				VADDPS(mem{Base: r, Disp: 64 * j}, q, q)
			}
			VMOVUPS(q, mem{Base: dst, Disp: 64 * j})
		}
		ADDQ(imm(4), inverse)
		ADDQ(operand.I32(128), c)
		ADDQ(ldd, dst)
		if residual {
			ADDQ(ldr, r)
		}
		DECQ(n)
		JNZ(label(name + "_row"))
		VZEROUPPER()
		RET()
	}
}
