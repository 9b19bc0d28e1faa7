package main

import (
	. "github.com/mmcloughlin/avo/build"
)

// Products of many rows with AVX2 alone multiply words: rows and weights are widened
// once, and a panel of weights has pairs of k of 16 columns side by side, so that
// neither sums across lanes nor conversions are left in the loop.

// panelRows is how many rows a panel is multiplied by: their sums fill the registers.
const panelRows = 6

// widen generates n·16 words of bytes.
func widen() {
	text("avx2Widen", "func(dst *int16, src *uint8, n int)")
	dst, src, n := gp("dst"), gp("src"), gp("n")
	Label("avx2Widen_loop")
	VPMOVZXBW(mem{Base: src}, y[0])
	VMOVDQU(y[0], mem{Base: dst})
	spread(16, src)
	spread(32, dst)
	DECQ(n)
	JNZ(label("avx2Widen_loop"))
	end()
}

// packPairs generates half a panel of 16·n pairs: of 8 rows of weights, 16·n of k, as
// words, pairs of k of all rows side by side, 64 bytes from one pair to the next.
func packPairs() {
	text("avx2PackPairs", "func(dst *int16, b *int8, ldb int, n int)")
	bs, dst, n := rowsOf("b", "ldb", 8), gp("dst"), gp("n")
	Label("avx2PackPairs_loop")
	for i := range 8 {
		VPMOVSXBW(bs.row(i, 0), y[i])
	}
	transpose8()
	for d := range 8 {
		VMOVDQU(y[8+d], mem{Base: dst, Disp: 64 * d})
	}
	spread(16, bs.bases...)
	spread(512, dst)
	DECQ(n)
	JNZ(label("avx2PackPairs_loop"))
	end()
}

// panelWords generates c[6][16] = Σ a[i][k]·b[j][k] + sums[i][j] for rows of n pairs
// of words and a panel of them. Strides are in bytes.
func panelWords() {
	const name = "avx2PanelWords"
	text(name, "func(a *int16, lda int, panel *int16, n int, c *int32, ldc int, sums *int32, lds int)")
	as, panel, n := rowsOf("a", "lda", panelRows), gp("panel"), gp("n")
	const w, x, t = 2 * panelRows, 2*panelRows + 2, 2*panelRows + 3
	sums, lds := gp("sums"), gp("lds")
	for i := range panelRows {
		VMOVDQU(mem{Base: sums}, y[2*i])
		VMOVDQU(mem{Base: sums, Disp: 32}, y[2*i+1])
		ADDQ(lds, sums)
	}
	Label(name + "_loop")
	for u := range 2 {
		VMOVDQU(mem{Base: panel, Disp: 64 * u}, y[w])
		VMOVDQU(mem{Base: panel, Disp: 64*u + 32}, y[w+1])
		for i := range panelRows {
			VPBROADCASTD(as.row(i, 4*u), y[x])
			VPMADDWD(y[w], y[x], y[t])
			VPADDD(y[t], y[2*i], y[2*i])
			VPMADDWD(y[w+1], y[x], y[x])
			VPADDD(y[x], y[2*i+1], y[2*i+1])
		}
	}
	spread(128, panel)
	spread(8, as.bases...)
	SUBQ(imm(2), n)
	JNZ(label(name + "_loop"))
	c, ldc := gp("c"), gp("ldc")
	for i := range panelRows {
		VMOVDQU(y[2*i], mem{Base: c})
		VMOVDQU(y[2*i+1], mem{Base: c, Disp: 32})
		ADDQ(ldc, c)
	}
	end()
}
