package kernels

// cachedBytes is how much of the rows of activations stays in the first cache
// while weights pass through it.
const cachedBytes = 16 << 10

// productsAVX512 multiplies straight from the stored weights.
func productsAVX512(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	switch {
	case w.K == 0:
		productsGeneric(c, ldc, a, w, n0, n1, next)
	case a.Rows < len(streams) && (a.Rows < lowestTile || a.Rows*w.K <= cachedBytes):
		streamAVX512(c, ldc, a, w, n0, n1)
	default:
		tilesAVX512(c, ldc, a, w, n0, n1, next)
	}
}

// streams by rows. Few rows cost so little that memory is all that counts.
var streams = [...]func(a *uint8, lda int, b *int8, k int, n int, c *int32, ldc int, add *int32){1: streamS8_1, streamS8_2, streamS8_3, streamS8_4}

// streamBytes is how much one call of a stream reads: assembly can't be
// preempted, and should not hold up a garbage collection.
const streamBytes = 128 << 10

// streamAVX512 multiplies few rows by columns n0..n1, one column after the other.
func streamAVX512(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int) {
	most, k, n := max(streamBytes/(4*w.K), 1), w.K, n0
	for groups := 0; n+4 <= n1; n += 4 * groups {
		groups = min((n1-n)/4, most)
		streams[a.Rows](ptr(a.Data), a.Stride, &w.Data[n*k], k, groups, &c[n-n0], 4*ldc, &w.Comp[n])
	}
	productsTail(c, ldc, a, w, n0, n, n1)
}

// productsTail computes the last columns n..n1 one at a time.
func productsTail(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n, n1 int) {
	for ; n < n1; n++ {
		for r := range a.Rows {
			dotS8_1x1(&a.Data[r*a.Stride], 0, &w.Data[n*w.K], 0, w.K, &c[r*ldc+n-n0], 0, &w.Comp[n], 0)
		}
	}
}

// tilesS8 are the products of rows, by rows, and some columns, while what lies at
// pf is fetched.
var tilesS8 = [...]struct {
	fn      func(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int, add *int32, pf uintptr)
	columns int
}{lowestTile: {dotS8_3x4, 4}, {dotS8_4x4, 4}, {dotS8_5x4, 4}, {dotS8_6x4, 4}, {dotS8_7x3, 3}, {dotS8_8x3, 3}}

const lowestTile = 3

// tilesAVX512 multiplies the rows of a by columns n0..n1.
func tilesAVX512(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1 int, next uintptr) {
	k, tile := w.K, tilesS8[a.Rows]
	n := n0
	for ; n+tile.columns <= n1; n += tile.columns {
		tile.fn(&a.Data[0], a.Stride, &w.Data[n*k], k, k, &c[n-n0], 4*ldc, &w.Comp[n], w.ahead(n+lookAhead(tile.columns, k), n1, next))
	}
	productsTail(c, ldc, a, w, n0, n, n1)
}

// lookAhead is how many columns ahead of a tile memory is fetched: as many tiles
// as have some KiB, which take about as long as memory does to answer.
func lookAhead(nr, k int) int {
	const least = 6 << 10
	return nr * ((least + nr*k - 1) / (nr * k))
}
