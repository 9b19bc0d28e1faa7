package kernels

// Products of rows that are the lanes of registers with AVX-VNNI. Eight rows are one
// register, and a block of rows two or three of them, which leaves room for the sums of some
// columns.
const (
	vexLanes       = 8    // rows of a register
	leastVexLanes  = 12   // rows from which on packing them pays
	vexLaneColumns = 128  // that a block of rows is multiplied by
	vexLaneDepth   = 1024 // of k at a time, so that the rows stay in the first cache
	vexLaneUnit    = 16   // columns that kernels for all blocks come to
)

// vexLaneBlock is a block of rows: registers of eight, from row 8·first on.
type vexLaneBlock struct{ first, registers int }

// vexLaneRegisters is how many registers m rows are.
func vexLaneRegisters(m int) int { return (m + vexLanes - 1) / vexLanes }

// vexLaneBlocks is how many blocks m rows are.
func vexLaneBlocks(m int) int { return (vexLaneRegisters(m) + 2) / 3 }

// vexLaneBlockAt is block i of m rows, of which as many have three registers as can.
func vexLaneBlockAt(i, m int) vexLaneBlock {
	if threes := vexLaneRegisters(m) - 2*vexLaneBlocks(m); i >= threes {
		return vexLaneBlock{threes + 2*i, 2}
	}
	return vexLaneBlock{3 * i, 3}
}

// vexLaneRow is the first row of register i of m rows: the last one ends with them.
func vexLaneRow(i, m int) int { return min(i*vexLanes, m-vexLanes) }

// vexLanePackTask packs the rows of a product as lanes.
type vexLanePackTask s8Task

// prepareAVXVNNI packs the rows of a product in blocks, [K/4][rows][4] each.
func prepareAVXVNNI(t *s8Task) {
	w, m := t.w, t.a.Rows
	t.tiles = nil
	if m < leastVexLanes || w.N < vexLaneColumns || w.K == 0 || w.K%64 != 0 {
		return
	}
	t.tiles = t.e.tiles.Grow(vexLaneRegisters(m) * vexLanes * w.K)
	t.e.Parallel(vexLaneBlocks(m), (*vexLanePackTask)(t))
}

// Do packs block i.
func (p *vexLanePackTask) Do(_, i int) {
	a, k := p.a, p.w.K
	b := vexLaneBlockAt(i, a.Rows)
	for r := range b.registers {
		to := &p.tiles[(b.first*k+4*r)*vexLanes]
		vnniPackLanes(to, 4*vexLanes*b.registers, &a.Data[vexLaneRow(b.first+r, a.Rows)*a.Stride], a.Stride, k/32)
	}
}

// blockedAVXVNNI multiplies some columns at a time by all blocks of rows.
func blockedAVXVNNI(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	if t.tiles == nil {
		t.multiply(c, n0, n1, next, out, ldo)
		return
	}
	const products = 3 * vexLanes * vexLaneColumns
	room := int32s(t.e.packs[thread].Grow(2 * 4 * products))
	for n := n0; n < n1; n += vexLaneColumns {
		width := min(vexLaneColumns, n1-n)
		p := min(n, t.w.N-(width+vexLaneUnit-1)/vexLaneUnit*vexLaneUnit)
		b := s8Block{t, n0, n1, n, p, width}
		for i := range vexLaneBlocks(t.a.Rows) {
			rows := vexLaneBlockAt(i, t.a.Rows)
			b.vexLanes(rows, room[:products], i == 0, next)
			b.finishVexLanes(rows, out, ldo, room[:products], room[products:])
		}
	}
}

// vexLanes multiplies rows by the block's columns: sums [columns][rows]. If fetch, it fetches
// those that follow.
func (b *s8Block) vexLanes(rows vexLaneBlock, sums []int32, fetch bool, next uintptr) {
	w, height := b.t.w, rows.registers*vexLanes
	for k := 0; k < w.K; k += vexLaneDepth {
		x, depth := &b.t.tiles[rows.first*vexLanes*w.K+k*height], min(vexLaneDepth, w.K-k)
		for j, columns := 0, 0; j < b.n+b.width-b.p; j += columns {
			kernel := vnniLanes_3x4
			if columns = 4; rows.registers == 2 {
				kernel, columns = twoVexLanes(j)
			}
			ahead := w.address(b.p + j)
			if fetch {
				ahead = w.ahead(b.n+b.width+j, b.n1, next) + uintptr(columns*k)
			}
			kernel(x, &w.Data[(b.p+j)*w.K+k], w.K, depth/64, &sums[j*height], k, ahead)
		}
	}
}

// twoVexLanes is the kernel for two registers of rows at column j, and how many columns it
// takes.
func twoVexLanes(j int) (kernel func(x *uint8, w *int8, ldw int, n int, sums *int32, from int, pf uintptr), columns int) {
	if j%vexLaneUnit == vexLaneUnit-4 {
		return vnniLanes_2x4, 4
	}
	return vnniLanes_2x6, 6
}

// finishVexLanes passes the block's products, sums [columns][rows], through the epilogue, by
// way of c.
func (b *s8Block) finishVexLanes(rows vexLaneBlock, out []float32, ldo int, sums, c []int32) {
	m, height, groups := b.t.a.Rows, rows.registers*vexLanes, (b.n+b.width-b.p)/8
	for i := rows.first; i < rows.first+rows.registers; i++ {
		vnniStoreLanes(&c[0], 4*vexLaneColumns, &sums[(i-rows.first)*vexLanes], 4*height, &b.t.w.Comp[b.p], groups)
		for r := i * vexLanes; r < min((i+1)*vexLanes, m); r++ {
			products := c[(r-vexLaneRow(i, m))*vexLaneColumns+b.n-b.p:]
			b.t.epilogue(out[r*ldo+b.n-b.n0:][:b.width], products, r, b.n)
		}
	}
}
