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

// coarseSteps are those of the tier with AVX-512.
var coarseSteps = []coarseStep{{17, 15}, {12, 21}, {8, 32}}

// words sets all lanes to a 16-bit word.
func words(n int) reg.VecVirtual { return constant(uint32(n)<<16 | uint32(n)) }

// level replaces 16 weights, as words, by their levels.
func level(w, inverse, eight, low, fifteen reg.VecVirtual) {
	VPMULLW(inverse, w, w)
	VPSRAW(imm(8), w, w)
	VPADDW(eight, w, w)
	VPMAXSW(low, w, w)
	VPMINSW(fifteen, w, w)
}

// coarseErrors generates the sums of squares of 2·(w - step·(h - 7.5)) over n·16
// weights, for one grid.
func coarseErrors() {
	const name = "avx2CoarseErrors"
	text(name, "func(w *int8, n int, step int, inverse int) int32")
	w, n := gp("w"), gp("n")
	eight, low, fifteen, acc := words(8), zero(), words(15), zero()
	inverse, double, offset := broadcastWord("inverse"), broadcastWord("step"), YMM()
	VPMULLW(fifteen, double, offset)
	VPADDW(double, double, double)
	Label(name + "_loop")
	x, h := YMM(), YMM()
	VPMOVSXBW(mem{Base: w}, x)
	VMOVDQA(x, h)
	level(h, inverse, eight, low, fifteen)
	VPMULLW(double, h, h)
	VPADDW(x, x, x)
	VPADDW(offset, x, x)
	VPSUBW(h, x, x)
	VPMADDWD(x, x, x)
	VPADDD(x, acc, acc)
	spread(16, w)
	DECQ(n)
	JNZ(label(name + "_loop"))
	high, sum := XMM(), GP32()
	VEXTRACTI128(imm(1), acc, high)
	VPADDD(high, acc.AsX(), acc.AsX())
	VPHADDD(acc.AsX(), acc.AsX(), acc.AsX())
	VPHADDD(acc.AsX(), acc.AsX(), acc.AsX())
	VMOVD(acc.AsX(), sum)
	Store(sum, ReturnIndex(0))
	end()
}

// broadcastWord spreads an integer parameter over the words of a vector.
func broadcastWord(name string) reg.VecVirtual {
	x, v := XMM(), YMM()
	VMOVQ(gp(name), x)
	VPBROADCASTW(x, v)
	return v
}

// coarseLevels generates the levels of n·16 weights, a byte each.
func coarseLevels() {
	const name = "avx2CoarseLevels"
	text(name, "func(dst *byte, w *int8, n int, inverse int)")
	dst, w, n := gp("dst"), gp("w"), gp("n")
	inverse, eight, low, fifteen := broadcastWord("inverse"), words(8), zero(), words(15)
	Label(name + "_loop")
	x, high := YMM(), XMM()
	VPMOVSXBW(mem{Base: w}, x)
	level(x, inverse, eight, low, fifteen)
	VEXTRACTI128(imm(1), x, high)
	VPACKUSWB(high, x.AsX(), high)
	VMOVDQU(high, mem{Base: dst})
	spread(16, dst, w)
	DECQ(n)
	JNZ(label(name + "_loop"))
	end()
}

// coarseDots generates c[i][j] = Σ a[i][k]·h[j][k] for mr rows of 32·n signed bytes
// and the levels h of 32 columns, 64 bytes for each four of k: the first 16
// columns in the low halves of the bytes, the others in the high ones. Products
// of levels are small: 32 of them add up in words without a carry.
func (t *instructions) coarseDots(mr int) {
	name := fmt.Sprintf("%sCoarseDots_%d", t.prefix, mr)
	text(name, "func(a *int8, lda int, panel *byte, n int, c *int32, ldc int)")
	as := rowsOf("a", "lda", mr)
	panel, n, c, steps := gp("panel"), gp("n"), gp("c"), GP64()
	var ldc reg.GPVirtual
	if mr > 1 {
		ldc = gp("ldc")
	}
	at := func(i, j int) mem {
		m := mem{Base: c, Disp: 32 * j}
		if i > 0 {
			m.Index, m.Scale = ldc, 1
		}
		return m
	}
	levels, low, x, free := 4*mr, 4*mr+4, 4*mr+5, 4*mr+6
	nibbles, ones := GP32(), GP32()
	MOVL(operand.U32(0x0f0f0f0f), nibbles)
	VMOVD(nibbles, y[low].AsX())
	VPBROADCASTD(y[low].AsX(), y[low])
	for i := range 4 * mr {
		VPXOR(y[i], y[i], y[i])
		VMOVDQU(y[i], at(i/4, i%4))
	}
	Label(name + "_group")
	MOVQ(operand.I32(8), steps)
	Label(name + "_step")
	for j := range 2 {
		l, h := y[levels+j], y[levels+2+j]
		VMOVDQU(mem{Base: panel, Disp: 32 * j}, l)
		VPSRLW(imm(4), l, h)
		VPAND(y[low], l, l)
		VPAND(y[low], h, h)
	}
	PREFETCHT1(mem{Base: panel, Disp: 4096})
	for i := range mr {
		VPBROADCASTD(as.row(i, 0), y[x])
		for j := range 4 {
			t.multiplyLevels(levels+j, x, 4*i+j, free)
		}
	}
	spread(64, panel)
	spread(4, as.bases...)
	DECQ(steps)
	JNZ(label(name + "_step"))
	if t.words {
		MOVL(operand.U32(0x00010001), ones)
		VMOVD(ones, y[free].AsX())
		VPBROADCASTD(y[free].AsX(), y[free])
		for i := range 4 * mr {
			VPMADDWD(y[free], y[i], y[i])
			VPADDD(at(i/4, i%4), y[i], y[i])
			VMOVDQU(y[i], at(i/4, i%4))
			VPXOR(y[i], y[i], y[i])
		}
	}
	DECQ(n)
	JNZ(label(name + "_group"))
	if !t.words {
		for i := range 4 * mr {
			VMOVDQU(y[i], at(i/4, i%4))
		}
	}
	end()
}

// halfPanelRows is how many rows half a panel is multiplied by, at most: of bytes, and of
// words.
const halfPanelRows, halfPanelWordRows = 6, 5

// coarseHalf generates the products of mr rows of 16·n signed bytes and the levels of half a
// panel's columns, eight and the eight 16 behind them: c[i][0..8] and c[i][16..24]. The
// bytes of low and high levels are multiplied as they are, with sums of l + 16·h. Meanwhile
// two lines at pf are fetched for each n.
func coarseHalf(mr int) {
	name := fmt.Sprintf("vnniCoarseHalf_%d", mr)
	text(name, "func(a *int8, lda int, half *byte, n int, c *int32, ldc int, pf uintptr)")
	as := rowsOf("a", "lda", mr)
	half, n, pf := gp("half"), gp("n"), gp("pf")
	const both, l, x, low = 2 * halfPanelRows, 2*halfPanelRows + 1, 2*halfPanelRows + 2, 2*halfPanelRows + 3
	nibbles := GP32()
	MOVL(operand.U32(0x0f0f0f0f), nibbles)
	VMOVD(nibbles, y[low].AsX())
	VPBROADCASTD(y[low].AsX(), y[low])
	for i := range 2 * mr {
		VPXOR(y[i], y[i], y[i])
	}
	Label(name + "_loop")
	for u := range 4 {
		VMOVDQU(mem{Base: half, Disp: 64 * u}, y[both])
		VPAND(y[low], y[both], y[l])
		if u%2 == 0 {
			PREFETCHT1(mem{Base: pf, Disp: 32 * u})
		}
		for i := range mr {
			VPBROADCASTD(as.row(i, 4*u), y[x])
			dpbusd(x, l, 2*i)
			dpbusd(x, both, 2*i+1)
		}
	}
	spread(256, half)
	spread(128, pf)
	spread(16, as.bases...)
	DECQ(n)
	JNZ(label(name + "_loop"))
	c, ldc := gp("c"), gp("ldc")
	for i := range mr {
		sum, h := y[2*i], y[2*i+1]
		VPSUBD(sum, h, h)
		VPSRAD(imm(4), h, h)
		VMOVDQU(sum, mem{Base: c})
		VMOVDQU(h, mem{Base: c, Disp: 64})
		ADDQ(ldc, c)
	}
	end()
}

// coarseHalfWords is coarseHalf for AVX2, of rows of 32·n, four lines for each n: products of
// levels add up in words for 32 of k, and these in dwords at c.
func coarseHalfWords(mr int) {
	name := fmt.Sprintf("avx2CoarseHalf_%d", mr)
	text(name, "func(a *int8, lda int, half *byte, n int, c *int32, ldc int, pf uintptr)")
	as, cs := rowsOf("a", "lda", mr), rowsOf("c", "ldc", mr)
	half, n, pf := gp("half"), gp("n"), gp("pf")
	const l, h, x, low, free = 2 * halfPanelWordRows, 2*halfPanelWordRows + 1, 2*halfPanelWordRows + 2, 2*halfPanelWordRows + 3, 2*halfPanelWordRows + 4
	const ones = free + 1
	dwords := func(value uint32, i int) {
		r := GP32()
		MOVL(operand.U32(value), r)
		VMOVD(r, y[i].AsX())
		VPBROADCASTD(y[i].AsX(), y[i])
	}
	dwords(0x0f0f0f0f, low)
	dwords(0x00010001, ones)
	VPXOR(y[l], y[l], y[l])
	for i := range 2 * mr {
		VMOVDQU(y[l], cs.row(i/2, 64*(i%2)))
	}
	Label(name + "_loop")
	for u := range 8 {
		VMOVDQU(mem{Base: half, Disp: 64 * u}, y[l])
		VPSRLW(imm(4), y[l], y[h])
		VPAND(y[low], y[l], y[l])
		VPAND(y[low], y[h], y[h])
		if u%2 == 0 {
			PREFETCHT1(mem{Base: pf, Disp: 32 * u})
		}
		for i := range mr {
			VPBROADCASTD(as.row(i, 4*u), y[x])
			for j, levels := range []int{l, h} {
				if u == 0 {
					VPMADDUBSW(y[x], y[levels], y[2*i+j])
				} else {
					avx2.multiplyLevels(levels, x, 2*i+j, free)
				}
			}
		}
	}
	for i := range 2 * mr {
		to := cs.row(i/2, 64*(i%2))
		VPMADDWD(y[ones], y[i], y[i])
		VPADDD(to, y[i], y[i])
		VMOVDQU(y[i], to)
	}
	spread(512, half)
	spread(256, pf)
	spread(32, as.bases...)
	DECQ(n)
	JNZ(label(name + "_loop"))
	end()
}

// coarseBounds generates the most that products of n columns may be, in units of inverse
// and without least, and returns how many are at least floor:
// (dot - shift)·factor + radius·reach + bias·unit + |bias|·slack.
func coarseBounds(biased bool) {
	name := "avx2CoarseBounds"
	if biased {
		name += "Bias"
	}
	text(name, "func(upper *float32, dot *int32, n int, factor *float32, radius *float32, bias *float32, shift float32, reach float32, unit float32, slack float32, floor float32) int")
	upper, dot, n, factor, radius := gp("upper"), gp("dot"), gp("n"), gp("factor"), gp("radius")
	pointers := []reg.GPVirtual{upper, dot, factor, radius}
	if biased {
		pointers = append(pointers, gp("bias"))
	}
	shift, reach, unit, slack, floor := broadcast("shift"), broadcast("reach"), broadcast("unit"), broadcast("slack"), broadcast("floor")
	abs := constant(0x7fffffff)
	reached, hits, some := GP64(), GP64(), YMM()
	XORQ(reached, reached)
	loop8(name, n, func(mask *reg.VecVirtual) {
		y := loadPS(mem{Base: dot}, mask)
		VCVTDQ2PS(y, y)
		VSUBPS(shift, y, y)
		VMULPS(loadPS(mem{Base: factor}, mask), y, y)
		VFMADD231PS(loadPS(mem{Base: radius}, mask), reach, y)
		if biased {
			b := loadPS(mem{Base: pointers[4]}, mask)
			VFMADD231PS(unit, b, y)
			VANDPS(abs, b, b)
			VFMADD231PS(slack, b, y)
		}
		VCMPPS(imm(29), floor, y, some) // y >= floor
		if mask != nil {
			VMASKMOVPS(y, *mask, mem{Base: upper})
			VANDPS(*mask, some, some)
		} else {
			VMOVUPS(y, mem{Base: upper})
		}
		VMOVMSKPS(some, hits.As32())
		POPCNTQ(hits, hits)
		ADDQ(hits, reached)
	}, func() { spread(32, pointers...) })
	Store(reached, ReturnIndex(0))
	end()
}
