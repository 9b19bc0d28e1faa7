package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// mostPairRows is the most rows that coarsePairs multiplies.
const mostPairRows = 8

// coarsePairs generates c[i][j] = Σ (a[i][k] + h[j][k+4])·(a[i][k+4] + h[j][k])
// - own[j] - sums[i] + Σ a[i][l]·h[j][l], over the k of the first and the l of the
// last two of every four groups of four, for mr rows of 16·n bytes and the levels
// h of 32 columns, as coarseDots has them; own are 32 sums behind the levels. Bytes
// of a and h are added as unsigned ones in the first factor and as signed ones in
// the second, and must not overflow. Meanwhile, for each 16 bytes of a row, four lines
// at pf are fetched.
func coarsePairs(mr int) {
	name := fmt.Sprintf("coarsePairs_%d", mr)
	TEXT(name, NOSPLIT, "func(a *int8, lda int, sums *int32, panel *byte, n int, c *int32, ldc int, pf uintptr)")
	Pragma("noescape")
	a, panel, n, low, acc := gp("a"), gp("panel"), gp("n"), constant(0x0f0f0f0f), zeros(2*mr)
	var lda reg.GPVirtual
	if mr > 1 {
		lda = gp("lda")
	}
	as := newRows(a, lda, mr)
	pf := gp("pf")
	Label(name + "_loop")
	var levels [4][2]reg.VecVirtual // [group][half of the columns]
	for u := range levels {
		l, h := levelsOf(panel, u, low)
		levels[u] = [2]reg.VecVirtual{l, h}
	}
	fetched := 0
	for i := range mr {
		for ; fetched < 4*(i+1)/mr; fetched++ {
			PREFETCHT1(mem{Base: pf, Disp: 64 * fetched})
		}
		x, y := ZMM(), ZMM()
		VPBROADCASTD(as.row(i), x)
		VPBROADCASTD(at(as.row(i), 4), y)
		for j := range 2 {
			unsigned, signed := ZMM(), ZMM()
			VPADDB(x, levels[1][j], unsigned)
			VPADDB(y, levels[0][j], signed)
			VPDPBUSD(signed, unsigned, acc[2*i+j])
		}
		for u := 2; u < 4; u++ {
			x := ZMM()
			VPBROADCASTD(at(as.row(i), 4*u), x)
			for j := range 2 {
				VPDPBUSD(x, levels[u][j], acc[2*i+j])
			}
		}
	}
	ADDQ(operand.I32(256), panel)
	ADDQ(operand.I32(256), pf)
	as.advance(16)
	DECQ(n)
	JNZ(label(name + "_loop"))
	sums, c := gp("sums"), gp("c")
	own := [2]reg.VecVirtual{ZMM(), ZMM()}
	for j := range own {
		VMOVDQU32(mem{Base: panel, Disp: 64 * j}, own[j])
	}
	for i := range mr {
		for j := range own {
			VPSUBD(own[j], acc[2*i+j], acc[2*i+j])
			VPSUBD_BCST(mem{Base: sums, Disp: 4 * i}, acc[2*i+j], acc[2*i+j])
			VMOVDQU32(acc[2*i+j], mem{Base: c, Disp: 64 * j})
		}
		if i < mr-1 {
			ADDQ(param("ldc"), c)
		}
	}
	VZEROUPPER()
	RET()
}

// levelsOf loads the levels of group u of a panel, of 16 columns each.
func levelsOf(panel reg.Register, u int, low reg.VecVirtual) (l, h reg.VecVirtual) {
	l, h = ZMM(), ZMM()
	VMOVDQU32(mem{Base: panel, Disp: 64 * u}, l)
	VPSRLW(imm(4), l, h)
	VPANDD(low, l, l)
	VPANDD(low, h, h)
	return l, h
}
