package kernels

// streamBytes is how much one call of streamS8 reads: assembly can't be preempted,
// and should not hold up a garbage collection.
const streamBytes = 128 << 10

// productsAVX512 multiplies straight from the stored weights, one column after the
// other. It is made for a single row.
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
