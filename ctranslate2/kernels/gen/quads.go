package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// mostQuadRows is how many rows are multiplied by four columns at a time, at most.
const mostQuadRows = 16

// quadsS8 generates c[i][j] = Σ a[i][k]·b[j][k] + add[j] for mr rows of bytes and 4·n
// columns of k weights that lie one behind the other, four at a time: they stay in the
// first cache while the rows pass, some at a time, so that no weights need transposing.
// ldc is 128. Meanwhile as many columns are fetched from four places, step bytes
// apart, at pf. The last k%64 bytes of a column are read with a mask; rows of a must be
// readable up to the next multiple of 64.
func quadsS8(mr int) {
	name := fmt.Sprintf("quadsS8_%d", mr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, b *int8, k int, n int, c *int32, add *int32, pf uintptr, step int)")
	Pragma("noescape")
	q := &quad{lda: gp("lda"), k: gp("k"), mask: lowMask(restOf("k")), acc: zeros(4 * mostStripeRows)}
	q.lda3, q.k3 = GP64(), GP64()
	LEAQ(mem{Base: q.lda, Index: q.lda, Scale: 2}, q.lda3)
	LEAQ(mem{Base: q.k, Index: q.k, Scale: 2}, q.k3)
	Label(name + "_quad")
	passes := (mr + mostStripeRows - 1) / mostStripeRows
	fetched := 0 // places; the first pass, which waits for its columns, takes the most
	for p := range passes {
		places := (4 - fetched + passes - p - 1) / (passes - p)
		q.pass(fmt.Sprintf("%s_%d", name, p), mr*p/passes, mr*(p+1)/passes, fetched, fetched+places)
		fetched += places
	}
	ADDQ(q.k, param("b"))
	ADDQ(q.k3, param("b"))
	ADDQ(q.k, param("pf"))
	ADDQ(imm(16), param("c"))
	ADDQ(imm(16), param("add"))
	DECQ(param("n"))
	JNZ(label(name + "_quad"))
	VZEROUPPER()
	RET()
}

// quad is a product of four columns.
type quad struct {
	lda, lda3, k, k3 reg.GPVirtual
	mask             reg.OpmaskVirtual
	acc              []reg.VecVirtual // [rows][4], the same ones for each pass
}

// pass multiplies rows from..to, and fetches from some of the places.
func (q *quad) pass(name string, from, to, place, places int) {
	a, a5, pf := GP64(), GP64(), gp("pf")
	IMUL3Q(operand.I32(from), q.lda, a)
	ADDQ(param("a"), a)
	LEAQ(mem{Base: a, Index: q.lda, Scale: 4}, a5)
	ADDQ(q.lda, a5)
	as := stridedRows{[]reg.GPVirtual{a, a5}, q.lda, q.lda3}
	bs := stridedRows{[]reg.GPVirtual{gp("b")}, q.k, q.k3}
	var fetched []reg.GPVirtual
	for i := range places {
		if i >= place {
			r := GP64()
			MOVQ(pf, r)
			fetched = append(fetched, r)
		}
		ADDQ(param("step"), pf)
	}
	acc, lines := q.acc[:4*(to-from)], gp("k")
	for _, z := range acc {
		VPXORD(z, z, z)
	}
	SHRQ(imm(6), lines)
	JZ(label(name + "_tail"))
	Label(name + "_line")
	for _, r := range fetched {
		PREFETCHT1(mem{Base: r})
		ADDQ(imm(64), r)
	}
	fourColumns(as, bs, acc, to-from, nil, 0)
	as.advance(64)
	bs.advance(64)
	DECQ(lines)
	JNZ(label(name + "_line"))
	Label(name + "_tail")
	TESTQ(operand.I32(63), param("k"))
	JZ(label(name + "_done"))
	fourColumns(as, bs, acc, to-from, &q.mask, 0)
	Label(name + "_done")
	q.store(acc, from)
}

// store adds what there is to add to the sums and stores them.
func (q *quad) store(acc []reg.VecVirtual, row int) {
	add, c := XMM(), gp("c")
	VMOVDQU32(mem{Base: gp("add")}, add)
	int32Lanes.sums(acc, func(x reg.VecVirtual, first, _ int) {
		VPADDD(add, x.AsX(), x.AsX())
		VMOVDQU32(x.AsX(), mem{Base: c, Disp: 128 * (row + first/4)})
	})
}
