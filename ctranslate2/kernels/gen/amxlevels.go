package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// coarseTiles generates c[i][32·p + j] = Σ a[i][k]·h[j][k] for rows signed rows and the
// levels h of the 32 columns of some panels, which lie one behind the other: 256·n of k.
// The configuration says how many rows the last block of them has. Low levels go to lines
// on the stack, [2][16][64] bytes, one block of 64 of k ahead; high ones come out of the
// products of whole bytes, as in coarseDots. The blocks are those of a panel's quarters by
// turns, so that as much as is read of each of these is fetched of each but a little ahead:
// a panel that was fetched whole would not stay in the first cache.
func coarseTiles(blocks int) {
	name := fmt.Sprintf("coarseTiles_%d", blocks)
	TEXT(name, 0, "func(config *byte, a *int8, lda int, rows int, panel *byte, panels int, n int, c *int32, ldc int)")
	Pragma("noescape")
	t := newLevelTiles()
	tileConfigure(into(reg.RAX, "config"))
	Label(name + "_panel")
	a1, lda := into(reg.RDI, "a"), into(reg.RSI, "lda")
	a0, sums := reg.RDX, []tile{2, 3} // the last block is the one that may have fewer rows
	t.rows = []reg.Register{a1}
	if blocks > 1 {
		MOVQ(a1, a0)
		MOVQ(lda, a1)
		SHLQ(imm(4), a1)
		ADDQ(a0, a1)
		sums = []tile{0, 1, 2, 3}
		t.rows = []reg.Register{a1, a0}
	}
	tileZero(sums...)
	MOVQ(t.panel, t.bytes)
	for _, line := range t.lowLevels(t.present, 0, nil) {
		line()
	}
	n := gp("n")
	Label(name + "_loop")
	ADDQ(operand.I32(1024), t.fetched)
	CMPQ(n, imm(1))
	JNE(label(name + "_within"))
	ADDQ(t.next, t.fetched)
	Label(name + "_within")
	for q := range 3 {
		t.multiply(q, 3, t.lowLevels(t.ahead, q+1, t.fetches(q)))
	}
	DECQ(n)
	JZ(label(name + "_last"))
	t.multiply(3, 3, t.lowLevels(t.ahead, 0, t.fetches(3)))
	JMP(label(name + "_loop"))
	Label(name + "_last")
	t.multiply(3, 1, t.fetches(3))
	out, ldc := into(reg.RDI, "c"), into(reg.RSI, "ldc")
	tileSums(sums, out, ldc, func(base, stride reg.Register, t tile) { tileStore(t, base, stride) })
	highSums(name)
	ADDQ(t.next, t.panel)
	ADDQ(operand.I32(128), param("c"))
	DECQ(param("panels"))
	JNZ(label(name + "_panel"))
	tileRelease()
	VZEROUPPER()
	RET()
}

// levelTiles are products of tiles and levels.
type levelTiles struct {
	rows                     []reg.Register // of the blocks, the last one first
	line                     reg.Register   // 64
	present, ahead           reg.Register   // lines of low levels
	bytes                    reg.Register   // of the levels that are multiplied
	panel                    reg.GPVirtual  // levels whose low ones go to lines
	fetched                  reg.GPVirtual  // what is fetched of the first quarter
	quarter, quarter3        reg.GPVirtual  // bytes of one and of three
	back, next, row, rowBack mem            // moves, see newLevelTiles
	low                      reg.VecVirtual
}

// newLevelTiles starts with the first panel.
func newLevelTiles() *levelTiles {
	lines, moves := AllocLocal(2*1024+64), AllocLocal(4*8)
	t := &levelTiles{
		line: reg.R11, present: reg.R8, ahead: reg.R10, bytes: reg.R9, panel: gp("panel"),
		fetched: GP64(), quarter: gp("n"), quarter3: GP64(), low: constant(0x0f0f0f0f),
		back: moves, next: at(moves, 8), row: at(moves, 16), rowBack: at(moves, 24),
	}
	MOVQ(operand.I32(64), t.line)
	LEAQ(at(lines, 63), t.present)
	ANDQ(operand.I32(-64), t.present)
	LEAQ(mem{Base: t.present, Disp: 1024}, t.ahead)
	MOVQ(t.panel, t.fetched)
	by := GP64()
	SHLQ(imm(6), t.quarter) // a quarter of a row, in bytes
	LEAQ(mem{Base: t.quarter, Index: t.quarter, Scale: 2}, by)
	NEGQ(by)
	ADDQ(imm(64), by)
	MOVQ(t.quarter, t.row) // to the next quarter of a row
	MOVQ(by, t.rowBack)    // from the fourth to the first one, and on
	SHLQ(imm(4), t.quarter)
	LEAQ(mem{Base: t.quarter, Index: t.quarter, Scale: 2}, t.quarter3)
	MOVQ(t.quarter3, by)
	NEGQ(by)
	ADDQ(operand.I32(1024), by)
	MOVQ(by, t.back) // from a panel's fourth quarter to its first one, and on
	LEAQ(mem{Base: t.quarter3, Disp: panelSums}, by)
	MOVQ(by, t.next) // from the end of a panel's first quarter to the next panel
	return t
}

// lowLevels write the low levels of 64 of k of quarter q to lines, one each, and move on.
func (t *levelTiles) lowLevels(lines reg.Register, q int, fetches []func()) []func() {
	var all []func()
	for u := range 16 {
		all = append(all, func() {
			v := ZMM()
			VPANDD(mem{Base: t.panel, Disp: 64 * u}, t.low, v)
			if fetches != nil {
				fetches[u]()
			}
			VMOVDQA64(v, mem{Base: lines, Disp: 64 * u})
			if u == 15 {
				t.turn(t.panel, q, t.quarter, t.back)
			}
		})
	}
	return all
}

// fetches fetch a fourth of what is read next of each quarter, a line each.
func (t *levelTiles) fetches(part int) []func() {
	quarters := stridedRows{[]reg.GPVirtual{t.fetched}, t.quarter, t.quarter3}
	var all []func()
	for u := range 16 {
		all = append(all, func() { PREFETCHT0(at(quarters.row(u%4), 64*(4*part+u/4))) })
	}
	return all
}

// turn moves p on from quarter q.
func (t *levelTiles) turn(p reg.Register, q int, on, back operand.Op) {
	if q == 3 {
		on = back
	}
	ADDQ(on, p)
}

// multiply multiplies 64 of k of quarter q, among others, which are each operations each.
func (t *levelTiles) multiply(q, each int, others []func()) {
	lda := reg.RSI
	tiles := []func(){
		func() { tileLoad(t.present, t.line, 6) },
		func() { tileLoad(t.bytes, t.line, 7) },
		func() { tileLoad(t.rows[0], lda, 5) },
	}
	if len(t.rows) > 1 {
		tiles = append(tiles, func() { tileLoad(t.rows[1], lda, 4) })
	}
	tiles = append(tiles,
		func() { tileDotSU(5, 6, 2) },
		func() { tileDotSU(5, 7, 3) })
	if len(t.rows) > 1 {
		tiles = append(tiles,
			func() { tileDotSU(4, 6, 0) },
			func() { tileDotSU(4, 7, 1) })
	}
	spaced(tiles, others, each, len(tiles)/2) // lines written late would be waited for
	for _, row := range t.rows {
		t.turn(row, q, t.row, t.rowBack)
	}
	t.turn(t.bytes, q, t.quarter, t.back)
	XCHGQ(t.ahead, t.present)
}

// highSums makes sums of high levels of the sums of bytes, in all rows of c.
func highSums(name string) {
	c, ldc, rows := gp("c"), gp("ldc"), gp("rows")
	Label(name + "_row")
	l, h := ZMM(), ZMM()
	VMOVDQU32(mem{Base: c}, l)
	VMOVDQU32(mem{Base: c, Disp: 64}, h)
	highOf(h, l)
	VMOVDQU32(h, mem{Base: c, Disp: 64})
	ADDQ(ldc, c)
	DECQ(rows)
	JNZ(label(name + "_row"))
}
