// Command f32blocked writes the AVX-512 kernels for products of many rows of
// float32, which work on packed panels: the vectors of several rows in turn, so
// that they are read in the order of their addresses.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// A tile has height rows of activations by width rows of weights.
const (
	height = 4
	width  = 6
)

func main() {
	ConstraintExpr("amd64")
	pack()
	tile()
	reduce()
	Generate()
}

type mem = operand.Mem

func imm(n int) operand.Op { return operand.Imm(uint64(n)) }

func label(name string) operand.Op { return operand.LabelRef(name) }

func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// pack generates the copy of n floats, 16 at a time, to places step bytes
// apart. The last vector is filled up with zeros.
func pack() {
	TEXT("packF32", NOSPLIT, "func(dst *float32, step int, src *float32, n int)")
	Pragma("noescape")
	dst, step, src, n := gp("dst"), gp("step"), gp("src"), gp("n")
	v, vectors := ZMM(), GP64()
	MOVQ(n, vectors)
	SHRQ(imm(4), vectors)
	JZ(label("packF32_tail"))
	Label("packF32_loop")
	VMOVUPS(mem{Base: src}, v)
	VMOVUPS(v, mem{Base: dst})
	ADDQ(imm(64), src)
	ADDQ(step, dst)
	DECQ(vectors)
	JNZ(label("packF32_loop"))
	Label("packF32_tail")
	ANDQ(imm(15), n)
	JZ(label("packF32_done"))
	bits, mask := GP64(), K()
	MOVQ(operand.I32(-1), bits)
	BZHIQ(n, bits, bits)
	KMOVW(bits.As32(), mask)
	VMOVUPS_Z(mem{Base: src}, mask, v)
	VMOVUPS(v, mem{Base: dst})
	Label("packF32_done")
	VZEROUPPER()
	RET()
}

// tile generates acc[i][j] (+)= a[i]·b[j], lane by lane, over n vectors of
// panels a and b: without the sum if fresh is not 0. Meanwhile the next panel
// of a, at pa, and what lies at pb, pbStep bytes a vector, are fetched.
func tile() {
	TEXT("tileF32", NOSPLIT, "func(acc *float32, fresh int, a *float32, b *float32, n int, pa uintptr, pb uintptr, pbStep uintptr)")
	Pragma("noescape")
	acc, fresh, a, b, n := gp("acc"), gp("fresh"), gp("a"), gp("b"), gp("n")
	pa, pb, pbStep := gp("pa"), gp("pb"), gp("pbStep")
	var c [height * width]reg.VecVirtual
	for i := range c {
		c[i] = ZMM()
		VPXORD(c[i], c[i], c[i])
	}
	TESTQ(fresh, fresh)
	JNZ(label("tileF32_loop"))
	for i := range c {
		VMOVUPS(mem{Base: acc, Disp: 64 * i}, c[i])
	}
	Label("tileF32_loop")
	var x [height]reg.VecVirtual
	for i := range x {
		x[i] = ZMM()
		VMOVUPS(mem{Base: a, Disp: 64 * i}, x[i])
		PREFETCHT0(mem{Base: pa, Disp: 64 * i})
	}
	PREFETCHT1(mem{Base: pb})
	PREFETCHT1(mem{Base: pb, Disp: 64})
	for j := range width {
		w := ZMM()
		VMOVUPS(mem{Base: b, Disp: 64 * j}, w)
		for i := range x {
			VFMADD231PS(w, x[i], c[i*width+j])
		}
	}
	ADDQ(operand.I32(64*height), a)
	ADDQ(operand.I32(64*height), pa)
	ADDQ(operand.I32(64*width), b)
	ADDQ(pbStep, pb)
	DECQ(n)
	JNZ(label("tileF32_loop"))
	for i := range c {
		VMOVUPS(c[i], mem{Base: acc, Disp: 64 * i})
	}
	VZEROUPPER()
	RET()
}

// reduce generates dst[j] = alpha·Σ lanes of acc[j] for a row of a tile. The
// lanes are summed in the order in which those of dotF32 are.
func reduce() {
	TEXT("reduceF32", NOSPLIT, "func(dst *float32, acc *float32, alpha float32)")
	Pragma("noescape")
	dst, acc := gp("dst"), gp("acc")
	alpha := XMM()
	VBROADCASTSS(args.Param("alpha"), alpha)
	var v [8]reg.VecVirtual
	for i := range v {
		v[i] = ZMM()
		if i < width {
			VMOVUPS(mem{Base: acc, Disp: 64 * i}, v[i])
		} else {
			VPXORD(v[i], v[i], v[i])
		}
	}
	for i := 0; i < len(v); i += 4 {
		quad(v[i], v[i+1], v[i+2], v[i+3])
		VMULPS(alpha, v[i].AsX(), v[i].AsX())
	}
	VMOVUPS(v[0].AsX(), mem{Base: dst})
	VMOVQ(v[4].AsX(), mem{Base: dst, Disp: 16})
	VZEROUPPER()
	RET()
}

// quad leaves the sums of the lanes of a, b, c and d in the low lanes of a.
func quad(a, b, c, d reg.VecVirtual) {
	interleave := func(a, b reg.VecVirtual, low, high func(...operand.Op)) {
		t := ZMM()
		low(b, a, t)
		high(b, a, a)
		VADDPS(t, a, a)
	}
	interleave(a, b, VPUNPCKLDQ, VPUNPCKHDQ)
	interleave(c, d, VPUNPCKLDQ, VPUNPCKHDQ)
	interleave(a, c, VPUNPCKLQDQ, VPUNPCKHQDQ)
	y, x := YMM(), XMM()
	VEXTRACTI64X4(imm(1), a, y)
	VADDPS(y, a.AsY(), a.AsY())
	VEXTRACTI32X4(imm(1), a.AsY(), x)
	VADDPS(x, a.AsX(), a.AsX())
}
