package kernels

import (
	"encoding/binary"
	"unsafe"
)

var (
	avx512Coarse  = coarseKernels{pack: packCoarseAVX512, arrange: inGroups, pairs: coarsePairsAVX512, reaching: coarseReachingAVX512}
	avxVNNICoarse = coarseKernels{pack: packCoarseAVX2, arrange: asTheyAre, dots: vnniCoarseDots.products, reaching: coarseReachingAVX2}
	avx2Coarse    = coarseKernels{pack: packCoarseAVX2, arrange: asTheyAre, dots: avx2CoarseDots.products, reaching: coarseReachingAVX2}
)

// coarseGrids are the steps of the grids that rows choose from, and the inverses
// that give levels in each.
var coarseGrids = [...]struct{ step, inverse int }{{17, 15}, {12, 21}, {8, 32}}

// packCoarseAVX512 levels each row in the grid that is least off and transposes
// them in groups of four levels.
func packCoarseAVX512(dst []byte, w []int8, depth int, scratch []byte, grids []coarseGrid) {
	rows := int8s(scratch[:coarseColumns*depth])
	panel := ptr(int8s(scratch[coarseColumns*depth:][:coarseColumns*depth]))
	clear(rows[len(w):])
	for i := range grids {
		var errors [len(coarseGrids)]int32
		coarseErrors(&errors[0], &w[i*depth], depth/coarseGroup)
		best := leastOff(errors)
		coarseLevels((*byte)(unsafe.Pointer(&rows[i*depth])), &w[i*depth], depth/coarseGroup, coarseGrids[best].inverse)
		grids[i] = coarseGrid{int32(coarseGrids[best].step), errors[best]}
	}
	packS8(&rows[0], depth, depth, panel, 128)
	packS8(&rows[16*depth], depth, depth, (*int8)(unsafe.Add(unsafe.Pointer(panel), 64)), 128)
	coarseMerge(ptr(dst), panel, depth/4)
	pairColumns(dst, depth)
}

// leastOff returns the grid with the smallest error.
func leastOff(errors [len(coarseGrids)]int32) int {
	best := 0
	for i := range errors {
		if errors[i] < errors[best] {
			best = i
		}
	}
	return best
}

// packCoarseAVX2 is packCoarseAVX512 for AVX2.
func packCoarseAVX2(dst []byte, w []int8, depth int, scratch []byte, grids []coarseGrid) {
	rows := scratch[:coarseColumns*depth]
	clear(rows[len(w):])
	for i := range grids {
		var errors [len(coarseGrids)]int32
		for j, g := range coarseGrids {
			errors[j] = avx2CoarseErrors(&w[i*depth], depth/16, g.step, g.inverse)
		}
		best := leastOff(errors)
		avx2CoarseLevels(&rows[i*depth], &w[i*depth], depth/16, coarseGrids[best].inverse)
		grids[i] = coarseGrid{int32(coarseGrids[best].step), errors[best]}
	}
	mergeCoarse(dst, rows, depth)
}

// mergeCoarse transposes levels [32][depth] in groups of four and puts those of
// rows 16.. into the high halves of the bytes.
func mergeCoarse(dst, rows []byte, depth int) {
	for k := 0; k < depth; k += 4 {
		group := dst[16*k : 16*k+64]
		for i := range 16 {
			low := binary.LittleEndian.Uint32(rows[i*depth+k:])
			high := binary.LittleEndian.Uint32(rows[(16+i)*depth+k:])
			binary.LittleEndian.PutUint32(group[4*i:], low|high<<4)
		}
	}
}

// levelBlock is how many rows are multiplied by levels at a time, at most, and leastHalvesRows
// the fewest that one of several blocks has.
const levelBlock, leastHalvesRows = 12, levelBlock / 2

// levelDots are products with levels, by rows in groups.
type levelDots [levelBlock + 1]func(a *int8, group int, panel *byte, n int, c *int32, ldc int)

var (
	coarseDots = levelDots{
		1: coarseDots_1, coarseDots_2, coarseDots_3, coarseDots_4, coarseDots_5, coarseDots_6,
		coarseDots_7, coarseDots_8, coarseDots_9, coarseDots_10, coarseDots_11, coarseDots_12,
	}
	coarseDotsFar = levelDots{
		1: coarseDotsFar_1, coarseDotsFar_2, coarseDotsFar_3, coarseDotsFar_4, coarseDots_5, coarseDots_6,
		coarseDots_7, coarseDots_8, coarseDots_9, coarseDots_10, coarseDots_11, coarseDots_12,
	}
	coarseDotsQuarters = levelDots{
		1: coarseDotsQuarters_1, coarseDotsQuarters_2, coarseDotsQuarters_3, coarseDotsQuarters_4, coarseDotsQuarters_5, coarseDotsQuarters_6,
		coarseDotsQuarters_7, coarseDotsQuarters_8, coarseDotsQuarters_9, coarseDotsQuarters_10, coarseDotsQuarters_11, coarseDotsQuarters_12,
	}
)

func (d *levelDots) products(c []int32, ldc int, a levelRows, panels []byte, depth int) {
	blocks := (a.n + levelBlock - 1) / levelBlock
	height := (a.n + blocks - 1) / blocks
	size := coarsePanelBytes(depth)
	for p := range len(panels) / size {
		for r := 0; r < a.n; r += height {
			d[min(height, a.n-r)](&a.data[r*a.row], a.group, &panels[p*size], depth/16, &c[r*ldc+p*coarseColumns], 4*ldc)
		}
	}
}

// coarseDotsHalves are products with levels that fetch half a panel, by rows.
var coarseDotsHalves = [...]func(a *int8, group int, panel *byte, n int, c *int32, ldc int, pf uintptr){
	leastHalvesRows: coarseDotsHalves_6, coarseDotsHalves_7, coarseDotsHalves_8, coarseDotsHalves_9, coarseDotsHalves_10, coarseDotsHalves_11, coarseDotsHalves_12,
}

// coarseDotsFetched multiplies levels on processors that foresee little: one block of rows
// fetches the next panel, or the first two a half of it each.
func coarseDotsFetched(c []int32, ldc int, a levelRows, panels []byte, depth int) {
	if a.n <= levelBlock {
		coarseDotsQuarters.products(c, ldc, a, panels, depth)
		return
	}
	blocks, size := (a.n+levelBlock-1)/levelBlock, coarsePanelBytes(depth)
	for p := range len(panels) / size {
		panel := &panels[p*size]
		next := uintptr(unsafe.Pointer(panel)) + uintptr(size)
		for i := range blocks {
			r, half := a.n*i/blocks, uintptr(min(i, 1)*coarseColumns*depth/4)
			coarseDotsHalves[a.n*(i+1)/blocks-r](&a.data[r*a.row], a.group, panel, depth/16, &c[r*ldc+p*coarseColumns], 4*ldc, next+half)
		}
	}
}

// coarsePairs by rows.
var coarsePairs = [...]func(a *int8, lda int, sums *int32, panel *byte, n int, c *int32, ldc int, pf uintptr){
	1: coarsePairs_1, coarsePairs_2, coarsePairs_3, coarsePairs_4, coarsePairs_5, coarsePairs_6, coarsePairs_7, coarsePairs_8,
}

// pairsAhead is how far ahead of a panel's first product memory is fetched, in bytes.
// The other blocks of rows, for which the panel is in the cache, fetch what lies
// farther on, so that memory is busy all of the time. Panels lie one behind the other.
const pairsAhead = 8 << 10

func coarsePairsAVX512(c []int32, ldc int, a []int8, lda, m int, sums []int32, panel []byte, depth int) {
	blocks := (m + blockRows - 1) / blockRows
	height := (m + blocks - 1) / blocks
	at := uintptr(unsafe.Pointer(ptr(panel)))
	for r := 0; r < m; r += height {
		ahead := pairsAhead + r*coarsePanelBytes(depth)/m
		coarsePairs[min(height, m-r)](&a[r*lda], lda, &sums[r], ptr(panel), depth/16, &c[r*ldc], 4*ldc, at+uintptr(ahead))
	}
}

// noRow is a row of zeros as pairRow prepares them.
var noRow = func() (a [coarseDepth]int8) {
	for i := range a {
		if i%16 < 4 {
			a[i] = -128
		}
	}
	return a
}()

// pairColumns writes the sums of a panel's columns behind its levels: what pairs
// make of a row of zeros.
func pairColumns(panel []byte, depth int) {
	own, zero := int32s(panel[coarseColumns*depth/2:]), int32(0)
	clear(own)
	coarsePairs_1(&noRow[0], 0, &zero, ptr(panel), depth/16, ptr(own), 0, 0)
}

type (
	// wholePanelDots multiplies rows by the levels of a panel, 32·n of k.
	wholePanelDots func(a *int8, lda int, panel *byte, n int, c *int32, ldc int)
	// halfPanelDots does by those of half its columns, and fetches as much at pf.
	halfPanelDots func(a *int8, lda int, half *byte, n int, c *int32, ldc int, pf uintptr)
)

// vexCoarseDots are a tier's products with levels, by rows: of a few with whole panels, of
// more with half a panel at a time.
type vexCoarseDots struct {
	whole     []wholePanelDots
	halves    []halfPanelDots
	halfDepth int // of k, for each n of halves
}

var (
	avx2CoarseDots = vexCoarseDots{
		[]wholePanelDots{1: avx2CoarseDots_1, avx2CoarseDots_2},
		[]halfPanelDots{1: avx2CoarseHalf_1, avx2CoarseHalf_2, avx2CoarseHalf_3, avx2CoarseHalf_4, avx2CoarseHalf_5},
		32,
	}
	vnniCoarseDots = vexCoarseDots{
		[]wholePanelDots{1: vnniCoarseDots_1, vnniCoarseDots_2},
		[]halfPanelDots{1: vnniCoarseHalf_1, vnniCoarseHalf_2, vnniCoarseHalf_3, vnniCoarseHalf_4, vnniCoarseHalf_5, vnniCoarseHalf_6},
		16,
	}
)

// products multiplies blocks of some rows by the halves of a panel, of which the first
// block fetches the next one; or one or two rows by all of it.
func (v *vexCoarseDots) products(c []int32, ldc int, a levelRows, panels []byte, depth int) {
	size := coarsePanelBytes(depth)
	for p := range len(panels) / size {
		panel, c := panels[p*size:], c[p*coarseColumns:]
		if a.n < len(v.whole) {
			v.whole[a.n](&a.data[0], a.row, &panel[0], depth/32, &c[0], 4*ldc)
			continue
		}
		v.half(c, ldc, a, panel, 0, depth)
		v.half(c, ldc, a, panel, 1, depth)
	}
}

// half multiplies all rows by a half of a panel.
func (v *vexCoarseDots) half(c []int32, ldc int, a levelRows, panel []byte, half, depth int) {
	from := &panel[32*half]
	ahead := uintptr(unsafe.Pointer(from)) + uintptr(coarsePanelBytes(depth)+half*coarseColumns*depth/4)
	most := len(v.halves) - 1
	blocks := (a.n + most - 1) / most
	for i := range blocks {
		r := a.n * i / blocks
		v.halves[a.n*(i+1)/blocks-r](&a.data[r*a.row], a.row, from, depth/v.halfDepth, &c[r*ldc+8*half], 4*ldc, ahead)
		ahead = uintptr(unsafe.Pointer(from)) // which is in the cache
	}
}

// pairLanes interleave 16 columns and 16 bounds, low ones and high ones; behind them are
// the numbers of 16 columns.
var pairLanes = func() (lanes [48]int32) {
	for i := range int32(16) {
		lanes[2*i], lanes[2*i+1], lanes[32+i] = i, 16+i, i
	}
	return lanes
}()

func coarseReachingAVX512(dst []bounded, dots []int32, factor, radius, bias []float32, r *screenRow, first int, floor float32) int {
	fn := coarseReaching
	if bias != nil {
		fn = coarseReachingBias
	}
	return fn((*int32)(unsafe.Pointer(ptr(dst))), ptr(dots), len(dots), ptr(factor), ptr(radius), ptr(bias), r.shift, r.reach, 1/r.inverse, screenSlack/r.inverse, r.floor(floor), r.inverse, r.least, int32(first), &pairLanes[0])
}

// coarseReachingAVX2 writes bounds, some at a time, and lists them if there is a reason to.
func coarseReachingAVX2(dst []bounded, dots []int32, factor, radius, bias []float32, r *screenRow, first int, floor float32) int {
	const most = 256
	var upper [most]float32
	n, low := 0, r.floor(floor)
	for i := 0; i < len(dots); i += most {
		size, reached := min(most, len(dots)-i), 0
		if bias != nil {
			reached = avx2CoarseBoundsBias(&upper[0], &dots[i], size, &factor[i], &radius[i], &bias[i], r.shift, r.reach, 1/r.inverse, screenSlack/r.inverse, low)
		} else {
			reached = avx2CoarseBounds(&upper[0], &dots[i], size, &factor[i], &radius[i], nil, r.shift, r.reach, 0, 0, low)
		}
		for j := 0; reached > 0; j++ {
			if u := upper[j]; u >= low {
				dst[n] = bounded{int32(first + i + j), u*r.inverse + r.least}
				n++
				reached--
			}
		}
	}
	return n
}
