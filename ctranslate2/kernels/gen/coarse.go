package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// coarseStep is a grid of four bits: level h stands for step·(h - 7.5), and
// w·inverse>>8 + 8 is the level of a weight w.
type coarseStep struct{ step, inverse int }

// coarseSteps are the grids that rows choose from: for weights spread evenly,
// and for rows of which a few stand out.
var coarseSteps = []coarseStep{{17, 15}, {12, 21}, {8, 32}}

// words sets all lanes to a 16-bit word.
func words(n int) reg.VecVirtual {
	r, v := GP32(), ZMM()
	MOVL(operand.U32(uint32(n&0xffff)), r)
	VPBROADCASTW(r, v)
	return v
}

// level returns the levels of 32 weights, as words.
func (s coarseStep) level(w, inverse, eight, zero, fifteen reg.VecVirtual) reg.VecVirtual {
	h := ZMM()
	VPMULLW(inverse, w, h)
	VPSRAW(imm(8), h, h)
	VPADDW(eight, h, h)
	VPMAXSW(zero, h, h)
	VPMINSW(fifteen, h, h)
	return h
}

// coarseErrors generates the sums of squares of 2·(w - step·(h - 7.5)) over n·32
// weights, for each grid.
func coarseErrors() {
	const name = "coarseErrors"
	TEXT(name, NOSPLIT, "func(errors *int32, w *int8, n int)")
	Pragma("noescape")
	out, w, n := gp("errors"), gp("w"), gp("n")
	eight, zero, fifteen := words(8), zeros(1)[0], words(15)
	acc := zeros(len(coarseSteps))
	var inverse, double, offset []reg.VecVirtual
	for _, s := range coarseSteps {
		inverse, double, offset = append(inverse, words(s.inverse)), append(double, words(2*s.step)), append(offset, words(15*s.step))
	}
	Label(name + "_loop")
	x := ZMM()
	VPMOVSXBW(mem{Base: w}, x)
	for i, s := range coarseSteps {
		h, e := s.level(x, inverse[i], eight, zero, fifteen), ZMM()
		VPMULLW(double[i], h, h)
		VPADDW(x, x, e)
		VPADDW(offset[i], e, e)
		VPSUBW(h, e, e)
		VPDPWSSD(e, e, acc[i])
	}
	ADDQ(imm(32), w)
	DECQ(n)
	JNZ(label(name + "_loop"))
	int32Lanes.sums(acc, func(x reg.VecVirtual, _, n int) { storeLanes(x, n, mem{Base: out}) })
	VZEROUPPER()
	RET()
}

// coarseLevels generates the levels of n·32 weights, a byte each.
func coarseLevels() {
	const name = "coarseLevels"
	TEXT(name, NOSPLIT, "func(dst *byte, w *int8, n int, inverse int)")
	Pragma("noescape")
	dst, w, n := gp("dst"), gp("w"), gp("n")
	inverse := ZMM()
	VPBROADCASTW(gp("inverse").As32(), inverse)
	eight, zero, fifteen := words(8), zeros(1)[0], words(15)
	Label(name + "_loop")
	x := ZMM()
	VPMOVSXBW(mem{Base: w}, x)
	VPMOVWB(coarseStep{}.level(x, inverse, eight, zero, fifteen), mem{Base: dst})
	ADDQ(imm(32), w)
	ADDQ(imm(32), dst)
	DECQ(n)
	JNZ(label(name + "_loop"))
	VZEROUPPER()
	RET()
}

// coarseMerge generates n times 64 bytes with the levels of 16 columns, from
// src, in the low halves and those of 16 more, from 64 bytes on, in the high ones.
func coarseMerge() {
	const name = "coarseMerge"
	TEXT(name, NOSPLIT, "func(dst *byte, src *int8, n int)")
	Pragma("noescape")
	dst, src, n := gp("dst"), gp("src"), gp("n")
	Label(name + "_loop")
	v := ZMM()
	VMOVDQU32(mem{Base: src, Disp: 64}, v)
	VPSLLW(imm(4), v, v)
	VPORD(mem{Base: src}, v, v)
	VMOVDQU32(v, mem{Base: dst})
	ADDQ(operand.I32(128), src)
	ADDQ(imm(64), dst)
	DECQ(n)
	JNZ(label(name + "_loop"))
	VZEROUPPER()
	RET()
}

// A levelFetch fetches a line of levels that will be needed, one for each line u of
// four that are read.
type levelFetch func(u int)

// Products with levels are of up to so many rows at a time, of several blocks of rows of
// half as many at least; from far ahead they fetch them for few.
const mostLevelRows, leastHalvesRows, mostFarRows = 12, 6, 4

// A fetchKind is how products with levels fetch them: see the functions of these names.
type fetchKind int

const (
	inOrder fetchKind = iota
	farAhead
	inQuarters
	inHalves
)

// fetch returns what fetches levels behind panel, or for inHalves at pf.
func (k fetchKind) fetch(panel, n reg.Register, mr int) levelFetch {
	switch k {
	case farAhead:
		return fetchFarAhead(panel)
	case inQuarters:
		return fetchQuarters(panel, n)
	case inHalves:
		return fetchHalf(gp("pf"), n)
	}
	return fetchInOrder(panel, mr)
}

// fetchInOrder fetches lines behind panel in the order of their addresses. The fewer rows
// there are, the faster they come to them; but for few rows processors foresee most of
// what is read, and requests far ahead only take turns of theirs.
func fetchInOrder(panel reg.Register, mr int) levelFetch {
	return func(u int) {
		if mr < 4 {
			PREFETCHT1(mem{Base: panel, Disp: 64*u + 512})
		} else {
			PREFETCHT0(mem{Base: panel, Disp: 64*u + 2048})
		}
	}
}

// fetchFarAhead fetches lines behind panel, too, for processors that foresee less than
// memory can give.
func fetchFarAhead(panel reg.Register) levelFetch {
	return func(u int) { PREFETCHT0(mem{Base: panel, Disp: 64*u + 8192}) }
}

// fetchQuarters fetches lines of the next panel, of each of its quarters by turns, as
// stripesS8 reads columns. A quarter has n lines.
func fetchQuarters(panel, n reg.Register) levelFetch {
	next, quarter := GP64(), GP64()
	IMUL3Q(operand.I32(64), n, quarter)
	LEAQ(mem{Base: panel, Index: quarter, Scale: 4, Disp: panelSums}, next)
	quarters := newStridedRows(next, quarter, 4)
	return func(u int) {
		PREFETCHT0(quarters.row(u))
		if u == 3 {
			quarters.advance(64)
		}
	}
}

// fetchHalf fetches lines of half a panel at pf, of each of its halves by turns, while
// others of two blocks of rows fetch the other one: no block waits for all of a panel.
func fetchHalf(pf, n reg.Register) levelFetch {
	half := GP64()
	IMUL3Q(operand.I32(64), n, half)
	return func(u int) {
		switch u {
		case 0:
			PREFETCHT0(mem{Base: pf})
		case 2:
			PREFETCHT0(mem{Base: pf, Index: half, Scale: 1})
			ADDQ(imm(64), pf)
		}
	}
}

// panelSums is how many bytes of sums lie behind the levels of a panel.
const panelSums = 128

// coarseDots generates c[i][j] = Σ a[i][k]·h[j][k] for mr rows of 16·n signed bytes
// and the levels h of 32 columns: 64 bytes for each four of k, as coarseMerge
// writes them. Panels are expected to lie one behind the other. The bytes of low and
// high levels are multiplied as they are, with sums of l + 16·h. Of the rows, groups of
// four of k lie one behind the other, and those of the next k group bytes behind them: so
// each product reads its own, and there are hardly any operations but products. Where
// the core's other thread is busy their number is what counts.
func coarseDots(mr int, kind fetchKind) {
	name, pf := fmt.Sprintf("coarseDots%s_%d", [...]string{"", "Far", "Quarters", "Halves"}[kind], mr), ""
	if kind == inHalves {
		pf = ", pf uintptr"
	}
	TEXT(name, NOSPLIT, "func(a *int8, group int, panel *byte, n int, c *int32, ldc int"+pf+")")
	Pragma("noescape")
	a, group, panel, n, low, acc := gp("a"), gp("group"), gp("panel"), gp("n"), constant(0x0f0f0f0f), zeros(2*mr)
	odd, fetch := acc, kind.fetch(panel, n, mr)
	if mr < 4 { // few sums: odd lines have their own, lest each wait for the one before
		odd = zeros(2 * mr)
	}
	Label(name + "_loop")
	for u, sums := range [][]reg.VecVirtual{acc, odd, acc, odd} {
		l, both := ZMM(), ZMM()
		VMOVDQU32(mem{Base: panel, Disp: 64 * u}, both)
		VPANDD(both, low, l)
		fetch(u)
		for i := 0; i < mr; i++ {
			VPDPBUSD_BCST(mem{Base: a, Disp: 4 * i}, l, sums[2*i])
			VPDPBUSD_BCST(mem{Base: a, Disp: 4 * i}, both, sums[2*i+1])
		}
		ADDQ(group, a)
	}
	ADDQ(operand.I32(256), panel)
	DECQ(n)
	JNZ(label(name + "_loop"))
	c := gp("c")
	for i := 0; i < mr; i++ {
		l, h := acc[2*i], acc[2*i+1]
		if mr < 4 {
			VPADDD(odd[2*i], l, l)
			VPADDD(odd[2*i+1], h, h)
		}
		highOf(h, l)
		VMOVDQU32(l, mem{Base: c})
		VMOVDQU32(h, mem{Base: c, Disp: 64})
		if i < mr-1 {
			ADDQ(param("ldc"), c)
		}
	}
	VZEROUPPER()
	RET()
}

// highOf makes sums of high levels of sums of bytes, with those of low levels.
func highOf(sum, l reg.VecVirtual) {
	VPSUBD(l, sum, sum)
	VPSRAD(imm(4), sum, sum)
}

// coarseReaching generates the list of columns, of n from first on, whose products may be
// at least floor: pairs of column and the most that its product may be, in the columns'
// order. A product is at most
// ((dot - shift)·factor + radius·reach + bias·unit + |bias|·slack)·inverse + least,
// and floor is in units of inverse, without least. There is room for 16 more than n. lanes
// says how 16 columns and bounds are interleaved. It returns how many they are. Hardly any
// column reaches a floor that is near the largest product, so that is what is looked for.
func coarseReaching(biased bool) {
	name := "coarseReaching"
	if biased {
		name += "Bias"
	}
	TEXT(name, NOSPLIT, "func(dst *int32, dot *int32, n int, factor *float32, radius *float32, bias *float32, shift float32, reach float32, unit float32, slack float32, floor float32, inverse float32, least float32, first int32, lanes *int32) int")
	Pragma("noescape")
	dst, dot, n, factor, radius := gp("dst"), gp("dot"), gp("n"), gp("factor"), gp("radius")
	pointers := []reg.GPVirtual{dot, factor, radius}
	var unit, slack reg.VecVirtual
	if biased {
		pointers, unit, slack = append(pointers, gp("bias")), broadcast("unit"), broadcast("slack")
	}
	column := Load(Param("first"), GP32())
	shift, reach, floor, low, high := broadcast("shift"), broadcast("reach"), broadcast("floor"), ZMM(), ZMM()
	lanes, abs := gp("lanes"), constant(0x7fffffff)
	VMOVDQU32(mem{Base: lanes}, low)
	VMOVDQU32(mem{Base: lanes, Disp: 64}, high)
	some, hits, block := K(), GP64(), "full"
	loop16(name, n, func(mask *reg.OpmaskVirtual) {
		y := loadPS(mem{Base: dot}, mask)
		VCVTDQ2PS(y, y)
		VSUBPS(shift, y, y)
		VMULPS(loadPS(mem{Base: factor}, mask), y, y)
		VFMADD231PS(loadPS(mem{Base: radius}, mask), reach, y)
		if biased {
			b := loadPS(mem{Base: pointers[3]}, mask)
			VFMADD231PS(unit, b, y)
			VANDPS(abs, b, b)
			VFMADD231PS(slack, b, y)
		}
		if mask != nil {
			block = "rest"
			VCMPPS(imm(29), floor, y, *mask, some) // y >= floor
		} else {
			VCMPPS(imm(29), floor, y, some)
		}
		KORTESTW(some, some)
		JZ(label(name + "_none_" + block))
		at16, pairs := ZMM(), ZMM()
		VPBROADCASTD(column, at16)
		VPADDD(mem{Base: lanes, Disp: 128}, at16, at16)
		VMULPS_BCST(param("inverse"), y, y)
		VADDPS_BCST(param("least"), y, y)
		VCOMPRESSPS_Z(y, some, y)
		VPCOMPRESSD_Z(at16, some, at16)
		VMOVDQA64(at16, pairs)
		VPERMT2D(y, low, pairs)
		VPERMT2D(y, high, at16)
		VMOVDQU32(pairs, mem{Base: dst})
		VMOVDQU32(at16, mem{Base: dst, Disp: 64})
		KMOVW(some, hits.As32())
		POPCNTQ(hits, hits)
		LEAQ(mem{Base: dst, Index: hits, Scale: 8}, dst)
		Label(name + "_none_" + block)
	}, func() {
		ADDL(imm(16), column)
		for _, p := range pointers {
			ADDQ(imm(64), p)
		}
	})
	SUBQ(param("dst"), dst)
	SHRQ(imm(3), dst)
	Store(dst, ReturnIndex(0))
	VZEROUPPER()
	RET()
}
