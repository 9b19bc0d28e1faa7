package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// Neither avo nor Go's assembler knows AMX, so its instructions are written as
// bytes, with registers that are fixed. Source of the encodings: Intel, "Architecture
// Instruction Set Extensions Programming Reference", chapter 3.

// tile is one of the eight tile registers.
type tile int

// prefixes of VEX instructions.
const (
	vexNone = iota
	vex66
	vexF3
	vexF2
)

// vex emits an instruction of the map 0F38, without W and L. r, x and b are the
// fourth bits of the registers in the bytes that follow the opcode.
func vex(prefix, opcode, vvvv int, r, x, b int, inputs []operand.Op, rest ...int) {
	bytes := append([]int{0xc4, (1-r)<<7 | (1-x)<<6 | (1-b)<<5 | 2, (15-vvvv)<<3 | prefix, opcode}, rest...)
	raw(inputs, bytes...)
}

// raw emits an instruction as bytes.
func raw(inputs []operand.Op, bytes ...int) {
	for i, v := range bytes {
		in := &ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(uint8(v))}}
		if i == 0 {
			in.Inputs = inputs
		}
		Instruction(in)
	}
}

func number(r reg.Register) int { return int(r.(reg.Physical).PhysicalIndex()) }

// tileMemory emits an instruction on a tile and rows at base, stride apart.
func tileMemory(prefix int, t tile, base, stride reg.Register) {
	b, x := number(base), number(stride)
	if b&7 == 5 || x == 4 {
		panic("the encoding of these registers is another")
	}
	vex(prefix, 0x4b, 0, 0, x>>3, b>>3, []operand.Op{base, stride}, int(t)<<3|4, x&7<<3|b&7)
}

func tileLoad(base, stride reg.Register, t tile)  { tileMemory(vexF2, t, base, stride) }
func tileStore(t tile, base, stride reg.Register) { tileMemory(vexF3, t, base, stride) }

func tileZero(tiles ...tile) {
	for _, t := range tiles {
		vex(vexF2, 0x49, 0, 0, 0, 0, nil, 0xc0|int(t)<<3)
	}
}

// tileDotSU adds the products of a's signed bytes and b's unsigned ones to c.
func tileDotSU(a, b, c tile) { vex(vexF3, 0x5e, int(b), 0, 0, 0, nil, 0xc0|int(c)<<3|int(a)) }

// tileDotUS adds the products of a's unsigned bytes and b's signed ones to c.
func tileDotUS(a, b, c tile) { vex(vex66, 0x5e, int(b), 0, 0, 0, nil, 0xc0|int(c)<<3|int(a)) }

func tileConfigure(config reg.Register) {
	if b := number(config) & 7; b == 4 || b == 5 {
		panic("the encoding of this register is another")
	}
	vex(vexNone, 0x49, 0, 0, 0, number(config)>>3, []operand.Op{config}, number(config)&7)
}

func tileRelease() { vex(vexNone, 0x49, 0, 0, 0, 0, nil, 0xc0) }

// tileSpacing is how many operations there are between two on tiles, at least.
const tileSpacing = 8

// spaced emits operations on tiles, and between them others, of which each is some
// operations: all of them before the last few tiles. Where the other thread of the core
// is busy, a tile instruction takes 24 cycles, but 40 if it comes within six others of
// the one before. So what lacks are additions to RAX that no one needs; where the core is
// ours they take no time.
func spaced(tiles, others []func(), each, last int) {
	done := 0
	for i, tile := range tiles {
		tile()
		n := 0
		for ; done < min(len(others)*(i+1)/(len(tiles)-last), len(others)); done++ {
			others[done]()
			n += each
		}
		for ; n < tileSpacing; n++ {
			ADDQ(imm(1), reg.RAX)
		}
	}
}

// into loads a parameter into a fixed register.
func into(r reg.GPPhysical, name string) reg.GPPhysical {
	MOVQ(param(name), r)
	return r
}

// tileProducts generates c[p][16·blocks·calls][32] = Σ x[i][k]·w[32·p + j][k] + add[32·p + j]
// for panels of 32 rows of weights as they are stored and calls times one or two blocks of
// 16 rows of bytes, each packed in tiles, which lie ldx apart: 64·n of k, in groups of four.
// The weights are the first operand, so that they need no packing; the products come out
// transposed, to products [32][16·blocks], and are transposed back. They are read from shift
// bytes before them on, where lines start, and if shift isn't 0 for 64 of k more: the rows
// of bytes are zero there. Meanwhile it fetches the panel that follows, which for the last
// one is at pf, and a little of what lies behind that: of each of eight places so many lines
// for each n, up to four, that calls fetch it together.
func tileProducts(blocks int) {
	name := fmt.Sprintf("tileProducts_%d", blocks)
	TEXT(name, NOSPLIT, "func(config *byte, w *int8, ldw int, panels int, x *uint8, ldx int, calls int, n int, shift int, products *int32, c *int32, add *int32, pf uintptr, lines int)")
	Pragma("noescape")
	left := AllocLocal(8)
	tileConfigure(into(reg.RAX, "config"))
	SUBQ(gp("shift"), param("w"))
	lines := gp("lines")
	SHLQ(imm(6), lines)
	Label(name + "_panel")
	w0, ldw, x0, line := into(reg.RDI, "w"), into(reg.RSI, "ldw"), into(reg.R8, "x"), reg.R11
	w1, x1 := reg.RDX, reg.R9
	ahead := newTileFetch(nextPanel(name, w0, ldw), ldw)
	MOVQ(param("calls"), line)
	MOVQ(line, left)
	Label(name + "_call")
	MOVQ(param("w"), w0)
	MOVQ(ldw, w1)
	SHLQ(imm(4), w1)
	ADDQ(w0, w1)
	if blocks > 1 {
		MOVQ(x0, x1)
		ADDQ(param("ldx"), x1)
	}
	MOVQ(operand.I32(64), line)
	sums := []tile{0, 1, 2, 3}[:2*blocks] // of weights i and block j: blocks·i + j
	tileZero(sums...)
	n := gp("n")
	step := func(fetches []func()) {
		tiles := []func(){
			func() { tileLoad(x0, line, 6) },
			func() { tileLoad(w0, ldw, 4) },
			func() { tileDotSU(4, 6, sums[0]) },
		}
		if blocks > 1 {
			tiles = append(tiles, func() { tileLoad(x1, line, 7) }, func() { tileDotSU(4, 7, sums[1]) })
		}
		tiles = append(tiles, func() { tileLoad(w1, ldw, 5) }, func() { tileDotSU(5, 6, sums[blocks]) })
		if blocks > 1 {
			tiles = append(tiles, func() { tileDotSU(5, 7, sums[3]) })
		}
		spaced(tiles, fetches, 1, 0)
	}
	Label(name + "_loop")
	step(ahead.fetches(4))
	ahead.advance(lines)
	ADDQ(imm(64), w0)
	ADDQ(imm(64), w1)
	ADDQ(operand.I32(1024), x0)
	if blocks > 1 {
		ADDQ(operand.I32(1024), x1)
	}
	DECQ(n)
	JNZ(label(name + "_loop"))
	CMPQ(param("shift"), imm(0))
	JEQ(label(name + "_whole"))
	step(nil)
	ADDQ(operand.I32(1024), x0)
	Label(name + "_whole")
	if blocks > 1 {
		ADDQ(param("ldx"), x0)
	}
	out, ldo := into(reg.RCX, "products"), line
	MOVQ(operand.I32(64*blocks), ldo)
	for i := range sums {
		base := reg.RDI
		LEAQ(mem{Base: out, Disp: 1024*blocks*(i/blocks) + 64*(i%blocks)}, base)
		tileStore(sums[i], base, ldo)
	}
	DECQ(left)
	JNZ(label(name + "_same"))
	ahead.jump()
	Label(name + "_same")
	products, c, add, fetches := gp("products"), gp("c"), gp("add"), ahead.fetches(4)
	for i := range sums { // memory must not wait meanwhile
		for line := 4 * i / len(sums); line < 4*(i+1)/len(sums); line++ {
			for _, fetch := range fetches[8*line:][:8] {
				fetch()
			}
		}
		untile(products, c, add, blocks, i/blocks, i%blocks)
	}
	ADDQ(operand.I32(128*16*blocks), param("c"))
	CMPQ(left, imm(0))
	JNE(label(name + "_call"))
	ADDQ(operand.I32(128), param("add"))
	MOVQ(ldw, w0)
	SHLQ(imm(5), w0)
	ADDQ(w0, param("w"))
	DECQ(param("panels"))
	JNZ(label(name + "_panel"))
	tileRelease()
	VZEROUPPER()
	RET()
}

// nextPanel returns where the panel lies that is fetched while the one at w0 is multiplied.
func nextPanel(name string, w0, ldw reg.Register) reg.GPVirtual {
	next := GP64()
	MOVQ(ldw, next)
	SHLQ(imm(5), next)
	ADDQ(w0, next)
	CMPQ(param("panels"), imm(1))
	JNE(label(name + "_more"))
	MOVQ(param("pf"), next)
	Label(name + "_more")
	return next
}

// tileFetch fetches lines of 32 rows of weights in eight places, four rows apart, by
// turns: as stripesS8 does, and for the same reason.
type tileFetch struct{ low, high stridedRows }

// newTileFetch starts at next, with rows ldw bytes apart.
func newTileFetch(next reg.GPVirtual, ldw operand.Op) tileFetch {
	apart, high := GP64(), GP64()
	MOVQ(ldw, apart)
	SHLQ(imm(2), apart)
	low := newStridedRows(next, apart, 4)
	LEAQ(mem{Base: low.bases[0], Index: apart, Scale: 4}, high)
	return tileFetch{low, stridedRows{[]reg.GPVirtual{high}, low.stride, low.stride3}}
}

// fetches fetch some lines of each place, one each.
func (f tileFetch) fetches(lines int) []func() {
	var all []func()
	for line := range lines {
		for _, rows := range []stridedRows{f.low, f.high} {
			for i := range 4 {
				all = append(all, func() { PREFETCHT0(at(rows.row(i), 64*line)) })
			}
		}
	}
	return all
}

// advance moves each place on by some bytes.
func (f tileFetch) advance(bytes reg.Register) {
	ADDQ(bytes, f.low.bases[0])
	ADDQ(bytes, f.high.bases[0])
}

// claimLines fetch, to be written, two lines at RDI and two RSI behind them: PREFETCHW,
// which avo does not know.
func claimLines() []func() {
	var all []func()
	for _, place := range [][]int{{0x0f}, {0x4f, 64}, {0x0c, 0x37}, {0x4c, 0x37, 64}} {
		all = append(all, func() {
			raw([]operand.Op{reg.RDI, reg.RSI}, append([]int{0x0f, 0x0d}, place...)...)
		})
	}
	return all
}

// jump moves on from behind the first place, where all lines of it were fetched, to the
// next 32 rows.
func (f tileFetch) jump() {
	for _, rows := range []stridedRows{f.low, f.high} {
		LEAQ(mem{Base: rows.bases[0], Index: rows.stride, Scale: 4}, rows.bases[0])
		ADDQ(rows.stride3, rows.bases[0])
	}
}

// untile transposes the products of 16 weights and a block of rows back.
func untile(products, c, add reg.GPVirtual, blocks, weights, block int) {
	sum := ZMM()
	VMOVDQU32(mem{Base: add, Disp: 64 * weights}, sum)
	from := mem{Base: products, Disp: 1024*blocks*weights + 64*block}
	for r, v := range transpose16(func(i int) mem { return at(from, 64*blocks*i) }, nil) {
		VPADDD(sum, v, v)
		VMOVDQU32(v, mem{Base: c, Disp: 128*(16*block+r) + 64*weights})
	}
}

// packTiles copies 16 rows of bytes to tiles of 64·n of k, [n][16][64].
func packTiles() {
	const name = "packTiles"
	TEXT(name, NOSPLIT, "func(x *uint8, ldx int, n int, dst *uint8)")
	Pragma("noescape")
	xs, dst, n := newStridedRows(gp("x"), gp("ldx"), 16), gp("dst"), gp("n")
	Label(name + "_loop")
	for i := 0; i < 16; i++ {
		v := ZMM()
		VMOVDQU8(xs.row(i), v)
		VMOVDQU8(v, mem{Base: dst, Disp: 64 * i})
	}
	xs.advance(64)
	ADDQ(operand.I32(1024), dst)
	DECQ(n)
	JNZ(label(name + "_loop"))
	VZEROUPPER()
	RET()
}

// tilePanel generates c[i][j] = Σ x[i][k]·w[j][k] + from[i][j] for 32 columns of packed
// weights and calls times one or two blocks of 16 rows of bytes in tiles, which lie ldx
// apart: 64·n of k. Of the weights, those of 16 columns are groups of four of k, 64
// bytes each, and those of the other 16 lie high bytes behind them. from has rows ldfrom
// bytes apart, or all the same, and may be c, whose rows lie one behind the other.
// Meanwhile it fetches rows of ldw bytes at pf, as tileProducts does, and moves on by so
// many lines for each n, up to two. And of each row that the products will be written to,
// at out and ldo bytes apart, it fetches 128 bytes to be written, two rows for each n: stores
// would wait longer for them.
func tilePanel(blocks int) {
	name := fmt.Sprintf("tilePanel_%d", blocks)
	TEXT(name, NOSPLIT, "func(config *byte, x *uint8, ldx int, calls int, panel *int8, high int, n int, c *int32, from *int32, ldfrom int, pf uintptr, ldw int, lines int, out uintptr, ldo int)")
	Pragma("noescape")
	tileConfigure(into(reg.RAX, "config"))
	x, line, low, high, base, stride := reg.RDX, reg.R11, reg.R8, reg.R9, reg.RDI, reg.RSI // see claimLines
	MOVQ(operand.I32(64), line)
	ahead, lines, n := newTileFetch(gp("pf"), param("ldw")), gp("lines"), GP64()
	SHLQ(imm(6), lines)
	sums := []tile{0, 1, 2, 3}[:2*blocks] // of block i and columns 16·j..: 2·i + j
	Label(name + "_call")
	MOVQ(param("from"), base)
	MOVQ(param("ldfrom"), stride)
	tileSums(sums, base, stride, tileLoad)
	MOVQ(base, param("from"))
	MOVQ(param("panel"), low)
	MOVQ(low, high)
	ADDQ(param("high"), high)
	MOVQ(param("n"), n)
	x1 := reg.RCX
	MOVQ(param("x"), x)
	if blocks > 1 {
		MOVQ(x, x1)
		ADDQ(param("ldx"), x1)
	}
	steps := func(label string, fetches []func()) {
		Label(label)
		tiles := []func(){
			func() { tileLoad(low, line, 6) },
			func() { tileLoad(x, line, 4) },
			func() { tileDotUS(4, 6, 0) },
			func() { tileLoad(high, line, 7) },
			func() { tileDotUS(4, 7, 1) },
		}
		if blocks > 1 {
			tiles = append(tiles,
				func() { tileLoad(x1, line, 5) },
				func() { tileDotUS(5, 6, 2) },
				func() { tileDotUS(5, 7, 3) })
		}
		spaced(tiles, append(claimLines(), fetches...), 1, 0)
		LEAQ(mem{Base: base, Index: stride, Scale: 2}, base)
		for _, r := range []reg.Register{low, high, x, x1}[:2+blocks] {
			ADDQ(operand.I32(1024), r)
		}
		if fetches != nil {
			ahead.advance(lines)
		}
		DECQ(n)
		JNZ(operand.LabelRef(label))
	}
	MOVQ(param("out"), base)
	MOVQ(param("ldo"), stride)
	TESTQ(lines, lines)
	JZ(label(name + "_loop"))
	steps(name+"_fetch", ahead.fetches(2))
	JMP(label(name + "_done"))
	steps(name+"_loop", nil)
	Label(name + "_done")
	SHLQ(imm(5), stride)
	ADDQ(stride, param("out"))
	MOVQ(param("c"), base)
	MOVQ(operand.I32(128), stride)
	tileSums(sums, base, stride, func(base, stride reg.Register, t tile) { tileStore(t, base, stride) })
	MOVQ(base, param("c"))
	MOVQ(param("ldx"), x)
	SHLQ(imm(blocks-1), x)
	ADDQ(x, param("x"))
	DECQ(param("calls"))
	JNZ(label(name + "_call"))
	tileRelease()
	RET()
}

// tileSums moves blocks of 16 rows and twice 16 columns of sums from or to base, and
// base to the next block.
func tileSums(sums []tile, base, stride reg.Register, move func(base, stride reg.Register, t tile)) {
	for i := 0; i < len(sums); i += 2 {
		move(base, stride, sums[i])
		ADDQ(imm(64), base)
		move(base, stride, sums[i+1])
		SUBQ(imm(64), base)
		for range 4 { // 16 rows
			LEAQ(mem{Base: base, Index: stride, Scale: 4}, base)
		}
	}
}

// tilePeak generates n rounds of four products of tiles.
func tilePeak() {
	TEXT("tilePeak", NOSPLIT, "func(config *byte, n int)")
	Pragma("noescape")
	tileConfigure(into(reg.RAX, "config"))
	tileZero(0, 1, 2, 3, 4, 5, 6, 7)
	n := gp("n")
	Label("tilePeak_loop")
	for i := tile(0); i < 4; i++ {
		tileDotSU(4+i/2, 6+i%2, i)
	}
	DECQ(n)
	JNZ(label("tilePeak_loop"))
	tileRelease()
	RET()
}
