package kernels

import (
	"math"
	"unsafe"
)

// panelRows is how many rows panelS8 multiplies.
const panelRows = 8

// columnsS8 are products with columns as they are stored, by rows.
var columnsS8 = [...]func(a *uint8, lda int, b *int8, ldb int, k int, shift int, lines *int8, panel *int8, c *int32, add *int32, pf uintptr, step int, back int){
	2: columnsS8_2, columnsS8_3, columnsS8_4, columnsS8_5, columnsS8_6, columnsS8_7, columnsS8_8, columnsS8_9,
	columnsS8_10, columnsS8_11, columnsS8_12, columnsS8_13, columnsS8_14, columnsS8_15, columnsS8_16,
}

// quadsS8 are products with columns as they are stored, four at a time, by rows.
var quadsS8 = [...]func(a *uint8, lda int, b *int8, k int, n int, c *int32, add *int32, pf uintptr, step int){
	1: quadsS8_1, quadsS8_2, quadsS8_3, quadsS8_4, quadsS8_5, quadsS8_6, quadsS8_7, quadsS8_8,
	quadsS8_9, quadsS8_10, quadsS8_11, quadsS8_12, quadsS8_13, quadsS8_14, quadsS8_15, quadsS8_16,
}

// blockedAVX512 multiplies the first rows, up to 16, by columns as they are
// stored, which leaves these packed for the other rows, eight at a time, if there are
// more. The products of each block of rows go straight through the epilogue.
func blockedAVX512(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	w, a := t.w, t.a
	if w.N < panelColumns || w.K == 0 {
		t.multiply(c, n0, n1, next, out, ldo)
		return
	}
	first := a.Rows
	if first >= len(columnsS8) {
		first = (a.Rows-1)%panelRows + panelRows + 1
	}
	inQuads := a.Rows < len(quadsS8) && quads.pay(a.Rows, w.K)
	pack := t.e.packs[thread].Grow(panelBytes(w.K) + linesBytes)
	lines, panel := ptr(int8s(pack)), ptr(int8s(pack[linesBytes:]))
	for n := n0; n < n1; n += panelColumns {
		block := s8Block{t, n0, n1, n, min(n, w.N-panelColumns), min(panelColumns, n1-n)}
		if inQuads {
			block.quads(0, c, next)
		} else {
			block.columns(first, lines, panel, c, next)
		}
		block.finish(out, ldo, c, 0, first)
		for r := first; r < a.Rows; r += panelRows {
			block.packed(r, panel, c, address(out, r*ldo+n-n0), 4*ldo)
			block.finish(out, ldo, c, r, panelRows)
		}
	}
}

// s8Block is a panel of columns of a product: width columns from n on, which are
// among the panelColumns from p on.
type s8Block struct {
	t                   *s8Task
	n0, n1, n, p, width int // the chunk is columns n0..n1
}

// shift is how far behind the start of a line each row of w lies, or 0 if that
// differs from row to row.
func (w *S8Weights) shift() int {
	if w.K%64 != 0 {
		return 0
	}
	return int(w.address(0) % 64)
}

// columns multiplies the first rows by the panel's columns, which it packs if
// there are more rows. Meanwhile it fetches those that follow, at next behind the
// chunk's last.
func (b *s8Block) columns(rows int, lines, panel *int8, c []int32, next uintptr) {
	const half = panelColumns / 2
	a, w, shift := b.t.a, b.t.w, b.t.w.shift()
	if rows == a.Rows {
		panel = nil
	}
	step, back := 64, 64 // fetch line by line
	if fetchInStripes {
		step, back = half/stripes*w.K, 64-(stripes-1)*half/stripes*w.K
	}
	for i := 0; i < panelColumns; i += half {
		p := b.p + i
		columnsS8[rows](&a.Data[0], a.Stride, &w.Data[p*w.K], w.K, w.K, shift, lines, panel, &c[i], &w.Comp[p], w.ahead(b.n+i+half, b.n1, next), step, back)
		if panel != nil {
			panel = (*int8)(unsafe.Add(unsafe.Pointer(panel), 64))
		}
	}
}

// quads multiplies rows r.. by the panel's columns, four at a time. Meanwhile it fetches
// those that follow, as columns does.
func (b *s8Block) quads(r int, c []int32, next uintptr) {
	a, w := b.t.a, b.t.w
	const half = panelColumns / 2
	for i := 0; i < panelColumns; i += half {
		p := b.p + i
		quadsS8[a.Rows-r](&a.Data[r*a.Stride], a.Stride, &w.Data[p*w.K], w.K, half/4, &c[i], &w.Comp[p], w.ahead(b.n+i+half, b.n1, next), half/4*w.K)
	}
}

// packed multiplies panelRows rows from r on by the packed columns. Their first group
// that counts begins shift%4 bytes before the rows, with weights that are masked to
// zero; the groups of its piece of 16 that come before it are skipped. out is where the
// products will go, in rows of ldo bytes.
func (b *s8Block) packed(r int, panel *int8, c []int32, out uintptr, ldo int) {
	a, w, shift := b.t.a, b.t.w, b.t.w.shift()
	before := shift % 4
	panel = (*int8)(unsafe.Add(unsafe.Pointer(panel), shift%16/4*4*panelColumns))
	panelS8(&a.Data[r*a.Stride-before], a.Stride, panel, (before+w.K+3)/4, &c[0], &w.Comp[b.p], out, ldo)
}

// finish passes the products c [rows][panelColumns] of rows r.. through the epilogue.
func (b *s8Block) finish(out []float32, ldo int, c []int32, r, rows int) {
	out = out[r*ldo+b.n-b.n0:]
	if b.width == panelColumns && b.t.tileEpilogue(out, ldo, c, r, rows, b.n) {
		return
	}
	for i := range rows {
		b.t.epilogue(out[i*ldo:][:b.width], c[i*panelColumns+b.n-b.p:], r+i, b.n)
	}
}

var noBias [panelColumns]float32

// tileEpilogue turns the products of some rows and a whole panel, columns n..,
// into out. It reports false where the epilogue is more than it does, or scales are
// such as only a damaged model has.
func (t *s8Task) tileEpilogue(out []float32, ldo int, c []int32, r, rows, n int) bool {
	ep := &t.ep
	bias, floor, act := &noBias[0], float32(math.Inf(-1)), ep.Activation
	var residual *float32
	ldr := 0
	if ep.Bias != nil {
		bias = ptr(ep.Bias[n : n+panelColumns])
	}
	if ep.Residual != nil {
		ldr = ep.ResidualStride
		residual = ptr(ep.Residual[r*ldr+n : (r+rows-1)*ldr+n+panelColumns])
	}
	if act != None && act != ReLU || !t.plain {
		return false
	}
	if act == ReLU {
		floor = 0
	}
	_ = out[(rows-1)*ldo+panelColumns-1]
	scale, inverse := ptr(t.w.Scale[n:n+panelColumns]), &t.a.InvScale[r]
	if residual != nil {
		dequantTileResidual(ptr(out), 4*ldo, ptr(c), rows, inverse, floor, scale, bias, residual, 4*ldr)
	} else {
		dequantTile(ptr(out), 4*ldo, ptr(c), rows, inverse, floor, scale, bias, nil, 0)
	}
	return true
}
