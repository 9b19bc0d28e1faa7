package kernels

import "unsafe"

// sparseSums add products of listed inputs and transposed weights to c, by rows.
type sparseSums []func(v *uint8, ldv int, at *int32, groups int, w *int8, width int, c *int32)

var (
	avx512Sparse  = sparseSums{1: sparseS8_1, sparseS8_2, sparseS8_3, sparseS8_4}.kernels(listNonzerosAVX512)
	avxVNNISparse = sparseSums{1: vnniSparseS8}.kernels(listNonzeros)
	avx2Sparse    = sparseSums{1: avx2SparseS8}.kernels(listNonzeros)
)

func (s sparseSums) kernels(list func(*inputList, QuantizedRows, int) (int, bool)) *sparseKernels {
	return &sparseKernels{len(s) - 1, list, s.add}
}

func (s sparseSums) add(c []int32, l *inputList, from, to int, w []byte, width int) {
	s[l.rows](&l.values[from], l.stride, &l.places[from], (to-from)/sparseGroup, (*int8)(unsafe.Pointer(ptr(w))), width, ptr(c))
}

// listNonzeros lists the inputs of a row that are no zeros.
func listNonzeros(l *inputList, a QuantizedRows, apart int) (count int, negative bool) {
	least := uint8(255)
	for i, b := range a.Data[:a.K] {
		l.places[count], l.values[count] = int32(i*apart), b-128
		least = min(least, b)
		count += int((uint32(b^128) + 255) >> 8) // one, unless it is zero: without a branch, which can't be foreseen
	}
	return count, least < 128
}

// nonzerosS8 by rows.
var nonzerosS8 = [...]func(a *uint8, lda int, n int, first *int32, step int, at *int32, v *uint8, ldv int) (count int, negative bool){
	1: nonzerosS8_1, nonzerosS8_2, nonzerosS8_3, nonzerosS8_4,
}

func listNonzerosAVX512(l *inputList, a QuantizedRows, apart int) (count int, negative bool) {
	for i := range l.first {
		l.first[i] = int32(i * apart)
	}
	return nonzerosS8[a.Rows](ptr(a.Data), a.Stride, a.K/16, &l.first[0], 16*apart, ptr(l.places), ptr(l.values), l.stride)
}
