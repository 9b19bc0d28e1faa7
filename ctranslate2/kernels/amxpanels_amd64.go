package kernels

import "unsafe"

// Products of many rows by AMX: columns are packed, a panel at a time, as the second
// operand of a tile product, and rows are the first. So the products come out as they
// are stored, and memory is not what they wait for.

const (
	// tileSlice is how much of k is multiplied at a time: as much of a panel stays in
	// the first cache while all rows pass.
	tileSlice = 1024
	// fetchLines is how many lines of a panel are fetched for each 64 of k, in each of
	// eight places.
	fetchLines = panelColumns / 8
	// tileGroup is how many blocks of rows have room for their products.
	tileGroup = 8
)

// packsColumns reports whether packing columns, which takes time by their depth, is faster
// than to transpose the products of all rows back.
func (t *s8Task) packsColumns() bool {
	return t.a.Rows > min(max(t.w.K/8, 2*tileLines), 8*tileLines)
}

// tilePanel by blocks of rows.
var tilePanel = [...]func(config *byte, x *uint8, ldx int, calls int, panel *int8, high int, n int, c *int32, from *int32, ldfrom int, pf uintptr, ldw int, lines int, out uintptr, ldo int){
	1: tilePanel_1, tilePanel_2,
}

// tilePanelProduct is the product of all rows and a panel of columns.
type tilePanelProduct struct {
	s8Block
	low     *int8   // the panel, packed
	c       []int32 // [16·tileGroup][32]
	ahead   uintptr // where lines of the next panel are fetched
	fetches int     // how many are left, of a line in each of eight places
	steps   int     // how many are left, of 64 of k
	out     uintptr // where the products go in the end, rows ldo bytes apart
	ldo     int
}

// panelsAMX multiplies all rows by columns n0..n1.
func panelsAMX(t *s8Task, thread int, n0, n1 int, next uintptr, out []float32, ldo int) {
	const products = tileGroup * tileLines * panelColumns
	w := t.w
	room := t.e.packs[thread].Grow(4*products + panelColumns*w.K)
	p := tilePanelProduct{c: int32s(room)[:products], low: ptr(int8s(room[4*products:]))}
	for n := n0; n < n1; n += panelColumns {
		p.s8Block = s8Block{t, n0, n1, n, min(n, w.N-panelColumns), min(panelColumns, n1-n)}
		p.ahead = w.ahead(n+panelColumns, n1, next)
		p.multiply(out, ldo)
	}
}

// multiply packs the panel and multiplies a group of blocks of rows after the other by it.
func (p *tilePanelProduct) multiply(out []float32, ldo int) {
	w, blocks := p.t.w, tileBlocks(p.t.a.Rows)
	for i := range panelColumns / tileLines {
		half := (*int8)(unsafe.Add(unsafe.Pointer(p.low), i*tileLines*w.K))
		packS8(&w.Data[(p.p+i*tileLines)*w.K], w.K, w.K, half, tileLine)
	}
	p.fetches, p.steps = fetchLines*w.K/tileLine, (blocks+1)/2*w.K/tileLine
	for i := 0; i < blocks; i += tileGroup {
		group := min(tileGroup, blocks-i)
		for k := 0; k < w.K; k += tileSlice {
			p.out, p.ldo = uintptr(unsafe.Pointer(&p.c[0])), 0 // not yet
			if k+tileSlice >= w.K {
				p.out, p.ldo = uintptr(unsafe.Pointer(&out[tileRow(i, p.t.a.Rows)*ldo+p.n-p.n0])), 4*ldo
			}
			p.slice(i, group, k, min(tileSlice, w.K-k))
		}
		p.finishTiles(out, ldo, p.c, i, group)
	}
}

// slice adds the products of depth of k, from k on, of some blocks of rows.
func (p *tilePanelProduct) slice(block, blocks, k, depth int) {
	pairs := blocks / 2
	if pairs > 0 {
		p.call(block, 2, pairs, p.c, k, depth)
	}
	if blocks%2 > 0 {
		p.out += uintptr(2 * pairs * tileLines * p.ldo)
		p.call(block+2*pairs, 1, 1, p.c[2*pairs*tileLines*panelColumns:], k, depth)
	}
}

// call is slice for calls times one or two blocks of rows, with the products in c.
func (p *tilePanelProduct) call(block, blocks, calls int, c []int32, k, depth int) {
	w, size, steps := p.t.w, tileLines*p.t.w.K, depth/tileLine
	from, ldfrom := &w.Comp[p.p], 0
	if k > 0 {
		from, ldfrom = &c[0], 4*panelColumns
	}
	slice := (*int8)(unsafe.Add(unsafe.Pointer(p.low), tileLines*k))
	lines := max((p.fetches+p.steps-1)/p.steps, 0)
	tilePanel[blocks](tileConfig(tileLines), &p.t.tiles[block*size+tileLines*k], size, calls, slice, size, steps, ptr(c), from, ldfrom, p.ahead, w.K, lines, p.out, p.ldo)
	p.steps -= calls * steps
	p.fetches -= calls * steps * lines
	p.ahead += uintptr(calls * steps * lines * tileLine)
}
