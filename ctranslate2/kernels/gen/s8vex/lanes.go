package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
)

// Products of many rows with AVX-VNNI: the rows are lanes of registers, packed in groups of
// four of k, and four of a column's weights, as they are stored, are multiplied by all of
// them. So weights need no packing, and no sums are added across lanes.

// lanes generates sums[j][i] = Σ x[k][i]·w[j][k] for some columns of 64·n weights and some
// registers of eight rows: x is [16·n][rows][4] and sums [columns][rows]. Where what is
// multiplied begins at another k than 0, it adds to the sums. Meanwhile the columns' lines
// to come are fetched, and as many at pf in the order of their addresses.
func lanes(registers, columns int) {
	name := fmt.Sprintf("vnniLanes_%dx%d", registers, columns)
	text(name, "func(x *uint8, w *int8, ldw int, n int, sums *int32, from int, pf uintptr)")
	x, ws, n, sums, pf := gp("x"), rowsOf("w", "ldw", columns), gp("n"), gp("sums"), gp("pf")
	products := registers * columns
	weight := products + registers
	for i := range products {
		VPXOR(y[i], y[i], y[i])
	}
	CMPQ(param("from"), imm(0))
	JEQ(label(name + "_loop"))
	for i := range products {
		VMOVDQU(mem{Base: sums, Disp: 32 * i}, y[i])
	}
	Label(name + "_loop")
	const groups = 16
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
	for i := range products {
		VMOVDQU(y[i], mem{Base: sums, Disp: 32 * i})
	}
	end()
}

// packLanes generates dst[k][i] = a[i][k] for eight rows of 8·n groups of four bytes, each
// eight groups step bytes behind the eight before them.
func packLanes() {
	const name = "vnniPackLanes"
	text(name, "func(dst *uint8, step int, a *uint8, lda int, n int)")
	dst, step, as, n := gp("dst"), gp("step"), rowsOf("a", "lda", 8), gp("n")
	Label(name + "_loop")
	for i := range 8 {
		VMOVDQU(as.row(i, 0), y[i])
	}
	transpose8()
	for d := range 8 {
		VMOVDQU(y[8+d], mem{Base: dst})
		ADDQ(step, dst)
	}
	spread(32, as.bases...)
	DECQ(n)
	JNZ(label(name + "_loop"))
	end()
}

// storeLanes generates c[i][j] = sums[j][i] + add[j] for eight rows and 8·n columns. Strides
// are in bytes.
func storeLanes() {
	const name = "vnniStoreLanes"
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
