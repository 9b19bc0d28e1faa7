package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/inputs"
)

// mostSparseRows is how many rows sparse products have at most: what is zero in all of
// them is rare in more.
const mostSparseRows = 4

// nonzerosS8 generates the list of the inputs, of 16·n, that are not zeros in all of mr
// rows of shifted bytes: where each one's weights lie in at, of which first has the first
// 16 and the next ones are step farther, and its values in v. Both have room for 16 more
// than are listed. It returns how many, and whether any value is negative.
func nonzerosS8(mr int) {
	name := fmt.Sprintf("nonzerosS8_%d", mr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, n int, first *int32, step int, at *int32, v *uint8, ldv int) (count int, negative bool)")
	Pragma("noescape")
	as, vs := newRows(gp("a"), gp("lda"), mr), newRows(gp("v"), gp("ldv"), mr)
	list, n, count := gp("at"), gp("n"), gp("n")
	SHLQ(imm(4), count) // less what is left out
	place, next, shift, all := ZMM(), ZMM(), constant(128), zeros(1)[0]
	VMOVDQU32(mem{Base: gp("first")}, place)
	VPBROADCASTD(gp("step").As32(), next)
	Label(name + "_loop")
	var x [mostSparseRows]reg.VecVirtual
	listed := K()
	for i := range mr {
		x[i] = ZMM()
		VPMOVZXBD(as.row(i), x[i])
		VPSUBD(shift, x[i], x[i])
		VPORD(x[i], all, all)
		k := K()
		VPTESTMD(x[i], x[i], k)
		if i == 0 {
			KMOVW(k, listed)
		} else {
			KORW(k, listed, listed)
		}
	}
	for i := range mr {
		VPCOMPRESSD_Z(x[i], listed, x[i])
		VPMOVDB(x[i], vs.row(i))
	}
	VPCOMPRESSD_Z(place, listed, x[0])
	VMOVDQU32(x[0], mem{Base: list})
	VPADDD(next, place, place)
	bits := GP64()
	KMOVW(listed, bits.As32())
	POPCNTQ(bits, bits)
	LEAQ(mem{Base: list, Index: bits, Scale: 4}, list)
	for _, b := range vs.bases {
		ADDQ(bits, b)
	}
	LEAQ(mem{Base: count, Index: bits, Scale: 1, Disp: -16}, count)
	as.advance(16)
	DECQ(n)
	JNZ(label(name + "_loop"))
	signs, negative := K(), GP32()
	VPMOVD2M(all, signs)
	KMOVW(signs, negative)
	TESTL(negative, negative)
	SETNE(negative.As8())
	Store(count, ReturnIndex(0))
	Store(negative.As8(), ReturnIndex(1))
	VZEROUPPER()
	RET()
}

// sparseS8 generates, for the inputs that nonzerosS8 listed for mr rows, in groups of
// eight, and width columns of transposed weights, 64 to a line, c[line][i][64] += Σ v[i][j]·w[at[j]].
// The next group's weights are fetched meanwhile: there is one more in the list.
func sparseS8(mr int) {
	name := fmt.Sprintf("sparseS8_%d", mr)
	TEXT(name, NOSPLIT, "func(v *uint8, ldv int, at *int32, groups int, w *int8, width int, c *int32)")
	Pragma("noescape")
	list := gp("at")
	Label(name + "_group")
	values := broadcastGroup(mr)
	weights := inputs.Weights(list)
	c, column, w := gp("c"), GP64(), gp("w")
	XORQ(column, column)
	Label(name + "_line")
	inputs.Fetch(name, list, w, column)
	var sums [mostSparseRows][4]reg.VecVirtual
	for i := range mr {
		for q := range sums[i] {
			sums[i][q] = ZMM()
			VMOVDQU32(mem{Base: c, Disp: 256*i + 64*q}, sums[i][q])
		}
	}
	for half := range 2 {
		quads := interleave(weights[4*half:4*half+4], column)
		for i := range mr {
			for q, x := range quads {
				VPDPBUSD(x, values[i][half], sums[i][q])
			}
		}
	}
	for i := range mr {
		for q, sum := range sums[i] {
			VMOVDQU32(sum, mem{Base: c, Disp: 256*i + 64*q})
		}
	}
	ADDQ(operand.I32(64), column)
	ADDQ(operand.I32(64), w)
	ADDQ(operand.I32(256*mr), c)
	CMPQ(column, param("width"))
	JLT(label(name + "_line"))
	ADDQ(operand.I32(4*inputs.Group), list)
	DECQ(param("groups"))
	JNZ(label(name + "_group"))
	VZEROUPPER()
	RET()
}

// broadcastGroup returns the values of a group of inputs, four and four, of each row, and
// moves on to the next.
func broadcastGroup(mr int) (values [mostSparseRows][2]reg.VecVirtual) {
	vs := newRows(gp("v"), gp("ldv"), mr)
	for i := range mr {
		for half := range values[i] {
			values[i][half] = ZMM()
			VPBROADCASTD(at(vs.row(i), 4*half), values[i][half])
		}
	}
	ADDQ(imm(inputs.Group), param("v"))
	return values
}

// interleave returns four lines of weights as quads of an input each, which the lanes
// of sums are of: columns are laid out so that these come in their order.
func interleave(weights []reg.GPVirtual, column reg.GPVirtual) (quads [4]reg.VecVirtual) {
	var pairs [4]reg.VecVirtual // low and high columns of the first two inputs, and of the others
	for i := 0; i < 4; i += 2 {
		a, b := ZMM(), mem{Base: weights[i+1], Index: column, Scale: 1}
		VMOVDQU8(mem{Base: weights[i], Index: column, Scale: 1}, a)
		pairs[i], pairs[i+1] = ZMM(), ZMM()
		VPUNPCKLBW(b, a, pairs[i])
		VPUNPCKHBW(b, a, pairs[i+1])
	}
	for i := range 2 {
		quads[2*i], quads[2*i+1] = ZMM(), ZMM()
		VPUNPCKLWD(pairs[2+i], pairs[i], quads[2*i])
		VPUNPCKHWD(pairs[2+i], pairs[i], quads[2*i+1])
	}
	return quads
}
