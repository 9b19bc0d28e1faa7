package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Products of many rows: the rows are lanes of registers, packed in groups of as many of k
// as a lane holds, and such a group of a column's weights is multiplied by all of them. So
// weights need no packing, and no sums are added across lanes.

// lanes generates sums[j][i] = Σ x[k][i]·w[j][k] for some columns of 64·n weights and some
// registers of eight rows: x are groups of k of all rows, as packLanes leaves them, and sums
// [columns][rows]. If more is not 0, it adds to the sums.
// Meanwhile as many lines as the columns have are fetched at pf, in the order of their
// addresses.
func (t *instructions) lanes(registers, columns int) {
	name := fmt.Sprintf("%sLanes_%dx%d", t.prefix, registers, columns)
	text(name, "func(x *uint8, w *int8, ldw int, n int, sums *int32, more int, pf uintptr)")
	x, ws, n, sums, pf := gp("x"), rowsOf("w", "ldw", columns), gp("n"), gp("sums"), gp("pf")
	products := registers * columns
	for i := range products {
		VPXOR(y[i], y[i], y[i])
	}
	CMPQ(param("more"), imm(0))
	JEQ(label(name + "_start"))
	for i := range products {
		VMOVDQU(mem{Base: sums, Disp: 32 * i}, y[i])
	}
	Label(name + "_start")
	if t.words {
		SHLQ(imm(2), n)
		laneWords(name, registers, columns, x, ws, n, pf)
	} else {
		laneBytes(name, registers, columns, x, ws, n, pf)
	}
	for i := range products {
		VMOVDQU(y[i], mem{Base: sums, Disp: 32 * i})
	}
	end()
}

// laneBytes generates the loop over n times 64 of k for bytes: weights are multiplied from
// where they are stored, in groups of four.
func laneBytes(name string, registers, columns int, x reg.GPVirtual, ws rows, n, pf reg.GPVirtual) {
	const groups = 16
	products := registers * columns
	weight := products + registers
	Label(name + "_loop")
	for g := range groups {
		for i := range registers {
			VMOVDQU(mem{Base: x, Disp: 32 * (registers*g + i)}, y[products+i])
		}
		for j := range columns {
			VPBROADCASTD(ws.row(j, 4*g), y[weight])
			for i := range registers {
				dpbusd(weight, products+i, registers*j+i)
			}
		}
		if g < columns {
			PREFETCHT0(ws.row(g, 256))
			PREFETCHT1(mem{Base: pf, Disp: 64 * g})
		}
	}
	spread(32*registers*groups, x)
	spread(4*groups, ws.bases...)
	spread(64*columns, pf)
	DECQ(n)
	JNZ(label(name + "_loop"))
}

// laneWords generates the loop over n times 16 of k for words: weights are widened first, and
// then multiplied in groups of two, by rows that come from memory or, if there is room for
// them, from registers.
func laneWords(name string, registers, columns int, x reg.GPVirtual, ws rows, n, pf reg.GPVirtual) {
	const groups = 8
	products := registers * columns
	weight, free, held := products, products+1, products+2
	wide := AllocLocal(32 * columns)
	Label(name + "_loop")
	for j := range columns {
		VPMOVSXBW(ws.row(j, 0), y[free])
		VMOVDQU(y[free], wide.Offset(32*j))
	}
	for g := range groups {
		rows := func(i int) operand.Op { return mem{Base: x, Disp: 32 * (registers*g + i)} }
		if held+registers <= len(y) {
			for i := range registers {
				VMOVDQU(rows(i), y[held+i])
			}
			rows = func(i int) operand.Op { return y[held+i] }
		}
		for j := range columns {
			VPBROADCASTD(wide.Offset(32*j+4*g), y[weight])
			for i := range registers {
				VPMADDWD(rows(i), y[weight], y[free])
				VPADDD(y[free], y[registers*j+i], y[registers*j+i])
			}
		}
	}
	for j := 0; j < columns; j += 4 {
		PREFETCHT1(mem{Base: pf, Disp: 16 * j})
	}
	spread(32*registers*groups, x)
	spread(2*groups, ws.bases...)
	spread(16*columns, pf)
	DECQ(n)
	JNZ(label(name + "_loop"))
}

// packLanes generates groups of k of eight rows, 32 bytes each: four bytes of each, or two
// words. There are 8·n groups, each step bytes behind the one before.
func (t *instructions) packLanes() {
	name := t.prefix + "PackLanes"
	text(name, "func(dst *uint8, step int, a *uint8, lda int, n int)")
	dst, step, as, n := gp("dst"), gp("step"), rowsOf("a", "lda", 8), gp("n")
	Label(name + "_loop")
	for i := range 8 {
		t.loadA(as.row(i, 0), i)
	}
	transpose8()
	for d := range 8 {
		VMOVDQU(y[8+d], mem{Base: dst})
		ADDQ(step, dst)
	}
	spread(t.width, as.bases...)
	DECQ(n)
	JNZ(label(name + "_loop"))
	end()
}

// storeLanes generates c[i][j] = sums[j][i] + add[j] for eight rows and 8·n columns. Strides
// are in bytes.
func storeLanes() {
	const name = "avx2StoreLanes"
	text(name, "func(c *int32, ldc int, sums *int32, lds int, add *int32, n int)")
	cs, sums, lds, add, n := rowsOf("c", "ldc", 8), gp("sums"), gp("lds"), gp("add"), gp("n")
	Label(name + "_loop")
	for j := range 8 {
		VMOVDQU(mem{Base: sums}, y[j])
		ADDQ(lds, sums)
	}
	transpose8()
	VMOVDQU(mem{Base: add}, y[0])
	for i := range 8 {
		VPADDD(y[0], y[8+i], y[8+i])
		VMOVDQU(y[8+i], cs.row(i, 0))
	}
	spread(32, add)
	spread(32, cs.bases...)
	DECQ(n)
	JNZ(label(name + "_loop"))
	end()
}

// transpose8 transposes the dwords of registers 0 to 7, which it changes, to 8 to 15.
func transpose8() {
	for i := 0; i < 8; i += 2 { // y[i], y[i+1]: dwords 0, 1 and 2, 3 of each half of two rows
		VPUNPCKLDQ(y[i+1], y[i], y[8+i])
		VPUNPCKHDQ(y[i+1], y[i], y[9+i])
	}
	for i := 0; i < 8; i += 4 { // y[i+d]: dword d of each half of four rows
		for d := range 2 {
			VPUNPCKLQDQ(y[10+i+d], y[8+i+d], y[i+2*d])
			VPUNPCKHQDQ(y[10+i+d], y[8+i+d], y[i+2*d+1])
		}
	}
	for d := range 4 {
		VPERM2I128(imm(0x20), y[4+d], y[d], y[8+d])
		VPERM2I128(imm(0x31), y[4+d], y[d], y[12+d])
	}
}
