package kernels

import (
	"math"
	"unsafe"
)

// panelRows is how many rows panelS8 multiplies.
const panelRows = 8

// mostColumnRows is how many rows columnsS8 multiply at most.
const mostColumnRows = 16

// columnsS8 are products with columns as they are stored, by rows.
var columnsS8 = [...]func(a *uint8, lda int, b *int8, ldb int, k int, shift int, lines *int8, c *int32, add *int32, pf uintptr, step int, back int){
	2: columnsS8_2, columnsS8_3, columnsS8_4, columnsS8_5, columnsS8_6, columnsS8_7, columnsS8_8, columnsS8_9,
	columnsS8_10, columnsS8_11, columnsS8_12, columnsS8_13, columnsS8_14, columnsS8_15, columnsS8_16,
}

// packColumnsS8 are those that leave the columns packed, by rows.
var packColumnsS8 = [panelRows + 1]func(a *uint8, lda int, b *int8, ldb int, k int, shift int, panel *int8, c *int32, add *int32, pf uintptr){
	1: packColumnsS8_1, packColumnsS8_2, packColumnsS8_3, packColumnsS8_4, packColumnsS8_5, packColumnsS8_6, packColumnsS8_7, packColumnsS8_8,
}

// quadsS8 are products with columns as they are stored, four at a time, by rows.
var quadsS8 = [...]func(a *uint8, lda int, b *int8, k int, n int, c *int32, add *int32, pf uintptr, step int){
	1: quadsS8_1, quadsS8_2, quadsS8_3, quadsS8_4, quadsS8_5, quadsS8_6, quadsS8_7, quadsS8_8,
	quadsS8_9, quadsS8_10, quadsS8_11, quadsS8_12, quadsS8_13, quadsS8_14, quadsS8_15, quadsS8_16,
}

// blockedAVX512 multiplies up to 16 rows by columns as they are stored. Of more rows it
// multiplies the first, up to eight, so that columns are packed, and then eight at a time. The
// products of each block of rows go straight through the epilogue.
func blockedAVX512(t *s8Task, thread int, c []int32, n0, n1 int, next uintptr, out []float32, ldo int) {
	w, a := t.w, t.a
	if w.N < panelColumns || w.K == 0 {
		t.multiply(c, n0, n1, next, out, ldo)
		return
	}
	room := ptr(int8s(t.e.packs[thread].Grow(max(panelBytes(w.K), linesBytes))))
	inQuads := quads.pay(a.Rows, w.K)
	for n := n0; n < n1; n += panelColumns {
		block := s8Block{t, n0, n1, n, min(n, w.N-panelColumns), min(panelColumns, n1-n)}
		switch {
		case a.Rows > mostColumnRows:
			block.inPanels(room, c, next, out, ldo)
			continue
		case inQuads:
			block.quads(0, c, next)
		default:
			block.columns(room, c, next)
		}
		block.finish(out, ldo, c, 0, a.Rows)
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

// columns multiplies all rows by the panel's columns. Meanwhile it fetches those that
// follow, at next behind the chunk's last.
func (b *s8Block) columns(lines *int8, c []int32, next uintptr) {
	a, w, shift := b.t.a, b.t.w, b.t.w.shift()
	const half = panelColumns / 2
	step, back := 64, 64 // fetch line by line
	if fetchInStripes {
		step, back = half/stripes*w.K, 64-(stripes-1)*half/stripes*w.K
	}
	for i := 0; i < panelColumns; i += half {
		p := b.p + i
		columnsS8[a.Rows](&a.Data[0], a.Stride, &w.Data[p*w.K], w.K, w.K, shift, lines, &c[i], &w.Comp[p], w.ahead(b.n+i+half, b.n1, next), step, back)
	}
}

// inPanels multiplies the first rows by the panel's columns, which that packs, and then the
// others. Meanwhile it fetches the panel that follows, a quarter of it first and then
// evenly, with the first two blocks of rows that there are at least.
func (b *s8Block) inPanels(panel *int8, c []int32, next uintptr, out []float32, ldo int) {
	a, w := b.t.a, b.t.w
	first, shift := (a.Rows-1)%panelRows+1, 0
	if w.K%conflictBytes == 0 {
		shift = w.shift()
	}
	ahead := w.ahead(b.n+panelColumns, b.n1, next) // 32·K bytes, of which packing fetches 2·4·K
	for i := 0; i < panelColumns; i += panelColumns / 2 {
		p, half := b.p+i, (*int8)(unsafe.Add(unsafe.Pointer(panel), 4*i))
		packColumnsS8[first](&a.Data[0], a.Stride, &w.Data[p*w.K], w.K, w.K, shift, half, &c[i], &w.Comp[p], ahead)
		ahead += uintptr(4 * w.K)
	}
	b.finish(out, ldo, c, 0, first)
	panel = (*int8)(unsafe.Add(unsafe.Pointer(panel), shift/4*4*panelColumns))
	before, step := shift%4, 64
	for r := first; r < a.Rows; r += panelRows {
		if r == first+2*panelRows {
			ahead, step = w.address(b.p), 0 // there is no more to fetch
		}
		panelS8(&a.Data[r*a.Stride-before], a.Stride, panel, (before+w.K+3)/4, &c[0], &w.Comp[b.p], address(out, r*ldo+b.n-b.n0), 4*ldo, ahead, step)
		b.finish(out, ldo, c, r, panelRows)
		ahead += uintptr(3 * w.K / 16 * step) // three lines for every 16 inputs
	}
}

// conflictBytes is how far apart rows of weights lie in the same sets of the first cache, or
// too many of them: lines that a load has touched are gone before the next one comes to them.
const conflictBytes = 2048

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
