package kernels

import "unsafe"

// Products of several rows with AVX2, which multiplies words: rows are widened once, a few
// as they are, and more as lanes.

var avx2Lanes = vexLaneKernels{least: 13, size: 2, pack: avx2PackLanes, two: avx2Lanes_2x4, twoBySix: avx2Lanes_2x6, three: avx2Lanes_3x4, pairs: true}

// leastWordRows is the fewest rows that are worth widening: with fewer, memory is what counts.
const leastWordRows = 4

// avx2WordDots multiply rows of words by two columns, by rows.
var avx2WordDots = [...]func(a *int16, lda int, b *int8, ldb int, n int, c *int32, ldc int, add *int32, pf uintptr){
	3: avx2WordDots_3, avx2WordDots_4, avx2WordDots_5, avx2WordDots_6,
}

// avx2PackTask packs the rows of a product as lanes, and avx2WidenTask widens them.
type (
	avx2PackTask  s8Task
	avx2WidenTask s8Task
)

func (p *avx2PackTask) Do(_, i int) { avx2Lanes.packBlock((*s8Task)(p), i) }

func (p *avx2WidenTask) Do(_, r int) {
	avx2Widen(words(p.tiles[2*r*p.w.K:]), &p.a.Data[r*p.a.Stride], p.w.K/16)
}

// words reads memory as words.
func words(b []byte) *int16 { return (*int16)(unsafe.Pointer(unsafe.SliceData(b))) }

// prepareAVX2 packs the rows of a product as lanes, or widens them to words [rows][K].
func prepareAVX2(t *s8Task) {
	w, m := t.w, t.a.Rows
	switch {
	case avx2Lanes.prepare(t):
		t.e.Parallel(avx2Lanes.blocks(m), (*avx2PackTask)(t))
	case m >= leastWordRows && m < avx2Lanes.least && w.K > 0 && w.K%64 == 0:
		t.tiles = t.e.tiles.Grow(2 * m * w.K)
		t.e.Parallel(m, (*avx2WidenTask)(t))
	}
}

// blockedAVX2 multiplies rows as prepareAVX2 left them.
func blockedAVX2(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	if t.tiles == nil || t.a.Rows >= avx2Lanes.least {
		avx2Lanes.blocked(t, thread, c, n0, n1, next, out, ldo)
		return
	}
	t.wordProducts(c, n0, n1, next)
	for r := range t.a.Rows {
		t.epilogue(out[r*ldo:][:n1-n0], c[r*t.chunk:], r, n0)
	}
}

// wordProducts multiplies all rows by two columns at a time, of which the first block of
// rows fetches those that follow: c [rows][chunk].
func (t *s8Task) wordProducts(c []int32, n0, n1 int, next uintptr) {
	w, m, k, n := t.w, t.a.Rows, t.w.K, n0
	most := len(avx2WordDots) - 1
	blocks := (m + most - 1) / most
	for ; n+2 <= n1; n += 2 {
		pf := w.ahead(n+2, n1, next)
		for i := range blocks {
			r := m * i / blocks
			avx2WordDots[m*(i+1)/blocks-r](words(t.tiles[2*r*k:]), 2*k, &w.Data[n*k], k, k/64, &c[r*t.chunk+n-n0], 4*t.chunk, &w.Comp[n], pf)
			pf = w.address(n) // which is in the cache
		}
	}
	for r := 0; n < n1 && r < m; r++ {
		avx2DotS8_1x1(&t.a.Data[r*t.a.Stride], 0, &w.Data[n*k], 0, k, &c[r*t.chunk+n-n0], 0, &w.Comp[n], w.address(n))
	}
}
