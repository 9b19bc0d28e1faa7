package kernels

// Products of rows that are the lanes of registers, with AVX2 and with AVX-VNNI. Eight rows
// are one register, and a block of rows two or three of them, which leaves room for the sums
// of some columns.
const (
	vexLanes       = 8       // rows of a register
	vexLaneColumns = 128     // that a block of rows is multiplied by
	vexLaneBytes   = 8 << 10 // of a register of rows at a time, so that they stay in the first cache
)

// vexLaneKernel multiplies registers of rows by some columns of 64·n weights. It adds to the
// sums if more is not 0.
type vexLaneKernel func(x *uint8, w *int8, ldw int, n int, sums *int32, more int, pf uintptr)

// vexLaneKernels are those of a tier.
type vexLaneKernels struct {
	least, size int // the fewest rows that are worth packing; the bytes of an element when packed
	pack        func(dst *uint8, step int, a *uint8, lda int, n int)
	two, three  vexLaneKernel // registers, four columns
	twoBySix    vexLaneKernel // two registers, six columns
	pairs       bool          // blocks of two registers are faster than those of three
}

// vexLaneUnit is how many columns all kernels come to.
const vexLaneUnit = 16

// at is the kernel for so many registers at column j, and how many columns it takes.
func (v *vexLaneKernels) at(registers, j int) (vexLaneKernel, int) {
	switch {
	case registers == 3:
		return v.three, 4
	case j%vexLaneUnit == vexLaneUnit-4:
		return v.two, 4
	}
	return v.twoBySix, 6
}

// vexLaneBlock is a block of rows: registers of eight, from row 8·first on.
type vexLaneBlock struct{ first, registers int }

// vexLaneRegisters is how many registers m rows are.
func vexLaneRegisters(m int) int { return (m + vexLanes - 1) / vexLanes }

// blocks is how many blocks m rows are: as few or as many as can be.
func (v *vexLaneKernels) blocks(m int) int {
	if v.pairs {
		return vexLaneRegisters(m) / 2
	}
	return (vexLaneRegisters(m) + 2) / 3
}

// block is block i of m rows, of which the first have three registers.
func (v *vexLaneKernels) block(i, m int) vexLaneBlock {
	if threes := vexLaneRegisters(m) - 2*v.blocks(m); i >= threes {
		return vexLaneBlock{threes + 2*i, 2}
	}
	return vexLaneBlock{3 * i, 3}
}

// vexLaneRow is the first row of register i of m rows: the last one ends with them.
func vexLaneRow(i, m int) int { return min(i*vexLanes, m-vexLanes) }

// prepare makes room for the rows of a product, packed, and reports whether it is worth it:
// there are more rows than a register has, more columns than a block, so that the last block
// may begin earlier, and whole lines of each.
func (v *vexLaneKernels) prepare(t *s8Task) bool {
	w, m := t.w, t.a.Rows
	t.tiles = nil
	if m < v.least || w.N < vexLaneColumns || w.K == 0 || w.K%64 != 0 {
		return false
	}
	t.tiles = t.e.tiles.Grow(vexLaneRegisters(m) * vexLanes * w.K * v.size)
	return true
}

// packBlock packs block i of a product's rows, groups of k of all of them.
func (v *vexLaneKernels) packBlock(t *s8Task, i int) {
	a, k := t.a, t.w.K
	b := v.block(i, a.Rows)
	block := t.tiles[b.first*vexLanes*k*v.size:]
	for r := range b.registers {
		v.pack(&block[32*r], 32*b.registers, &a.Data[vexLaneRow(b.first+r, a.Rows)*a.Stride], a.Stride, k*v.size/32)
	}
}

// blocked multiplies some columns at a time by all blocks of rows.
func (v *vexLaneKernels) blocked(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	if t.tiles == nil {
		t.multiply(c, n0, n1, next, out, ldo)
		return
	}
	sums := int32s(t.e.packs[thread].Grow(4 * 3 * vexLanes * vexLaneColumns))
	for n := n0; n < n1; n += vexLaneColumns {
		width := min(vexLaneColumns, n1-n)
		p := min(n, t.w.N-(width+vexLaneUnit-1)/vexLaneUnit*vexLaneUnit)
		b := s8Block{t, n0, n1, n, p, width}
		for i := range v.blocks(t.a.Rows) {
			rows := v.block(i, t.a.Rows)
			v.multiply(&b, rows, sums, i == 0, next)
			b.finishVexLanes(rows, out, ldo, sums, c)
		}
	}
}

// multiply multiplies rows by a block's columns: sums [columns][rows]. If fetch, it fetches
// those that follow.
func (v *vexLaneKernels) multiply(b *s8Block, rows vexLaneBlock, sums []int32, fetch bool, next uintptr) {
	w, height := b.t.w, rows.registers*vexLanes
	block, most := b.t.tiles[rows.first*vexLanes*w.K*v.size:], vexLaneBytes/vexLanes/v.size
	for k := 0; k < w.K; k += most {
		for j := 0; j < b.n+b.width-b.p; {
			kernel, columns := v.at(rows.registers, j)
			ahead := w.address(b.p + j)
			if fetch {
				ahead = w.ahead(b.n+b.width+j, b.n1, next) + uintptr(columns*k)
			}
			kernel(&block[height*k*v.size], &w.Data[(b.p+j)*w.K+k], w.K, min(most, w.K-k)/64, &sums[j*height], k, ahead)
			j += columns
		}
	}
}

// finishVexLanes passes the block's products, sums [columns][rows], through the epilogue, by
// way of c.
func (b *s8Block) finishVexLanes(rows vexLaneBlock, out []float32, ldo int, sums, c []int32) {
	m, height, columns := b.t.a.Rows, rows.registers*vexLanes, b.n+b.width-b.p
	for i := rows.first; i < rows.first+rows.registers; i++ {
		avx2StoreLanes(&c[0], 4*columns, &sums[(i-rows.first)*vexLanes], 4*height, &b.t.w.Comp[b.p], columns/8)
		for r := i * vexLanes; r < min((i+1)*vexLanes, m); r++ {
			products := c[(r-vexLaneRow(i, m))*columns+b.n-b.p:]
			b.t.epilogue(out[r*ldo+b.n-b.n0:][:b.width], products, r, b.n)
		}
	}
}
