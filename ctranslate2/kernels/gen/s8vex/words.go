package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/reg"
)

// Products of a few rows with AVX2: rows are widened to words once and multiplied from
// memory, so that only weights are widened in the loop.

// wordRows is how many rows are multiplied at a time, at most.
const wordRows = 6

// widen generates the words of n·16 bytes.
func widen() {
	const name = "avx2Widen"
	text(name, "func(dst *int16, src *uint8, n int)")
	dst, src, n := gp("dst"), gp("src"), gp("n")
	Label(name + "_loop")
	VPMOVZXBW(mem{Base: src}, y[0])
	VMOVDQU(y[0], mem{Base: dst})
	spread(16, src)
	spread(32, dst)
	DECQ(n)
	JNZ(label(name + "_loop"))
	end()
}

// wordDots generates c[i][j] = Σ a[i][k]·b[j][k] + add[j] for mr rows of 64·n words and two
// columns of as many weights. Strides are in bytes. Meanwhile two lines for each n are
// fetched at pf, in the order of their addresses.
func wordDots(mr int) {
	name := fmt.Sprintf("avx2WordDots_%d", mr)
	text(name, "func(a *int16, lda int, b *int8, ldb int, n int, c *int32, ldc int, add *int32, pf uintptr)")
	as, bs, n, pf := rowsOf("a", "lda", mr), rowsOf("b", "ldb", 2), gp("n"), gp("pf")
	const weights, free = 2 * wordRows, 2*wordRows + 2
	for i := range 2 * mr {
		VPXOR(y[i], y[i], y[i])
	}
	Label(name + "_loop")
	for at := 0; at < 64; at += 16 {
		for j := range 2 {
			VPMOVSXBW(bs.row(j, at), y[weights+j])
		}
		for i := range 2 * mr {
			VPMADDWD(as.row(i/2, 2*at), y[weights+i%2], y[free+i%2])
			VPADDD(y[free+i%2], y[i], y[i])
		}
	}
	PREFETCHT1(mem{Base: pf})
	PREFETCHT1(mem{Base: pf, Disp: 64})
	spread(128, as.bases...)
	spread(64, bs.bases...)
	spread(128, pf)
	DECQ(n)
	JNZ(label(name + "_loop"))
	c, ldc, add := gp("c"), gp("ldc"), gp("add")
	for i := 0; i < mr; i += 2 {
		rest := y[weights : weights+2]
		if i+1 < mr {
			rest = y[2*i+2 : 2*i+4]
		}
		sums := foldS32(append(append([]reg.VecPhysical{}, y[2*i:2*i+2]...), rest...))
		VMOVDDUP(mem{Base: add}, reg.X15)
		VPADDD(reg.X15, sums, sums)
		VMOVQ(sums, mem{Base: c})
		if i+1 < mr {
			VPEXTRQ(imm(1), sums, mem{Base: c, Index: ldc, Scale: 1})
			LEAQ(mem{Base: c, Index: ldc, Scale: 2}, c)
		}
	}
	end()
}
