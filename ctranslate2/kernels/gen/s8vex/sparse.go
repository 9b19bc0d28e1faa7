package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/inputs"
)

// sparse generates c[j] += Σ v[i]·w[at[i] + j] for groups of eight inputs of a row, none
// of them negative, and width columns of transposed weights, which are laid out as for the
// tier with AVX-512: quads of an input each of 64 columns come in four registers of that
// size. The next group's weights are fetched meanwhile: there is one more in the list.
func (t *instructions) sparse() {
	name := t.prefix + "SparseS8"
	text(name, "func(v *uint8, ldv int, at *int32, groups int, w *int8, width int, c *int32)")
	const values, quads, free, ones = 4, 6, 10, 15
	list := gp("at")
	if t.words {
		one := GP32()
		MOVL(operand.U32(0x00010001), one)
		VMOVD(one, y[ones].AsX())
		VPBROADCASTD(y[ones].AsX(), y[ones])
	}
	Label(name + "_group")
	v := gp("v")
	for half := range 2 {
		VPBROADCASTD(mem{Base: v, Disp: 4 * half}, y[values+half])
	}
	ADDQ(imm(inputs.Group), param("v"))
	weights := inputs.Weights(list)
	c, column, w := gp("c"), GP64(), gp("w")
	XORQ(column, column)
	Label(name + "_line")
	inputs.Fetch(name, list, w, column)
	for part := range 2 { // of a line
		for q := range 4 {
			VMOVDQU(mem{Base: c, Disp: 64*q + 32*part}, y[q])
		}
		for half := range 2 {
			interleave(weights[4*half:4*half+4], column, 32*part, quads, free)
			for q := range 4 {
				t.multiplySparse(values+half, quads+q, q, free, ones)
			}
		}
		for q := range 4 {
			VMOVDQU(y[q], mem{Base: c, Disp: 64*q + 32*part})
		}
	}
	spread(64, column, w)
	spread(256, c)
	CMPQ(column, param("width"))
	JLT(label(name + "_line"))
	spread(4*inputs.Group, list)
	DECQ(param("groups"))
	JNZ(label(name + "_group"))
	end()
}

// multiplySparse adds the products of values, at most 127, and quads of weights to acc. Of
// so small values VPMADDUBSW adds two products without saturating.
func (t *instructions) multiplySparse(values, quads, acc, free, ones int) {
	if !t.words {
		dpbusd(quads, values, acc)
		return
	}
	VPMADDUBSW(y[quads], y[values], y[free])
	VPMADDWD(y[ones], y[free], y[free])
	VPADDD(y[free], y[acc], y[acc])
}

// interleave writes 32 bytes of the lines of four inputs to four registers, as quads of an
// input each.
func interleave(weights []reg.GPVirtual, column reg.GPVirtual, disp, quads, free int) {
	line := func(i int) mem { return mem{Base: weights[i], Index: column, Scale: 1, Disp: disp} }
	for i := 0; i < 4; i += 2 { // pairs of the low columns in free and free+2, of the high ones behind each
		VMOVDQU(line(i), y[free+i+1])
		VPUNPCKLBW(line(i+1), y[free+i+1], y[free+i])
		VPUNPCKHBW(line(i+1), y[free+i+1], y[free+i+1])
	}
	for i := range 2 {
		VPUNPCKLWD(y[free+2+i], y[free+i], y[quads+2*i])
		VPUNPCKHWD(y[free+2+i], y[free+i], y[quads+2*i+1])
	}
}
