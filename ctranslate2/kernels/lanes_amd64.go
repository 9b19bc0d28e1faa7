package kernels

import "unsafe"

// Products of rows that are the lanes of registers: the weights are multiplied from memory
// as they are stored, four of a column by 16 rows at once, so none are transposed and no sums
// are added across lanes.
const (
	laneRows    = 16
	laneColumns = panelColumns / 2
	// laneBytes is what is multiplied at a time: 64 bytes of each of laneColumns.
	laneBytes = 64 * laneColumns
	// leastLaneRows is the fewest rows that are worth 16 lanes. The first cost as much
	// as any number, while quadsS8 takes time for each.
	leastLaneRows = 13
)

// lanesS8 multiply by columns as they are stored, which they copy, and those behind them by
// what was copied, by how many lines they fetch at a time.
var (
	lanesS8Copied = [...]func(x *uint8, w *int8, ldw int, n int, lines *int8, grow int, c *int32, add *int32, pf uintptr, step int){
		2: lanesS8Copied_2, 4: lanesS8Copied_4,
	}
	lanesS8 = [...]func(x *uint8, w *int8, ldw int, n int, lines *int8, grow int, c *int32, add *int32, pf uintptr, step int){
		0: lanesS8_0, 2: lanesS8_2,
	}
)

// lanePackTask packs the rows of a product as lanes.
type lanePackTask s8Task

// prepareLanes packs the rows of a product in blocks of 16, [k/4][16][4], where there are as
// many. Rows that there are not are any.
func prepareLanes(t *s8Task) {
	w := t.w
	t.tiles = nil
	if t.direct || t.a.Rows < leastLaneRows || w.N < panelColumns || w.K == 0 || w.K%64 != 0 {
		return
	}
	blocks := laneBlocks(t.a.Rows)
	t.tiles = t.e.tiles.Grow(blocks * laneRows * w.K)
	t.e.Parallel(blocks, (*lanePackTask)(t))
}

// Do packs block i.
func (p *lanePackTask) Do(_, i int) {
	size := laneRows * p.w.K
	packS8(ptr(int8s(p.a.Data[tileRow(i, p.a.Rows)*p.a.Stride:])), p.a.Stride, p.w.K, ptr(int8s(p.tiles[i*size:])), 64)
}

// laneBlocks is how many blocks of 16 of m rows are multiplied as lanes: the last one is
// any rows, too, if most of them are of the product.
func laneBlocks(m int) int { return (m + laneRows - leastLaneRows) / laneRows }

// blockedInLanes multiplies a panel of columns at a time by blocks of 16 rows, and by those
// that are left in quads.
func blockedInLanes(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	if t.tiles == nil {
		blockedAVX512(t, thread, c, n0, n1, next, out, ldo)
		return
	}
	m := t.a.Rows
	blocks := laneBlocks(m)
	kept := 2 * laneBytes // if there is one block: two lines of each column
	if blocks > 1 {
		kept = laneColumns * t.w.K
	}
	const products = 4 * laneRows * panelColumns
	room := t.e.packs[thread].Grow(products + 2*kept)
	c = int32s(room[:products])
	lines := room[products:]
	for n := n0; n < n1; n += panelColumns {
		b := s8Block{t, n0, n1, n, min(n, t.w.N-panelColumns), min(panelColumns, n1-n)}
		for i := range blocks {
			b.lanes(i, blocks, lines, c, next)
			b.finishTiles(out, ldo, c, i, 1)
		}
		if r := blocks * laneRows; r < m {
			b.quads(r, c, next)
			b.finish(out, ldo, c, r, m-r)
		}
	}
}

// lanes multiplies block i of some blocks by the panel's columns, of which the first keeps
// copies in lines for the others. The first two fetch those that follow.
func (b *s8Block) lanes(i, blocks int, lines []byte, c []int32, next uintptr) {
	t, w := b.t, b.t.w
	x, size, step := &t.tiles[i*laneRows*w.K], len(lines)/2, laneColumns/4*w.K
	for h := range 2 {
		p := b.p + h*laneColumns
		kernel, grow, ahead := lanesS8[0], 0, w.ahead(b.n+(h+1)*laneColumns, b.n1, next)
		switch {
		case blocks == 1:
			kernel = lanesS8Copied[4]
		case i == 0:
			kernel, grow = lanesS8Copied[2], 2*laneBytes
		case i == 1:
			kernel, ahead = lanesS8[2], ahead+uintptr(step/2)
		}
		kernel(x, &w.Data[p*w.K], w.K, w.K/64, (*int8)(unsafe.Pointer(&lines[h*size])), grow, &c[h*laneColumns], &w.Comp[p], ahead, step)
	}
}
