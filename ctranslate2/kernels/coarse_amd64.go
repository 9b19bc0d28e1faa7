package kernels

import "unsafe"

var avx512Coarse = coarseKernels{pack: packCoarseAVX512, dots: coarseDotsAVX512, bounds: coarseBoundsAVX512}

// coarseGrids are the steps of the grids that coarseErrors tries, and the
// inverses that give levels in each.
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
		best := 0
		for j := range errors {
			if errors[j] < errors[best] {
				best = j
			}
		}
		coarseLevels((*byte)(unsafe.Pointer(&rows[i*depth])), &w[i*depth], depth/coarseGroup, coarseGrids[best].inverse)
		grids[i] = coarseGrid{int32(coarseGrids[best].step), errors[best]}
	}
	packS8(&rows[0], depth, depth, panel, 128)
	packS8(&rows[16*depth], depth, depth, (*int8)(unsafe.Add(unsafe.Pointer(panel), 64)), 128)
	coarseMerge(ptr(dst), panel, depth/4)
}

// coarseDots by rows.
var coarseDots = [...]func(a *int8, lda int, panel *byte, n int, c *int32, ldc int){
	1: coarseDots_1, coarseDots_2, coarseDots_3, coarseDots_4, coarseDots_5, coarseDots_6, coarseDots_7, coarseDots_8,
}

func coarseDotsAVX512(c []int32, ldc int, a []int8, lda, m int, panel []byte, depth int) {
	blocks := (m + blockRows - 1) / blockRows
	height := (m + blocks - 1) / blocks
	for r := 0; r < m; r += height {
		coarseDots[min(height, m-r)](&a[r*lda], lda, ptr(panel), depth/8, &c[r*ldc], 4*ldc)
	}
}

func coarseBoundsAVX512(upper []float32, dots []int32, factor, radius, bias []float32, r *screenRow) float32 {
	fn := coarseBounds
	if bias != nil {
		fn = coarseBoundsBias
	}
	return fn(ptr(upper), ptr(dots), len(dots), ptr(factor), ptr(radius), ptr(bias), r.shift, r.inverse, r.reach, screenSlack, screenLeast)
}
