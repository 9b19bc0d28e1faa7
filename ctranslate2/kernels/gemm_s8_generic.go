package kernels

var genericS8 = s8Kernels{
	quantizeRow:   quantizeRowGeneric,
	products:      productsGeneric,
	dequantizeRow: dequantizeRowGeneric,
	rowSums:       rowSumsGeneric,
}

func productsGeneric(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, _ uintptr) {
	for r := range a.Rows {
		x := a.Data[r*a.Stride:][:a.K]
		for n := n0; n < n1; n++ {
			sum := w.Comp[n]
			for k, b := range w.Data[n*w.K:][:len(x)] {
				sum += int32(x[k]) * int32(b)
			}
			c[r*ldc+n-n0] = sum
		}
	}
}

func dequantizeRowGeneric(dst []float32, c []int32, inverse float32, scale, bias, residual []float32, relu bool) {
	for j, v := range c {
		y := float32(float32(v)*inverse) / scale[j]
		if bias != nil {
			y += bias[j]
		}
		if relu && y < 0 {
			y = 0
		}
		if residual != nil {
			y += residual[j]
		}
		dst[j] = y
	}
}

func rowSumGeneric(row []int8) int32 {
	var sum int32
	for _, b := range row {
		sum += int32(b)
	}
	return sum
}

func rowSumsGeneric(dst []int32, rows []int8, k int) { eachRowSum(dst, rows, k, rowSumGeneric) }

// eachRowSum sums rows of k one by one.
func eachRowSum(dst []int32, rows []int8, k int, sum func(row []int8) int32) {
	for i := range dst {
		dst[i] = sum(rows[i*k : (i+1)*k])
	}
}
