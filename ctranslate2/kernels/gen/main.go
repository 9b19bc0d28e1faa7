// Command gen writes the assembly of package kernels for amd64.
package main

import (
	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

func main() {
	ConstraintExpr("amd64")
	spinPause()
	fetch()
	dotS8()
	streamS8()
	for m := 1; m <= mostStripeRows; m++ {
		stripesS8(m)
	}
	for m := 1; m <= mostSparseRows; m++ {
		nonzerosS8(m)
		sparseS8(m)
	}
	pack16()
	coarseErrors()
	coarseLevels()
	coarseMerge()
	for m := 1; m <= mostLevelRows; m++ {
		coarseDots(m, inOrder)
		coarseDots(m, inQuarters)
		if m <= mostFarRows {
			coarseDots(m, farAhead)
		}
		if m >= leastHalvesRows {
			coarseDots(m, inHalves)
		}
	}
	for m := 1; m <= mostPairRows; m++ {
		coarsePairs(m)
	}
	cpuid()
	coarseReaching(false)
	coarseReaching(true)
	for m := leastColumnRows; m <= mostColumnRows; m++ {
		columnsS8(m)
	}
	for m := 1; m <= panelRows; m++ {
		packColumnsS8(m)
	}
	panelS8()
	for m := 1; m <= mostQuadRows; m++ {
		quadsS8(m)
	}
	for _, fetched := range []int{2, 4} {
		lanesS8(true, fetched)
	}
	for _, fetched := range []int{0, 2} {
		lanesS8(false, fetched)
	}
	for m := 1; m <= 2; m++ {
		tileProducts(m)
		tilePanel(m)
		coarseTiles(m)
	}
	packTiles()
	tilePeak()
	quantize()
	dequantize()
	dequantizeTile()
	for _, t := range ntTiles {
		dotF32(t[0], t[1])
	}
	for _, m := range []int{1, 4} {
		nnTile(m)
	}
	dotAt()
	weightedAt()
	norms()
	scans()
	exponentials()
	small()
	readMemory()
	readStripes()
	peakS8()
	Generate()
}

type mem = operand.Mem

// imm is an immediate operand.
func imm(n int) operand.Op { return operand.Imm(uint64(n)) }

// at moves a memory operand by some bytes.
func at(m mem, bytes int) mem { m.Disp += bytes; return m }

// gp loads a parameter into a register.
func gp(name string) reg.GPVirtual { return Load(Param(name), GP64()).(reg.GPVirtual) }

// param returns the address of a parameter.
func param(name string) mem { return args.Param(name) }

// rows addresses rows of a matrix: bases at rows 0, 3, 6, … and one stride.
type rows struct {
	bases  []reg.GPVirtual
	stride reg.GPVirtual
}

func newRows(first, stride reg.GPVirtual, n int) rows {
	r := rows{[]reg.GPVirtual{first}, stride}
	for i := 3; i < n; i += 3 {
		next := GP64()
		LEAQ(mem{Base: r.bases[len(r.bases)-1], Index: stride, Scale: 2}, next)
		ADDQ(stride, next)
		r.bases = append(r.bases, next)
	}
	return r
}

// row returns the address of row i.
func (r rows) row(i int) mem {
	m := mem{Base: r.bases[i/3]}
	if i%3 > 0 {
		m.Index, m.Scale = r.stride, uint8(i%3)
	}
	return m
}

// advance moves all rows by some bytes.
func (r rows) advance(bytes int) {
	for _, b := range r.bases {
		ADDQ(operand.I32(bytes), b)
	}
}

// stridedRows addresses rows of a matrix by fewer bases: at rows 0, 5, 10, …, with
// one and three strides.
type stridedRows struct {
	bases           []reg.GPVirtual
	stride, stride3 reg.GPVirtual
}

func newStridedRows(first, stride reg.GPVirtual, n int) stridedRows {
	r := stridedRows{[]reg.GPVirtual{first}, stride, GP64()}
	LEAQ(mem{Base: stride, Index: stride, Scale: 2}, r.stride3)
	for i := 5; i < n; i += 5 {
		next := GP64()
		LEAQ(mem{Base: r.bases[len(r.bases)-1], Index: stride, Scale: 4}, next)
		ADDQ(stride, next)
		r.bases = append(r.bases, next)
	}
	return r
}

// row returns the address of row i.
func (r stridedRows) row(i int) mem {
	m := mem{Base: r.bases[i/5]}
	switch i % 5 {
	case 1, 2, 4:
		m.Index, m.Scale = r.stride, uint8(i%5)
	case 3:
		m.Index, m.Scale = r.stride3, 1
	}
	return m
}

// advance moves all rows by some bytes.
func (r stridedRows) advance(bytes int) {
	for _, b := range r.bases {
		ADDQ(operand.I32(bytes), b)
	}
}

// zeros returns n cleared vectors.
func zeros(n int) []reg.VecVirtual {
	z := make([]reg.VecVirtual, n)
	for i := range z {
		z[i] = ZMM()
		VPXORD(z[i], z[i], z[i])
	}
	return z
}

// lowMask sets a mask for the low n lanes, n < 64 in a register.
func lowMask(n reg.GPVirtual) reg.OpmaskVirtual {
	bits, k := GP64(), K()
	MOVQ(operand.I32(-1), bits)
	BZHIQ(n, bits, bits)
	KMOVQ(bits, k)
	return k
}

// label returns a reference to a label.
func label(name string) operand.Op { return operand.LabelRef(name) }

// spinPause waits for a moment.
func spinPause() {
	TEXT("spinPause", NOSPLIT, "func()")
	PAUSE()
	PAUSE()
	RET()
}

// fetch asks for the lines of n bytes.
func fetch() {
	TEXT("fetch", NOSPLIT, "func(p *byte, n int)")
	Pragma("noescape")
	p, n := gp("p"), gp("n")
	Label("fetch_line")
	PREFETCHT0(mem{Base: p})
	ADDQ(imm(64), p)
	SUBQ(imm(64), n)
	JG(label("fetch_line"))
	RET()
}

// lanes is how the lanes of several vectors are summed: by int32 or float32.
type lanes struct {
	add func(a, b, dst operand.Op)
}

var (
	int32Lanes   = lanes{func(a, b, dst operand.Op) { VPADDD(a, b, dst) }}
	float32Lanes = lanes{func(a, b, dst operand.Op) { VADDPS(a, b, dst) }}
)

// quad leaves in each 128-bit lane of a the sums of that lane of a, b, c, d.
func (l lanes) quad(a, b, c, d reg.VecVirtual) {
	l.unpackDQ(a, b)
	l.unpackDQ(c, d)
	t := ZMM()
	VPUNPCKLQDQ(c, a, t)
	VPUNPCKHQDQ(c, a, a)
	l.add(t, a, a)
}

func (l lanes) unpackDQ(a, b reg.VecVirtual) {
	t := ZMM()
	VPUNPCKLDQ(b, a, t)
	VPUNPCKHDQ(b, a, a)
	l.add(t, a, a)
}

// fold adds the four 128-bit lanes of q: the sums of a quad in its low lane.
func (l lanes) fold(q reg.VecVirtual) {
	y := YMM()
	VEXTRACTI64X4(imm(1), q, y)
	l.add(y, q.AsY(), q.AsY())
	x := XMM()
	VEXTRACTI32X4(imm(1), q.AsY(), x)
	l.add(x, q.AsX(), q.AsX())
}

// sums reduces accumulators in groups of four and hands each group's low lane
// to store, with the index of its first accumulator and how many count.
func (l lanes) sums(acc []reg.VecVirtual, store func(x reg.VecVirtual, first, n int)) {
	for i := 0; i < len(acc); i += 4 {
		n := min(4, len(acc)-i)
		var q [4]reg.VecVirtual
		for j := range q {
			if j < n {
				q[j] = acc[i+j]
				continue
			}
			q[j] = ZMM() // its sum is not used
			VMOVDQA64(acc[i], q[j])
		}
		l.quad(q[0], q[1], q[2], q[3])
		l.fold(q[0])
		store(q[0], i, n)
	}
}

// storeLanes writes the low n dwords of x to m.
func storeLanes(x reg.VecVirtual, n int, m mem) {
	switch n {
	case 4:
		VMOVDQU32(x.AsX(), m)
	case 3:
		VMOVQ(x.AsX(), m)
		VPEXTRD(imm(2), x.AsX(), at(m, 8))
	case 2:
		VMOVQ(x.AsX(), m)
	default:
		VMOVD(x.AsX(), m)
	}
}
