package kernels

// productsAVX512 multiplies straight from the stored weights, four columns at a time. It is
// made for a single row.
func productsAVX512(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	if w.K == 0 {
		productsGeneric(c, ldc, a, w, n0, n1, next)
		return
	}
	most, k, n := max(streamBytes/(4*w.K), 1), w.K, n0
	for groups := 0; a.Rows == 1 && n+4 <= n1; n += 4 * groups {
		groups = min((n1-n)/4, most)
		streamS8(ptr(a.Data), &w.Data[n*k], k, groups, &c[n-n0], &w.Comp[n])
	}
	for ; n < n1; n++ {
		for r := range a.Rows {
			dotS8(&a.Data[r*a.Stride], &w.Data[n*k], k, &c[r*ldc+n-n0], &w.Comp[n])
		}
	}
}

// stripes is how many places stripesS8 reads at, by turns.
const stripes = 4

// stripesS8 by rows.
var stripesS8 = [...]func(a *uint8, lda int, b *int8, k int, stripe int, n int, c *int32, ldc int, add *int32){
	1: stripesS8_1, stripesS8_2, stripesS8_3, stripesS8_4, stripesS8_5, stripesS8_6,
}

// productsInStripes is productsAVX512 for processors that foresee no further than a
// page, but in several at once: it cuts the columns in stripes and reads a line of each
// by turns.
func productsInStripes(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	k, stripe := w.K, (n1-n0)/stripes
	if a.Rows >= len(stripesS8) || stripe*k == 0 {
		productsAVX512(c, ldc, a, w, n0, n1, next)
		return
	}
	most := max(streamBytes/(stripes*k), 1)
	for i := 0; i < stripe; i += most {
		stripesS8[a.Rows](ptr(a.Data), a.Stride, &w.Data[(n0+i)*k], k, stripe, min(most, stripe-i), &c[i], 4*ldc, &w.Comp[n0+i])
	}
	if rest := stripes * stripe; n0+rest < n1 {
		productsAVX512(c[rest:], ldc, a, w, n0+rest, n1, next)
	}
}
