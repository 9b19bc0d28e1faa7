// Command s8vex writes the int8 kernels for processors without AVX-512: with
// AVX2 alone, and with AVX-VNNI.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

func main() {
	ConstraintExpr("amd64")
	lowMasks()
	byteMasks()
	for _, t := range [][2]int{{1, 4}, {2, 4}, {1, 1}} {
		avx2.dot(t[0], t[1])
	}
	for _, t := range [][2]int{{1, 4}, {2, 4}, {3, 4}, {1, 1}} {
		vnni.dot(t[0], t[1])
	}
	for _, t := range []*instructions{&avx2, &vnni} {
		t.packLanes()
		t.lanes(2, 4)
		t.lanes(2, 6)
		t.lanes(3, 4)
	}
	storeLanes()
	widen()
	for m := 3; m <= wordRows; m++ {
		wordDots(m)
	}
	coarseErrors()
	coarseLevels()
	for m := 1; m <= 2; m++ {
		avx2.coarseDots(m)
		vnni.coarseDots(m)
	}
	for m := 1; m <= halfPanelRows; m++ {
		coarseHalf(m)
	}
	for m := 1; m <= halfPanelWordRows; m++ {
		coarseHalfWords(m)
	}
	avx2.sparse()
	vnni.sparse()
	coarseBounds(false)
	coarseBounds(true)
	absMax()
	quantize(false)
	quantize(true)
	dequantize()
	rowSum()
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

// spread adds bytes to pointers.
func spread(bytes int, pointers ...reg.GPVirtual) {
	for _, p := range pointers {
		ADDQ(operand.I32(bytes), p)
	}
}

// rows addresses rows of a matrix: bases at rows 0, 3, 6, … and one stride.
type rows struct {
	bases  []reg.GPVirtual
	stride reg.GPVirtual
}

// rowsOf addresses n rows from the parameter base on, by the parameter stride.
func rowsOf(base, stride string, n int) rows {
	r := rows{bases: []reg.GPVirtual{gp(base)}}
	if n > 1 {
		r.stride = gp(stride)
	}
	for i := 3; i < n; i += 3 {
		next := GP64()
		LEAQ(mem{Base: r.bases[len(r.bases)-1], Index: r.stride, Scale: 2}, next)
		ADDQ(r.stride, next)
		r.bases = append(r.bases, next)
	}
	return r
}

// row returns the address of some byte of row i.
func (r rows) row(i, bytes int) mem {
	m := mem{Base: r.bases[i/3], Disp: bytes}
	if i%3 > 0 {
		m.Index, m.Scale = r.stride, uint8(i%3)
	}
	return m
}

// param returns the address of a parameter.
func param(name string) mem { return args.Param(name) }
