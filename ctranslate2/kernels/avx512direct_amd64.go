package kernels

import "unsafe"

// cachedBytes is how much of the rows of activations stays in the first cache
// while weights pass through it.
const cachedBytes = 16 << 10

// productsAVX512 multiplies straight from the stored weights.
func productsAVX512(c []int32, ldc int, a QuantizedRows, w *S8Weights, n0, n1, next int) {
	switch {
	case w.K == 0:
		productsGeneric(c, ldc, a, w, n0, n1, next)
	case a.Rows < len(streams) && (a.Rows < lowestTile || a.Rows*w.K <= cachedBytes):
		streamAVX512(c, ldc, a, w, n0, n1)
	default:
		tilesAVX512(c, ldc, a, a.Rows, w, n0, n1, next)
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
			dotS8_1x1Again(&a.Data[r*a.Stride], 0, &w.Data[n*w.K], 0, w.K, &c[r*ldc+n-n0], 0, &w.Comp[n], 0)
		}
	}
}

// tileS8 is a product of a block of rows and some columns. It fetches what lies
// at pf, unless it is one for a second block, whose columns are in the cache.
type tileS8 func(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int, add *int32, pf uintptr)

// tilesS8 are the tiles of a first block by rows, and their columns.
var tilesS8 = [...]struct {
	fn      tileS8
	columns int
}{lowestTile: {dotS8_3x4, 4}, {dotS8_4x4, 4}, {dotS8_5x4, 4}, {dotS8_6x4, 4}, {dotS8_7x3, 3}, {dotS8_8x3, 3}}

const lowestTile = 3

// tilesAgain are those of a second block, which may be lower by one, by columns.
var tilesAgain = [...][9]tileS8{
	3: {6: dotS8_6x3Again, 7: dotS8_7x3Again, 8: dotS8_8x3Again},
	4: {4: dotS8_4x4Again, 5: dotS8_5x4Again, 6: dotS8_6x4Again},
}

// tilesAVX512 multiplies the rows of a, the first height of them and the rest,
// by columns n0..n1. Both take their turn at a tile's columns, so that these are
// read from memory once.
func tilesAVX512(c []int32, ldc int, a QuantizedRows, height int, w *S8Weights, n0, n1, next int) {
	k, nr := w.K, tilesS8[height].columns
	n := n0
	for ; n+nr <= n1; n += nr {
		weights, comp := &w.Data[n*k], &w.Comp[n]
		tilesS8[height].fn(&a.Data[0], a.Stride, weights, k, k, &c[n-n0], 4*ldc, comp, w.ahead(n+lookAhead(nr, k), n1, next))
		if rest := a.Rows - height; rest > 0 {
			tilesAgain[nr][rest](&a.Data[height*a.Stride], a.Stride, weights, k, k, &c[height*ldc+n-n0], 4*ldc, comp, 0)
		}
	}
	productsTail(c, ldc, a, w, n0, n, n1)
}

// lookAhead is how many columns ahead of a tile memory is fetched: as many tiles
// as have some KiB, which take about as long as memory does to answer.
func lookAhead(nr, k int) int {
	const least = 6 << 10
	return nr * ((least + nr*k - 1) / (nr * k))
}

// ahead is the address to prefetch: column n, or one of the next chunk's if n is
// beyond this one's last. It is no pointer: it may lie past the end.
func (w *S8Weights) ahead(n, n1, next int) uintptr {
	if n >= n1 {
		n = max(next, 0) + n - n1
	}
	return uintptr(unsafe.Pointer(ptr(w.Data))) + uintptr(n*w.K)
}
