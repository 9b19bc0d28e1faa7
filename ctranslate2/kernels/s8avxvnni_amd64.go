package kernels

// avxVNNIS8 are the int8 kernels for AVX-VNNI; the rest is that of AVX2.
var avxVNNIS8 = s8Kernels{
	quantizeRow:   quantizeRowAVX2,
	products:      productsAVXVNNI,
	prepare:       prepareAVXVNNI,
	blocked:       vnniLanes.blocked,
	dequantizeRow: dequantizeRowAVX2,
	rowSums:       rowSumsAVX2,
	coarse:        &avxVNNICoarse,
	sparse:        avxVNNISparse,
}

var avxVNNITiles = vexTiles{[]vexTile{vnniDotS8_1x4, vnniDotS8_2x4, vnniDotS8_3x4}, vnniDotS8_1x1, 32}

func productsAVXVNNI(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	avxVNNITiles.products(c, ldc, a, w, n0, n1, next)
}

var vnniLanes = vexLaneKernels{least: 12, size: 1, pack: vnniPackLanes, two: vnniLanes_2x4, twoBySix: vnniLanes_2x6, three: vnniLanes_3x4}

// vnniPackTask packs the rows of a product as lanes.
type vnniPackTask s8Task

func (p *vnniPackTask) Do(_, i int) { vnniLanes.packBlock((*s8Task)(p), i) }

// prepareAVXVNNI packs the rows of a product as lanes.
func prepareAVXVNNI(t *s8Task) {
	if vnniLanes.prepare(t) {
		t.e.Parallel(vnniLanes.blocks(t.a.Rows), (*vnniPackTask)(t))
	}
}
