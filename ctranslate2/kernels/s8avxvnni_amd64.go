package kernels

// avxVNNIS8 are the int8 kernels for AVX-VNNI; the rest is that of AVX2.
var avxVNNIS8 = s8Kernels{
	quantizeRow:   quantizeRowAVX2,
	products:      productsAVXVNNI,
	prepare:       prepareAVXVNNI,
	blocked:       blockedAVXVNNI,
	dequantizeRow: dequantizeRowAVX2,
	rowSums:       rowSumsAVX2,
	coarse:        &avxVNNICoarse,
	sparse:        avxVNNISparse,
}

var avxVNNITiles = vexTiles{[]vexTile{vnniDotS8_1x4, vnniDotS8_2x4, vnniDotS8_3x4}, vnniDotS8_1x1, 32}

func productsAVXVNNI(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	avxVNNITiles.products(c, ldc, a, w, n0, n1, next)
}
