package kernels

import "unsafe"

var avx512Sparse = sparseKernels{list: listNonzerosAVX512, add: addSparseAVX512}

// nonzerosS8 and sparseS8 by rows.
var (
	nonzerosS8 = [...]func(a *uint8, lda int, n int, first *int32, step int, at *int32, v *uint8, ldv int) (count int, negative bool){
		1: nonzerosS8_1, nonzerosS8_2, nonzerosS8_3, nonzerosS8_4,
	}
	sparseS8 = [...]func(v *uint8, ldv int, at *int32, groups int, w *int8, width int, c *int32){
		1: sparseS8_1, sparseS8_2, sparseS8_3, sparseS8_4,
	}
)

func listNonzerosAVX512(l *inputList, a QuantizedRows, apart int) (count int, negative bool) {
	var first [16]int32
	for i := range first {
		first[i] = int32(i * apart)
	}
	return nonzerosS8[a.Rows](ptr(a.Data), a.Stride, a.K/16, &first[0], 16*apart, ptr(l.places), ptr(l.values), l.stride)
}

func addSparseAVX512(c []int32, l *inputList, w []byte, width int) {
	most := max(streamBytes/(sparseGroup*width), 1)
	for j := 0; j < l.count; j += most * sparseGroup {
		groups := min(most, (l.count-j)/sparseGroup)
		sparseS8[l.rows](&l.values[j], l.stride, &l.places[j], groups, (*int8)(unsafe.Pointer(ptr(w))), width, ptr(c))
	}
}
