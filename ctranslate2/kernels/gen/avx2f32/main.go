// Command avx2f32 writes the float32 kernels for AVX2 and FMA.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

func main() {
	ConstraintExpr("amd64")
	tailMasks()
	for _, t := range dotTiles {
		dot(t[0], t[1])
	}
	for _, mr := range []int{1, 2} {
		gemmNN(mr)
	}
	for _, rows := range []int{1, 4} {
		dotAt(rows)
	}
	weightedAt()
	moments()
	normalize()
	maximum()
	above()
	expSum()
	gate()
	gelu()
	elementwise()
	convert()
	Generate()
}

type mem = operand.Mem

// imm is an immediate operand.
func imm(n int) operand.Op { return operand.Imm(uint64(n)) }

// label returns a reference to a label.
func label(name string) operand.Op { return operand.LabelRef(name) }

// gp loads a parameter into a register.
func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// text starts a function.
func text(name, signature string) {
	TEXT(name, NOSPLIT, signature)
	Pragma("noescape")
}

// end returns.
func end() {
	VZEROUPPER()
	RET()
}

// zeros returns n cleared vectors.
func zeros(n int) []reg.VecVirtual {
	z := make([]reg.VecVirtual, n)
	for i := range z {
		z[i] = YMM()
		VXORPS(z[i], z[i], z[i])
	}
	return z
}

// masks is eight dwords of ones and eight of zeros: read from 8-n on it is a
// mask of the low n lanes.
var masks mem

func tailMasks() {
	masks = GLOBL("avx2TailMasks", RODATA|NOPTR)
	for i := range 16 {
		ones := operand.U32(0)
		if i < 8 {
			ones = 0xffffffff
		}
		DATA(4*i, ones)
	}
}

// tailMask returns the mask of the low n lanes, n < 8.
func tailMask(n reg.GPVirtual) reg.VecVirtual {
	p, m := GP64(), YMM()
	LEAQ(masks, p)
	NEGQ(n)
	VMOVDQU(mem{Base: p, Disp: 32, Index: n, Scale: 4}, m)
	return m
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
	mask := tailMask(n)
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

func storePS(v reg.VecVirtual, m mem, mask *reg.VecVirtual) {
	if mask != nil {
		VMASKMOVPS(v, *mask, m)
	} else {
		VMOVUPS(v, m)
	}
}

// broadcast spreads a float parameter over a vector.
func broadcast(name string) reg.VecVirtual {
	y := YMM()
	VBROADCASTSS(args.Param(name), y)
	return y
}

// spread adds bytes to pointers.
func spread(bytes int, pointers ...reg.GPVirtual) {
	for _, p := range pointers {
		ADDQ(operand.I32(bytes), p)
	}
}
