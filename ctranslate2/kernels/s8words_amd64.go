package kernels

import "unsafe"

// Products of many rows with AVX2: both factors are widened to words once, since
// VPMADDUBSW, which multiplies bytes, would saturate. Some of k at a time are
// multiplied for all rows, so that the weights stay in the first cache.

const (
	wordRows    = 6   // rows of avx2PanelWords
	wordColumns = 16  // columns of a panel of words
	wordPanels  = 4   // panels that all rows are multiplied by
	wordDepth   = 256 // of k at a time
	wordLeast   = 24  // rows from which on packing pays

	wordBlock = wordPanels * wordColumns // columns
)

// wordStride is how many words apart widened rows of k are: not all in the same sets
// of the cache.
func wordStride(k int) int { return k + 32 }

// prepareAVX2 widens the rows of a product. There is room for whole blocks of rows, of
// which the last may be any.
func prepareAVX2(t *s8Task) {
	w, m := t.w, t.a.Rows
	t.tiles = nil
	if m < wordLeast || w.N < wordColumns || w.K == 0 || w.K%16 != 0 {
		return
	}
	t.tiles = t.e.tiles.Grow(2 * wordRowsOf(m) * wordStride(w.K))
	t.e.Parallel(m, (*widenTask)(t))
}

// wordRowsOf is m rounded up to whole blocks of rows.
func wordRowsOf(m int) int { return (m + wordRows - 1) / wordRows * wordRows }

// widenTask widens the rows of a product.
type widenTask s8Task

func (p *widenTask) Do(_, r int) {
	avx2Widen(words(p.tiles[2*r*wordStride(p.w.K):]), &p.a.Data[r*p.a.Stride], p.w.K/16)
}

// words reads memory as words.
func words(b []byte) *int16 { return (*int16)(unsafe.Pointer(unsafe.SliceData(b))) }

// blockedAVX2 packs some panels at a time, and multiplies them by all rows.
func blockedAVX2(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	if t.tiles == nil {
		t.multiply(c, n0, n1, next, out, ldo)
		return
	}
	size := 2 * wordBlock * t.w.K
	pack := t.e.packs[thread].Grow(size + 4*wordRowsOf(t.a.Rows)*wordBlock)
	for n := n0; n < n1; n += wordBlock {
		b := s8Block{t: t, n0: n0, n1: n1, n: n, width: min(wordBlock, n1-n)}
		b.packWords(pack)
		b.words(pack, int32s(pack[size:]))
		b.finishWords(out, ldo, int32s(pack[size:]))
	}
}

// panelAt is the first column of panel i: all of its columns are among w's, and so it
// may begin before the one where it would.
func (b *s8Block) panelAt(i int) int { return min(b.n+i*wordColumns, b.t.w.N-wordColumns) }

// panels is how many panels the block has.
func (b *s8Block) panels() int { return (b.width + wordColumns - 1) / wordColumns }

// packWords packs the panels of the block, [panels][K/2][16][2].
func (b *s8Block) packWords(pack []byte) {
	w := b.t.w
	for i := range b.panels() {
		panel := pack[2*wordColumns*w.K*i:]
		for j := 0; j < wordColumns; j += 8 {
			avx2PackPairs(words(panel[4*j:]), &w.Data[(b.panelAt(i)+j)*w.K], w.K, w.K/16)
		}
	}
}

// words multiplies the block's panels by all rows: c [rows][wordBlock].
func (b *s8Block) words(pack []byte, c []int32) {
	w, m, lda := b.t.w, b.t.a.Rows, wordStride(b.t.w.K)
	for k := 0; k < w.K; k += wordDepth {
		pairs := min(wordDepth, w.K-k) / 2
		for r := 0; r < m; r += wordRows {
			a := words(b.t.tiles[2*(r*lda+k):])
			for i := range b.panels() {
				to := &c[r*wordBlock+i*wordColumns]
				sums, lds := &w.Comp[b.panelAt(i)], 0
				if k > 0 {
					sums, lds = to, 4*wordBlock
				}
				avx2PanelWords(a, 2*lda, words(pack[2*wordColumns*(w.K*i+k):]), pairs, to, 4*wordBlock, sums, lds)
			}
		}
	}
}

// finishWords passes the products c through the epilogue, those of the last panel by
// themselves where it begins before the column where it would.
func (b *s8Block) finishWords(out []float32, ldo int, c []int32) {
	whole := b.width &^ (wordColumns - 1)
	last := b.n + whole
	for r := range b.t.a.Rows {
		out, c := out[r*ldo+b.n-b.n0:][:b.width], c[r*wordBlock:][:wordBlock]
		if whole > 0 {
			b.t.epilogue(out[:whole], c, r, b.n)
		}
		if whole < b.width {
			b.t.epilogue(out[whole:], c[whole+last-b.panelAt(whole/wordColumns):], r, last)
		}
	}
}
