package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotS8 generates c = Σ a[k]·b[k] + add for a row of bytes and one of weights. The
// last k%64 bytes of b are read with a mask; a must be readable up to the next
// multiple of 64.
func dotS8() {
	const name = "dotS8"
	TEXT(name, NOSPLIT, "func(a *uint8, b *int8, k int, c *int32, add *int32)")
	Pragma("noescape")
	a, b, k, n := gp("a"), gp("b"), gp("k"), GP64()
	acc := zeros(1)
	step := func(mask *reg.OpmaskVirtual) {
		x, w := ZMM(), ZMM()
		VMOVDQU8(mem{Base: a}, x)
		if mask != nil {
			VMOVDQU8_Z(mem{Base: b}, *mask, w)
		} else {
			VMOVDQU8(mem{Base: b}, w)
		}
		VPDPBUSD(w, x, acc[0])
	}
	MOVQ(k, n)
	SHRQ(imm(6), n)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	step(nil)
	ADDQ(imm(64), a)
	ADDQ(imm(64), b)
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	ANDQ(imm(63), k)
	JZ(label(name + "_done"))
	mask := lowMask(k)
	step(&mask)
	Label(name + "_done")
	c, add, first := gp("c"), gp("add"), XMM()
	int32Lanes.sums(acc, func(x reg.VecVirtual, _, n int) {
		VMOVD(mem{Base: add}, first)
		VPADDD(first, x.AsX(), x.AsX())
		storeLanes(x, n, mem{Base: c})
	})
	VZEROUPPER()
	RET()
}

// streamS8 generates c[j] = Σ a[k]·b[j][k] + add[j] for a row of bytes and 4·n
// columns of k weights that lie one behind the other. Lines of four columns are read by
// turns, and multiplied from memory: the fewer operations there are for each, the more of
// them are on their way at a time. Odd lines have sums of their own, lest each wait for the
// one before. The last k%64 bytes of a column are read with a mask; a must be readable up to
// the next multiple of 64.
func streamS8() {
	const name = "streamS8"
	TEXT(name, NOSPLIT, "func(a *uint8, b *int8, k int, n int, c *int32, add *int32)")
	Pragma("noescape")
	k, c, add := gp("k"), gp("c"), gp("add")
	a, bs := stridedRows{bases: []reg.GPVirtual{GP64()}}, newStridedRows(gp("b"), k, 4)
	mask := lowMask(restOf("k"))
	Label(name + "_columns")
	even, odd, lines := zeros(4), zeros(4), gp("k")
	MOVQ(param("a"), a.bases[0])
	SHRQ(imm(7), lines)
	JZ(label(name + "_line"))
	Label(name + "_lines")
	streamLine(a, bs, even, 0)
	streamLine(a, bs, odd, 64)
	a.advance(128)
	bs.advance(128)
	DECQ(lines)
	JNZ(label(name + "_lines"))
	Label(name + "_line")
	TESTQ(operand.I32(64), k)
	JZ(label(name + "_tail"))
	streamLine(a, bs, even, 0)
	a.advance(64)
	bs.advance(64)
	Label(name + "_tail")
	rest := restOf("k")
	JZ(label(name + "_done"))
	fourColumns(a, bs, odd, 1, &mask, 0)
	ADDQ(rest, bs.bases[0])
	Label(name + "_done")
	ADDQ(bs.stride3, bs.bases[0])
	for j, sum := range odd {
		VPADDD(sum, even[j], even[j])
	}
	int32Lanes.sums(even, func(x reg.VecVirtual, _, _ int) {
		VPADDD(mem{Base: add}, x.AsX(), x.AsX())
		VMOVDQU32(x.AsX(), mem{Base: c})
	})
	ADDQ(imm(16), c)
	ADDQ(imm(16), add)
	DECQ(param("n"))
	JNZ(label(name + "_columns"))
	VZEROUPPER()
	RET()
}

// streamLine adds the products of a line of a row, disp bytes on, and of four columns to
// sums, and fetches what lies ahead.
func streamLine(a, bs stridedRows, sums []reg.VecVirtual, disp int) {
	x := ZMM()
	VMOVDQU8(at(a.row(0), disp), x)
	for j, sum := range sums {
		VPDPBUSD(at(bs.row(j), disp), x, sum)
		PREFETCHT0(at(bs.row(j), disp+stripeAhead))
	}
}

// mostStripeRows is how many rows have room for sums of four columns each.
const mostStripeRows = 6

// stripesS8 generates c[i][j] = Σ a[i][k]·b[j][k] + add[j] for mr rows of bytes and n
// columns from each of four stripes of columns, stripe columns apart. Their lines are
// read by turns: Intel's processors foresee what is read within a page of 4 KiB and no
// further, but in many pages at once. The last k%64 bytes of a column are read with a
// mask; rows of a must be readable up to the next multiple of 64.
func stripesS8(mr int) {
	name := fmt.Sprintf("stripesS8_%d", mr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, b *int8, k int, stripe int, n int, c *int32, ldc int, add *int32)")
	Pragma("noescape")
	stripe, apart := gp("stripe"), GP64()
	MOVQ(stripe, apart)
	IMULQ(param("k"), apart)
	SHLQ(imm(2), stripe)
	as, bs := newStridedRows(gp("a"), gp("lda"), mr), newStridedRows(gp("b"), apart, 4)
	mask := lowMask(restOf("k"))
	Label(name + "_columns")
	acc := zeros(4 * mr)
	blocks := gp("k")
	SHRQ(imm(6), blocks)
	JZ(label(name + "_tail"))
	Label(name + "_line")
	fourColumns(as, bs, acc, mr, nil, stripeAhead)
	as.advance(64)
	bs.advance(64)
	DECQ(blocks)
	JNZ(label(name + "_line"))
	Label(name + "_tail")
	rest := restOf("k")
	JZ(label(name + "_done"))
	fourColumns(as, bs, acc, mr, &mask, 0)
	ADDQ(rest, bs.bases[0])
	Label(name + "_done")
	SUBQ(param("k"), rest) // back to the start of the rows
	for _, r := range as.bases {
		ADDQ(rest, r)
	}
	storeStripes(acc, stripe)
	DECQ(param("n"))
	JNZ(label(name + "_columns"))
	VZEROUPPER()
	RET()
}

// fourColumns multiplies 64 of k, or what a mask leaves of them, of some rows and four
// columns. It fetches what lies ahead bytes behind these, unless that is 0.
func fourColumns(as, bs stridedRows, acc []reg.VecVirtual, rows int, mask *reg.OpmaskVirtual, ahead int) {
	var w [4]reg.VecVirtual
	for j := range w {
		w[j] = ZMM()
		if mask != nil {
			VMOVDQU8_Z(bs.row(j), *mask, w[j])
		} else {
			VMOVDQU8(bs.row(j), w[j])
		}
		if ahead > 0 {
			PREFETCHT0(at(bs.row(j), ahead))
		}
	}
	for i := range rows {
		x := ZMM()
		VMOVDQU8(as.row(i), x)
		for j, v := range w {
			VPDPBUSD(v, x, acc[4*i+j])
		}
	}
}

// stripeAhead is how far ahead of each stripe memory is fetched, in bytes.
const stripeAhead = 512

// restOf loads how much of a parameter a whole number of lines leaves.
func restOf(name string) reg.GPVirtual {
	rest := gp(name)
	ANDQ(imm(63), rest)
	return rest
}

// storeStripes adds what there is to add to sums of four columns, stripe bytes apart,
// for each row, stores them and moves on by a column.
func storeStripes(acc []reg.VecVirtual, stripe reg.GPVirtual) {
	to, sum := newStridedRows(gp("add"), stripe, 4), XMM()
	VMOVD(to.row(0), sum)
	for j := 1; j < 4; j++ {
		VPINSRD(imm(j), to.row(j), sum, sum)
	}
	ADDQ(imm(4), param("add"))
	MOVQ(param("c"), to.bases[0])
	int32Lanes.sums(acc, func(x reg.VecVirtual, first, _ int) {
		VPADDD(sum, x.AsX(), x.AsX())
		for j := range 4 {
			VPEXTRD(imm(j), x.AsX(), to.row(j))
		}
		ADDQ(param("ldc"), to.bases[0])
	})
	ADDQ(imm(4), param("c"))
}
