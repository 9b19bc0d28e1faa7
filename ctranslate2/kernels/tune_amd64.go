package kernels

import "math"

// A design is of processors for which the same kernels are the fastest.
type design int

const (
	intel design = iota // or another maker's
	zen4                // AMD's with AVX-512 before Zen 5
	zen5
)

// thisDesign is that of the processor.
func thisDesign() design {
	_, b, c, d := cpuid(0)
	if b != 0x68747541 || d != 0x69746e65 || c != 0x444d4163 { // AuthenticAMD
		return intel
	}
	if signature, _, _, _ := cpuid(1); signature>>20&0xff < zen5Family-baseFamily {
		return zen4
	}
	return zen5
}

// Families as processors' signatures have them: the base is 15, and what is beyond it a
// field of its own.
const baseFamily, zen5Family = 15, 26

// tuneAVX512 chooses what is faster on a design's processors. AMD's add in more places than
// they multiply in, and foresee what is read in the order of its addresses, though Zen 5
// less than its memory can give; Intel's foresee no further than a page of 4 KiB, but in
// several at once.
func tuneAVX512(d design) {
	amd := d != intel
	avx512Coarse.pairsPay, fetchInStripes, quads = amd, !amd, quadRules[d]
	if amd {
		avx512S8.products, avx512S8.directRows, avx512Coarse.dots = productsAVX512, 1, coarseDots.products
		avx512S8.prepare, avx512S8.blocked = nil, blockedAVX512
	} else {
		avx512S8.products, avx512S8.directRows, avx512Coarse.dots = productsInStripes, len(stripesS8)-1, coarseDotsFetched
		avx512S8.prepare, avx512S8.blocked = prepareLanes, blockedInLanes
	}
	if d == zen5 {
		avx512Coarse.dots = coarseDotsFar.products
	}
}

// fetchInStripes says that columns of several rows are fetched in stripes, too.
var fetchInStripes bool

// A quadRule says which products of some rows are faster by quadsS8 than by columnsS8,
// which moves the weights' bytes before it multiplies them: Intel's processors do both in the
// same places.
type quadRule struct {
	least int // rows, if they are no more than mostColumnRows
	most  int // bytes of rows, which quadsS8 reads again for every four columns
}

var (
	quads     quadRule
	quadRules = [...]quadRule{intel: {7, math.MaxInt}, zen4: {}, zen5: {10, 24 << 10}}
)

// pay reports whether products of some rows with k inputs are faster by quadsS8.
func (q *quadRule) pay(rows, k int) bool { return rows >= q.least && rows*k <= q.most }
