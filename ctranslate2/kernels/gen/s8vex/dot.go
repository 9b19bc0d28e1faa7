package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/ir"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// y are the vector registers by number: VPDPBUSD is written as bytes, which
// hides its registers from the allocator.
var y = []reg.VecPhysical{reg.Y0, reg.Y1, reg.Y2, reg.Y3, reg.Y4, reg.Y5, reg.Y6, reg.Y7, reg.Y8, reg.Y9, reg.Y10, reg.Y11, reg.Y12, reg.Y13, reg.Y14, reg.Y15}

// instructions is how a tier multiplies bytes.
type instructions struct {
	prefix string
	width  int // bytes that a register holds when multiplied
	// loadA and loadB read width bytes into a register.
	loadA, loadB func(m mem, y int)
	// loadMasked is loadB of the bytes under a mask.
	loadMasked func(m, mask mem, y int)
	// multiply adds the products of unsigned a and signed b to acc, using t.
	multiply func(a, b, acc, t int)
	// multiplyLevels adds those of levels of four bits, whole registers of them, to
	// words or, without words, to dwords.
	multiplyLevels func(levels, b, acc, t int)
	words          bool
}

// avx2 multiplies words, since VPMADDUBSW would saturate.
var avx2 = instructions{
	prefix: "avx2",
	width:  16,
	loadA:  func(m mem, i int) { VPMOVZXBW(m, y[i]) },
	loadB:  func(m mem, i int) { VPMOVSXBW(m, y[i]) },
	loadMasked: func(m, mask mem, i int) {
		VMOVDQU(m, y[i].AsX())
		VPAND(mask, y[i].AsX(), y[i].AsX())
		VPMOVSXBW(y[i].AsX(), y[i])
	},
	multiply: func(a, b, acc, t int) {
		VPMADDWD(y[a], y[b], y[t])
		VPADDD(y[t], y[acc], y[acc])
	},
	multiplyLevels: func(levels, b, acc, t int) {
		VPMADDUBSW(y[b], y[levels], y[t])
		VPADDW(y[t], y[acc], y[acc])
	},
	words: true,
}

// vnni has VPDPBUSD, for which no register is needed.
var vnni = instructions{
	prefix: "vnni",
	width:  32,
	loadA:  func(m mem, i int) { VMOVDQU(m, y[i]) },
	loadB:  func(m mem, i int) { VMOVDQU(m, y[i]) },
	loadMasked: func(m, mask mem, i int) {
		VMOVDQU(m, y[i])
		VPAND(mask, y[i], y[i])
	},
	multiply:       func(a, b, acc, _ int) { dpbusd(b, a, acc) },
	multiplyLevels: func(levels, b, acc, _ int) { dpbusd(b, levels, acc) },
}

// dpbusd writes VPDPBUSD acc += u8(a)·s8(b) in its VEX form, while the assembler
// knows that of AVX-512 only: C4, R̅X̅B̅ and map 0F38, W0 v̅v̅v̅v̅ L1 prefix 66, 50, ModRM.
func dpbusd(b, a, acc int) {
	code := []int{0xc4, (^acc>>3&1)<<7 | 1<<6 | (^b>>3&1)<<5 | 2, (^a&15)<<3 | 1<<2 | 1, 0x50, 3<<6 | (acc&7)<<3 | b&7}
	for _, x := range code {
		Instruction(&ir.Instruction{Opcode: "BYTE", Operands: []operand.Op{operand.U8(x)}})
	}
}

// bytesOfMask is 32 bytes of zeros and 32 of ones.
var bytesOfMask mem

func byteMasks() {
	bytesOfMask = GLOBL("s8ByteMasks", RODATA|NOPTR)
	for i := range 8 {
		ones := operand.U64(0)
		if i >= 4 {
			ones = 0xffffffffffffffff
		}
		DATA(8*i, ones)
	}
}

// dot generates c[i][j] = Σ a[i][k]·b[j][k] + add[j] for mr rows of bytes and
// nr rows of weights of at least width bytes. Strides are in bytes. The last
// bytes are read again with those before them, which a mask clears. Meanwhile
// the nr·k bytes at pf are fetched, in the order of their addresses.
func (t *instructions) dot(mr, nr int) {
	name := fmt.Sprintf("%sDotS8_%dx%d", t.prefix, mr, nr)
	text(name, "func(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int, add *int32, pf uintptr)")
	as, bs := rowsOf("a", "lda", mr), rowsOf("b", "ldb", nr)
	pointers := append(append([]reg.GPVirtual{}, as.bases...), bs.bases...)
	pf, k, n := gp("pf"), gp("k"), GP64()
	for i := range mr * nr {
		VPXOR(y[i], y[i], y[i])
	}
	MOVQ(k, n)
	SHRQ(imm(6), n)
	JZ(label(name + "_few"))
	Label(name + "_loop")
	for at := 0; at < 64; at += t.width {
		t.step(as, bs, mr, nr, at, nil)
	}
	for j := range nr {
		PREFETCHT1(mem{Base: pf, Disp: 64 * j})
	}
	spread(64, pointers...)
	spread(64*nr, pf)
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_few")
	ANDQ(imm(63), k)
	Label(name + "_next")
	CMPQ(k, imm(t.width))
	JLT(label(name + "_tail"))
	t.step(as, bs, mr, nr, 0, nil)
	spread(t.width, pointers...)
	SUBQ(imm(t.width), k)
	JMP(label(name + "_next"))
	Label(name + "_tail")
	TESTQ(k, k)
	JZ(label(name + "_done"))
	mask := GP64()
	LEAQ(bytesOfMask, mask)
	ADDQ(k, mask)
	for _, p := range pointers {
		ADDQ(k, p)
	}
	t.step(as, bs, mr, nr, -t.width, &mem{Base: mask, Disp: 32 - t.width})
	Label(name + "_done")
	storeSums(mr, nr)
	end()
}

// step multiplies width bytes of every row, or what mask leaves of them.
func (t *instructions) step(as, bs rows, mr, nr, at int, mask *mem) {
	a, b, free := mr*nr, mr*nr+mr, mr*nr+mr+1
	for i := range mr {
		t.loadA(as.row(i, at), a+i)
	}
	for j := range nr {
		if mask != nil {
			t.loadMasked(bs.row(j, at), *mask, b)
		} else {
			t.loadB(bs.row(j, at), b)
		}
		for i := range mr {
			t.multiply(a+i, b, i*nr+j, free)
		}
	}
}

// storeSums writes the sums of mr×nr accumulators, plus add, to c.
func storeSums(mr, nr int) {
	c, add := gp("c"), gp("add")
	for i := range mr {
		for j := 0; j < nr; j += 4 {
			group := y[i*nr+j : i*nr+min(j+4, nr)]
			sum, x := foldS32(group), reg.X15
			at, to := mem{Base: add, Disp: 4 * j}, mem{Base: c, Disp: 4 * j}
			if len(group) == 4 {
				VPADDD(at, sum, sum)
				VMOVDQU(sum, to)
			} else {
				VMOVD(at, x)
				VPADDD(x, sum, sum)
				VMOVD(sum, to)
			}
		}
		if i < mr-1 {
			ldc := gp("ldc")
			ADDQ(ldc, c)
		}
	}
}

// foldS32 sums each register of a group of four, or one, into the low lanes of
// the first, by way of register 15.
func foldS32(group []reg.VecPhysical) reg.Register {
	a := group[0]
	if len(group) == 4 {
		VPHADDD(group[1], a, a)
		VPHADDD(group[3], group[2], group[2])
		VPHADDD(group[2], a, a)
	} else {
		VPHADDD(a, a, a)
		VPHADDD(a, a, a)
	}
	VEXTRACTI128(imm(1), a, reg.X15)
	VPADDD(reg.X15, a.AsX(), a.AsX())
	return a.AsX()
}
