package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// pack16 transposes 16 rows of b, of k bytes each, into groups of 64 bytes that
// are step bytes apart: group g holds bytes 4g..4g+3 of each row. What is
// missing of the last group is zero.
func pack16() {
	const name = "packS8"
	TEXT(name, NOSPLIT, "func(b *int8, ldb int, k int, dst *int8, step int)")
	Pragma("noescape")
	b, ldb, k, dst, step := gp("b"), gp("ldb"), gp("k"), gp("dst"), gp("step")
	bs := newRows(b, ldb, 16)
	step3 := GP64()
	LEAQ(mem{Base: step, Index: step, Scale: 2}, step3)
	n := GP64()
	MOVQ(k, n)
	SHRQ(imm(6), n)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	out := transpose16(bs.row, nil)
	for g := 0; g < 16; g += 4 {
		VMOVDQU32(out[g], mem{Base: dst})
		VMOVDQU32(out[g+1], mem{Base: dst, Index: step, Scale: 1})
		VMOVDQU32(out[g+2], mem{Base: dst, Index: step, Scale: 2})
		VMOVDQU32(out[g+3], mem{Base: dst, Index: step3, Scale: 1})
		LEAQ(mem{Base: dst, Index: step, Scale: 4}, dst)
	}
	bs.advance(64)
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	ANDQ(imm(63), k)
	JZ(label(name + "_done"))
	mask := lowMask(k)
	for _, v := range transpose16(bs.row, &mask) {
		VMOVDQU32(v, mem{Base: dst})
		ADDQ(step, dst)
		SUBQ(imm(4), k)
		JLE(label(name + "_done"))
	}
	Label(name + "_done")
	VZEROUPPER()
	RET()
}

// transpose16 loads 64 bytes of 16 rows and transposes them as 16×16 dwords.
func transpose16(row func(i int) mem, mask *reg.OpmaskVirtual) []reg.VecVirtual {
	r := make([]reg.VecVirtual, 16)
	for i := range r {
		r[i] = ZMM()
		if mask != nil {
			VMOVDQU8_Z(row(i), *mask, r[i])
		} else {
			VMOVDQU8(row(i), r[i])
		}
	}
	for i := 0; i < 16; i += 2 { // pairs of rows
		t := ZMM()
		VPUNPCKLDQ(r[i+1], r[i], t)
		VPUNPCKHDQ(r[i+1], r[i], r[i+1])
		r[i] = t
	}
	u := make([]reg.VecVirtual, 16)
	for q := 0; q < 16; q += 4 { // u[q+c], lane L: rows q..q+3, dword 4L+c
		for h := 0; h < 2; h++ {
			u[q+2*h], u[q+2*h+1] = ZMM(), ZMM()
			VPUNPCKLQDQ(r[q+2+h], r[q+h], u[q+2*h])
			VPUNPCKHQDQ(r[q+2+h], r[q+h], u[q+2*h+1])
		}
	}
	out := make([]reg.VecVirtual, 16)
	for c := 0; c < 4; c++ {
		x0, x1, x2, x3 := u[c], u[4+c], u[8+c], u[12+c]
		even01, odd01, even23, odd23 := ZMM(), x0, ZMM(), x2
		VSHUFI32X4(imm(0x88), x1, x0, even01)
		VSHUFI32X4(imm(0xdd), x1, x0, odd01)
		VSHUFI32X4(imm(0x88), x3, x2, even23)
		VSHUFI32X4(imm(0xdd), x3, x2, odd23)
		out[c], out[4+c], out[8+c], out[12+c] = ZMM(), ZMM(), even01, odd01
		VSHUFI32X4(imm(0x88), even23, even01, out[c])
		VSHUFI32X4(imm(0xdd), even23, even01, out[8+c])
		VSHUFI32X4(imm(0x88), odd23, odd01, out[4+c])
		VSHUFI32X4(imm(0xdd), odd23, odd01, out[12+c])
	}
	return out
}

// A kernel for columns as they are stored takes so many rows. For a single one streamS8
// is faster, and on Intel's processors stripesS8 for a few.
const leastColumnRows, mostColumnRows = 2, 16

// columnsS8 generates c[mr][16] = Σ a[i][k]·b[j][k] + add[j] for mr rows of bytes
// and 16 rows of weights, which it transposes in registers, 16 bytes at a time:
// shuffles and products run on different ports. Strides are in bytes; ldc is 128.
// Meanwhile, for each 16 of k, 4 lines at pf are fetched, one at a time: processors drop
// requests while many are under way. From each to the next it is step bytes, or behind
// every fourth back bytes.
//
// Rows of weights that lie shift bytes behind a line's start, all of them, are read
// from there, by whole lines: what is not theirs is masked, and so is what follows the
// last of k. Pieces of 16 bytes that are all masked are left out. So a is read from at
// most 15 bytes before a row to 15 behind it, or if k is less than 64 up to there. Only
// rows of whole lines may have a shift.
//
// The lines of b, a power of two apart more often than not, would throw each
// other out of the first cache between one piece and the next. So they are read
// once, a block of 64 bytes ahead, into lines, [2][4][4][64] bytes.
func columnsS8(mr int) {
	name := fmt.Sprintf("columnsS8_%d", mr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, b *int8, ldb int, k int, shift int, lines *int8, c *int32, add *int32, pf uintptr, step int, back int)")
	Pragma("noescape")
	a, shift := gp("a"), gp("shift")
	SUBQ(shift, a)
	as, b := newStridedRows(a, gp("lda"), mr), newLineCopy(gp("b"), gp("ldb"), shift)
	lines, pf := gp("lines"), gp("pf")
	ahead := GP64()
	LEAQ(mem{Base: lines, Disp: 16 * 64}, ahead)
	acc := zeros(mr)
	for j := 0; j < 4; j++ {
		b.copy4(mem{Base: lines, Disp: 64 * j})
	}
	Label(name + "_loop")
	b.nextBlock(name)
	for s := 0; s < 4; s++ {
		piece := fmt.Sprintf("%s_%d", name, s)
		b.copy4(mem{Base: ahead, Disp: 64 * s})
		b.skip(s, piece+"_masked")
		for u, g := range transpose4(mem{Base: lines, Disp: 4 * 64 * s}) {
			PREFETCHT0(mem{Base: pf})
			ADDQ(param([]string{"step", "step", "step", "back"}[u]), pf)
			for i := range acc {
				v := ZMM()
				VPBROADCASTD(at(as.row(i), 16*s+4*u), v)
				VPDPBUSD(g, v, acc[i])
			}
		}
		Label(piece + "_masked")
	}
	as.advance(64)
	XCHGQ(lines, ahead)
	b.more(name + "_loop")
	c, add, sum := gp("c"), gp("add"), ZMM()
	VMOVDQU32(mem{Base: add}, sum)
	for i := range acc {
		VPADDD(sum, acc[i], acc[i])
		VMOVDQU32(acc[i], mem{Base: c, Disp: 128 * i})
	}
	VZEROUPPER()
	RET()
}

// lineCopy copies lines of 16 rows of a matrix, 128 bits of four rows together.
type lineCopy struct {
	b, ldb4, ldb12 reg.GPVirtual // 4 and 12 strides
	// What there is of the line that is read next, and of a row's last.
	mask, tail reg.OpmaskVirtual
	// How many bytes are left from the next line on, and which pieces of the
	// present one are not all masked, a bit for each. They take the places of
	// parameters that are not needed any more.
	left, pieces mem
}

// newLineCopy starts with the line that lies shift bytes before b.
func newLineCopy(b, ldb4, shift reg.GPVirtual) lineCopy {
	ldb12 := GP64()
	SHLQ(imm(2), ldb4)
	LEAQ(mem{Base: ldb4, Index: ldb4, Scale: 2}, ldb12)
	SUBQ(shift, b)
	end, ones := GP64(), GP64()
	MOVQ(shift, end)
	ADDQ(param("k"), end)
	MOVQ(end, param("k"))
	ANDQ(imm(63), end)
	c := lineCopy{b, ldb4, ldb12, K(), lowMask(end), param("k"), param("shift")}
	MOVQ(operand.I32(-1), ones)
	SHLXQ(shift, ones, ones)
	KMOVQ(ones, c.mask)
	c.limit("first")
	SHRQ(imm(4), shift)
	MOVQ(operand.I32(-1), ones)
	SHLXQ(shift, ones, ones)
	MOVQ(ones, c.pieces)
	return c
}

// limit masks what is beyond the last byte, with left bytes left, and maybe none:
// what is masked is not touched.
func (c lineCopy) limit(name string) {
	CMPQ(c.left, imm(64))
	JGE(label(name + "_whole"))
	KMOVQ(c.tail, c.mask)
	CMPQ(c.left, imm(0))
	JG(label(name + "_whole"))
	KXORQ(c.mask, c.mask, c.mask)
	Label(name + "_whole")
}

// skip jumps to name if nothing of piece s of the present line counts.
func (c lineCopy) skip(s int, name string) {
	TESTQ(operand.I32(1<<s), c.pieces)
	JZ(label(name))
}

// copy4 copies lines of the next row and of those 4, 8 and 12 after it: their
// bytes 16·i.. go to the lanes of 64 bytes at to + 256·i.
func (c lineCopy) copy4(to mem) {
	at4 := []mem{{Base: c.b}, {Base: c.b, Index: c.ldb4, Scale: 1}, {Base: c.b, Index: c.ldb4, Scale: 2}, {Base: c.b, Index: c.ldb12, Scale: 1}}
	var x [4]reg.VecVirtual
	for i, m := range at4 {
		x[i] = ZMM()
		VMOVDQU8_Z(m, c.mask, x[i])
	}
	ADDQ(param("ldb"), c.b)
	low, high := ZMM(), ZMM()
	VSHUFI32X4(imm(0x44), x[1], x[0], low)
	VSHUFI32X4(imm(0xee), x[1], x[0], x[0])
	VSHUFI32X4(imm(0x44), x[3], x[2], high)
	VSHUFI32X4(imm(0xee), x[3], x[2], x[2])
	VSHUFI32X4(imm(0x88), high, low, x[1])
	VSHUFI32X4(imm(0xdd), high, low, low)
	VSHUFI32X4(imm(0x88), x[2], x[0], x[3])
	VSHUFI32X4(imm(0xdd), x[2], x[0], x[0])
	for i, v := range []reg.VecVirtual{x[1], low, x[3], x[0]} {
		VMOVDQU8(v, at(to, 4*64*i))
	}
}

// nextBlock goes back to the first of 16 rows and on by a line.
func (c lineCopy) nextBlock(name string) {
	SUBQ(c.ldb4, c.b)
	ADDQ(imm(64), c.b)
	SUBQ(imm(64), c.left)
	KXNORQ(c.mask, c.mask, c.mask)
	c.limit(name + "_next")
}

// more goes on with the line that was read ahead, at loop, if there is one.
func (c lineCopy) more(loop string) {
	n, pieces := GP64(), GP64()
	MOVQ(operand.I32(-1), pieces)
	MOVQ(c.left, n)
	CMPQ(n, imm(64))
	JGE(label(loop + "_whole"))
	ADDQ(imm(15), n)
	SARQ(imm(4), n)
	BZHIQ(n, pieces, pieces)
	Label(loop + "_whole")
	MOVQ(pieces, c.pieces)
	CMPQ(c.left, imm(0))
	JG(label(loop))
}

// transpose4 transposes the 4×4 dwords in each lane of four vectors at m.
func transpose4(m mem) [4]reg.VecVirtual {
	r := [4]reg.VecVirtual{ZMM(), ZMM(), ZMM(), ZMM()}
	for j := range r {
		VMOVDQU32(at(m, 64*j), r[j])
	}
	low01, low23 := ZMM(), ZMM()
	VPUNPCKLDQ(r[1], r[0], low01)
	VPUNPCKHDQ(r[1], r[0], r[0])
	VPUNPCKLDQ(r[3], r[2], low23)
	VPUNPCKHDQ(r[3], r[2], r[2])
	VPUNPCKLQDQ(low23, low01, r[1])
	VPUNPCKHQDQ(low23, low01, low01)
	VPUNPCKLQDQ(r[2], r[0], r[3])
	VPUNPCKHQDQ(r[2], r[0], r[0])
	return [4]reg.VecVirtual{r[1], low01, r[3], r[0]}
}

// packColumnsS8 generates c[mr][16] = Σ a[i][k]·b[j][k] + add[j] for up to panelRows rows of
// bytes and 16 rows of weights, which it transposes and leaves at panel, 128 bytes for
// four of k, for panelS8. Strides are in bytes; ldc is 128. Rows of weights are read as
// lines of 64 bytes from shift bytes before them, and packed so: what is not theirs is
// masked, and a is read as far. Meanwhile, for each line, four at pf are fetched.
func packColumnsS8(mr int) {
	name := fmt.Sprintf("packColumnsS8_%d", mr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, b *int8, ldb int, k int, shift int, panel *int8, c *int32, add *int32, pf uintptr)")
	Pragma("noescape")
	a, b, shift, left := gp("a"), gp("b"), gp("shift"), gp("k")
	SUBQ(shift, a)
	SUBQ(shift, b)
	ADDQ(shift, left)
	rest, ones, mask := GP64(), GP64(), K()
	MOVQ(left, rest)
	ANDQ(imm(63), rest)
	tail := lowMask(rest)
	MOVQ(operand.I32(-1), ones)
	SHLXQ(shift, ones, ones)
	KMOVQ(ones, mask)
	as, bs := newStridedRows(a, gp("lda"), mr), newStridedRows(b, gp("ldb"), 16)
	panel, pf, acc := gp("panel"), gp("pf"), zeros(mr)
	odd := acc
	if mr <= panelRows/2 { // few sums: odd groups have their own, lest each wait for the one before
		odd = zeros(mr)
	}
	Label(name + "_line")
	CMPQ(left, imm(64))
	JGE(label(name + "_whole"))
	KANDQ(tail, mask, mask)
	Label(name + "_whole")
	for u, g := range transpose16(bs.row, &mask) {
		VMOVDQU32(g, mem{Base: panel, Disp: 128 * u})
		if u%4 == 0 {
			PREFETCHT1(mem{Base: pf, Disp: 16 * u})
		}
		for i, sum := range [][]reg.VecVirtual{acc, odd}[u%2] {
			v := ZMM()
			VPBROADCASTD(at(as.row(i), 4*u), v)
			VPDPBUSD(g, v, sum)
		}
	}
	KXNORQ(mask, mask, mask)
	as.advance(64)
	bs.advance(64)
	ADDQ(operand.I32(16*128), panel)
	ADDQ(operand.I32(4*64), pf)
	SUBQ(imm(64), left)
	JG(label(name + "_line"))
	c, sum := gp("c"), ZMM()
	VMOVDQU32(mem{Base: gp("add")}, sum)
	for i := range acc {
		if mr <= panelRows/2 {
			VPADDD(odd[i], acc[i], acc[i])
		}
		VPADDD(sum, acc[i], acc[i])
		VMOVDQU32(acc[i], mem{Base: c, Disp: 128 * i})
	}
	VZEROUPPER()
	RET()
}

// panelRows is how many rows a packed panel is multiplied by at once.
const panelRows = 8

// panelS8 generates c[8][32] = a·panel + add for a packed panel of 32 columns
// and k4 groups of four. Strides are in bytes; ldc is 128. First it fetches the
// rows at out, where c will go: they are seldom in the caches. Meanwhile, for every four
// groups, three lines at pf are fetched, step bytes apart.
func panelS8() {
	const name = "panelS8"
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, panel *int8, k4 int, c *int32, add *int32, out uintptr, ldo int, pf uintptr, step int)")
	Pragma("noescape")
	out, ldo := gp("out"), gp("ldo")
	for i := 0; i < panelRows; i++ {
		PREFETCHT0(mem{Base: out})
		PREFETCHT0(mem{Base: out, Disp: 64})
		ADDQ(ldo, out)
	}
	a, panel, k4, pf, step := gp("a"), gp("panel"), gp("k4"), gp("pf"), gp("step")
	as := newRows(a, gp("lda"), panelRows)
	acc := zeros(2 * panelRows)
	multiply := func(u int) {
		b0, b1 := ZMM(), ZMM()
		VMOVDQU32(mem{Base: panel, Disp: 128 * u}, b0)
		VMOVDQU32(mem{Base: panel, Disp: 128*u + 64}, b1)
		for i := 0; i < panelRows; i++ {
			v := ZMM()
			VPBROADCASTD(at(as.row(i), 4*u), v)
			VPDPBUSD(b0, v, acc[2*i])
			VPDPBUSD(b1, v, acc[2*i+1])
		}
	}
	n := GP64()
	MOVQ(k4, n)
	SHRQ(imm(2), n)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	for u := 0; u < 4; u++ {
		multiply(u)
		if u < 3 {
			PREFETCHT1(mem{Base: pf})
			ADDQ(step, pf)
		}
	}
	ADDQ(operand.I32(512), panel)
	as.advance(16)
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	ANDQ(imm(3), k4)
	JZ(label(name + "_done"))
	Label(name + "_rest")
	multiply(0)
	ADDQ(operand.I32(128), panel)
	as.advance(4)
	DECQ(k4)
	JNZ(label(name + "_rest"))
	Label(name + "_done")
	c, add := gp("c"), gp("add")
	a0, a1 := ZMM(), ZMM()
	VMOVDQU32(mem{Base: add}, a0)
	VMOVDQU32(mem{Base: add, Disp: 64}, a1)
	for i := 0; i < panelRows; i++ {
		VPADDD(a0, acc[2*i], acc[2*i])
		VPADDD(a1, acc[2*i+1], acc[2*i+1])
		VMOVDQU32(acc[2*i], mem{Base: c, Disp: 128 * i})
		VMOVDQU32(acc[2*i+1], mem{Base: c, Disp: 128*i + 64})
	}
	VZEROUPPER()
	RET()
}
