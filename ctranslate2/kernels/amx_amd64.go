package kernels

import (
	"unsafe"

	"github.com/sematech/sema/ctranslate2/memory"
)

// Kernels for AMX, Intel's matrix unit: a tile register holds 16 lines of 64 bytes,
// and one instruction adds the products of two tiles to a third, in a cycle eight
// times as many as AVX-512 VNNI does. All else is AVX-512's.
//
// Where rows are few for their depth, weights are loaded as they are stored, 16 rows at 64
// of k at a time, as the first operand. So it is the activations that are packed, once for
// each product. For more, see panelsAMX.

const (
	tileLines = 16 // lines of a tile
	tileLine  = 64 // bytes of a line
)

// tileConfigs are the shapes of the tile registers where the last block of the first
// operand has so many rows: the registers are two sums for each of two such blocks,
// the two blocks, and two of the second operand.
var tileConfigs = func() (all [tileLines + 1]struct {
	palette, start uint8
	_              [14]byte
	bytes          [16]uint16 // of a line
	rows           [16]uint8
}) {
	for last := range all {
		c := &all[last]
		c.palette = 1
		for t := range 8 {
			c.bytes[t], c.rows[t] = tileLine, tileLines
		}
		for _, t := range []int{2, 3, 5} {
			c.rows[t] = uint8(last)
		}
	}
	return all
}()

// tileConfig is the configuration for a last block of some rows.
func tileConfig(rows int) *byte { return (*byte)(unsafe.Pointer(&tileConfigs[rows])) }

// amxS8 are AVX-512's kernels, as they are on Intel's processors, but for products of
// seven rows and more, and of five and more with levels.
func amxS8() s8Kernels {
	k, coarse := avx512S8, avx512Coarse
	k.products, k.directRows, k.prepare, k.blocked = productsInStripes, len(stripesS8)-1, prepareAMX, blockedAMX
	coarse.arrange, coarse.dots, coarse.pairsPay = arrangeAMX, coarseDotsAMX, false
	k.coarse = &coarse
	return k
}

// tilePackTask packs the rows of a product in tiles.
type tilePackTask s8Task

// prepareAMX packs the rows of a product in blocks of 16, [depth/64][16][64] bytes each: as
// they are where there are many, or else of four of k in turn those of all rows, with
// zeros where tileDepth says. Rows that there are not are any.
func prepareAMX(t *s8Task) {
	w, m := t.w, t.a.Rows
	t.tiles = nil
	if t.direct || w.N < panelColumns || w.K%tileLine != 0 || w.K == 0 {
		return
	}
	blocks, depth := tileBlocks(m), w.K
	if !t.packsColumns() {
		depth = w.tileDepth()
	}
	t.tiles = t.e.tiles.Grow(blocks * tileLines * depth)
	t.e.Parallel(blocks, (*tilePackTask)(t))
}

// tileDepth is how many bytes are read of each row, from shift bytes before it on: whole
// lines. To read 16 places that lie across two lines each takes twice as long.
func (w *S8Weights) tileDepth() int {
	if w.shift() != 0 {
		return w.K + tileLine
	}
	return w.K
}

// Do packs block i. Where it would be less than 16 rows it ends with the last row, if
// there are as many.
func (p *tilePackTask) Do(_, i int) {
	a, rows := p.a, ptr(p.a.Data[tileRow(i, p.a.Rows)*p.a.Stride:])
	if (*s8Task)(p).packsColumns() {
		packTiles(rows, a.Stride, p.w.K/tileLine, ptr(p.tiles[i*tileLines*p.w.K:]))
		return
	}
	depth := p.w.tileDepth()
	shifted := (*int8)(unsafe.Add(unsafe.Pointer(rows), -p.w.shift()))
	packS8(shifted, a.Stride, depth, ptr(int8s(p.tiles[i*tileLines*depth:])), tileLine)
}

// tileBlocks is how many blocks m rows are.
func tileBlocks(m int) int { return (m + tileLines - 1) / tileLines }

// tileRow is the first row of block i of m rows.
func tileRow(i, m int) int { return max(min(i*tileLines, m-tileLines), 0) }

// tileProducts by blocks of rows.
var tileProducts = [...]func(config *byte, w *int8, ldw int, panels int, x *uint8, ldx int, calls int, n int, shift int, products *int32, c *int32, add *int32, pf uintptr, lines int){
	1: tileProducts_1, tileProducts_2,
}

// blockedAMX multiplies some panels of columns at a time, of weights as they are stored: each
// by all rows, two blocks after the other.
func blockedAMX(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	switch {
	case t.tiles == nil:
		blockedAVX512(t, thread, c, n0, n1, next, out, ldo)
		return
	case t.packsColumns():
		panelsAMX(t, thread, n0, n1, next, out, ldo)
		return
	}
	w, blocks := t.w, tileBlocks(t.a.Rows)
	most, pairs := max(streamBytes/(panelColumns*w.K), 1), blocks/2
	const products = 2 * tileLines * panelColumns
	room := int32s(t.e.packs[thread].Grow(4 * (1 + most*max(pairs, 1)) * products))
	for n := n0; n < n1; {
		panels := max(min((n1-n)/panelColumns, most), 1)
		b := s8Block{t, n0, n1, n, min(n, w.N-panelColumns), min(panelColumns, n1-n)}
		if pairs > 0 {
			b.tiles(0, 2, pairs, panels, room[:products], room[products:], next, out, ldo)
		}
		if blocks%2 > 0 {
			b.tiles(2*pairs, 1, 1, panels, room[:products], room[products:], next, out, ldo)
		}
		n += panels * panelColumns
	}
}

// tiles multiplies some panels from b on by calls times one or two blocks of rows, with room
// for the products of a call that are not transposed back, and passes the products c on.
func (b s8Block) tiles(i, blocks, calls, panels int, transposed, c []int32, next uintptr, out []float32, ldo int) {
	w, size := b.t.w, tileLines*b.t.w.tileDepth()
	ahead := w.ahead(b.n+panels*panelColumns, b.n1, next)
	tileProducts[blocks](tileConfig(tileLines), &w.Data[b.p*w.K], w.K, panels, &b.t.tiles[i*size], size, calls, w.K/tileLine, w.shift(), ptr(transposed), ptr(c), &w.Comp[b.p], ahead, (fetchLines+calls-1)/calls)
	for p := range panels {
		b.finishTiles(out, ldo, c[p*calls*blocks*tileLines*panelColumns:], i, calls*blocks)
		b.n, b.p = b.n+panelColumns, b.p+panelColumns
	}
}

// finishTiles passes the products c of some blocks of rows through the epilogue, each
// row once: blocks may overlap.
func (b *s8Block) finishTiles(out []float32, ldo int, c []int32, block, blocks int) {
	m := b.t.a.Rows
	for i := block; i < block+blocks; i++ {
		r := i * tileLines
		skip := r - tileRow(i, m)
		b.finish(out, ldo, c[((i-block)*tileLines+skip)*panelColumns:], r, min(tileLines, m-r))
	}
}

// coarseTiles by blocks of rows.
var coarseTiles = [...]func(config *byte, a *int8, lda int, rows int, panel *byte, panels int, n int, c *int32, ldc int){
	1: coarseTiles_1, coarseTiles_2,
}

// tileCoarseRows is the least number of rows for which reading levels is not all.
const tileCoarseRows = 5

// tilesLevels reports whether levels are multiplied by m rows of some depth as tiles, a line
// of each quarter of a panel by turns.
func tilesLevels(m, depth int) bool { return m >= tileCoarseRows && depth%(4*tileLine) == 0 }

// arrangeAMX leaves rows as they are for tiles.
func arrangeAMX(room *memory.Buffer, a []int8, lda, m, depth int) levelRows {
	if tilesLevels(m, depth) {
		return asTheyAre(room, a, lda, m, depth)
	}
	return inGroups(room, a, lda, m, depth)
}

func coarseDotsAMX(c []int32, ldc int, a levelRows, levels []byte, depth int) {
	if !tilesLevels(a.n, depth) {
		coarseDotsFetched(c, ldc, a, levels, depth)
		return
	}
	size, most := coarsePanelBytes(depth), max(streamBytes/coarsePanelBytes(depth), 1)
	for i := 0; i < len(levels)/size; i += most {
		panels := min(most, len(levels)/size-i)
		for r := 0; r < a.n; r += 2 * tileLines {
			rows := min(a.n-r, 2*tileLines)
			coarseTiles[tileBlocks(rows)](tileConfig((rows-1)%tileLines+1), &a.data[r*a.row], a.row, rows, &levels[i*size], panels, depth/(4*tileLine), &c[r*ldc+i*coarseColumns], 4*ldc)
		}
	}
}
