package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// dotTiles are rows × columns of the products straight from stored weights.
var dotTiles = [][2]int{{1, 1}, {3, 4}, {4, 4}, {5, 4}, {6, 4}, {7, 3}, {8, 3}}

// dotS8 generates c[i][j] = Σ a[i][k]·b[j][k] + add[j] for mr rows of bytes and
// nr rows of weights. Strides are in bytes. The last k%64 bytes of b are read
// with a mask; a must be readable up to the next multiple of 64. Meanwhile, for
// each 64 of k, nr lines at pf are fetched, unless there is one column alone.
func dotS8(mr, nr int) {
	name := fmt.Sprintf("dotS8_%dx%d", mr, nr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, b *int8, ldb int, k int, c *int32, ldc int, add *int32, pf uintptr)")
	Pragma("noescape")
	a, b := gp("a"), gp("b")
	var lda, ldb reg.GPVirtual
	if mr > 1 {
		lda = gp("lda")
	}
	var pf []reg.GPVirtual
	if nr > 1 {
		ldb, pf = gp("ldb"), append(pf, gp("pf"))
	}
	as, bs := newRows(a, lda, mr), newRows(b, ldb, nr)
	k := gp("k")
	acc := zeros(mr * nr)
	n := GP64()
	MOVQ(k, n)
	SHRQ(imm(6), n)
	JZ(label(name + "_tail"))
	Label(name + "_loop")
	dotStep(as, bs, acc, mr, nr, nil, pf)
	as.advance(64)
	bs.advance(64)
	for _, pf := range pf {
		ADDQ(operand.I32(64*nr), pf)
	}
	DECQ(n)
	JNZ(label(name + "_loop"))
	Label(name + "_tail")
	ANDQ(imm(63), k)
	JZ(label(name + "_done"))
	mask := lowMask(k)
	dotStep(as, bs, acc, mr, nr, &mask, nil)
	Label(name + "_done")
	c, add := gp("c"), gp("add")
	var ldc reg.GPVirtual
	if mr > 1 {
		ldc = gp("ldc")
	}
	for i := 0; i < mr; i++ {
		int32Lanes.sums(acc[i*nr:(i+1)*nr], func(x reg.VecVirtual, first, n int) {
			addLanes(x, n, mem{Base: add, Disp: 4 * first})
			storeLanes(x, n, mem{Base: c, Disp: 4 * first})
		})
		if i < mr-1 {
			ADDQ(ldc, c)
		}
	}
	VZEROUPPER()
	RET()
}

// addLanes adds n dwords at m to the low lanes of x.
func addLanes(x reg.VecVirtual, n int, m mem) {
	t := XMM()
	switch n {
	case 4:
		VPADDD(m, x.AsX(), x.AsX())
		return
	case 3:
		VMOVQ(m, t)
		VPINSRD(imm(2), at(m, 8), t, t)
	case 2:
		VMOVQ(m, t)
	default:
		VMOVD(m, t)
	}
	VPADDD(t, x.AsX(), x.AsX())
}

// dotStep multiplies 64 bytes of every row, or what mask leaves of them, and
// fetches nr lines at pf if there is one.
func dotStep(as, bs rows, acc []reg.VecVirtual, mr, nr int, mask *reg.OpmaskVirtual, pf []reg.GPVirtual) {
	loadB := func(j int) reg.VecVirtual {
		v := ZMM()
		if mask != nil {
			VMOVDQU8_Z(bs.row(j), *mask, v)
		} else {
			VMOVDQU8(bs.row(j), v)
		}
		for _, pf := range pf {
			PREFETCHT1(mem{Base: pf, Disp: 64 * j})
		}
		return v
	}
	loadA := func(i int) reg.VecVirtual {
		v := ZMM()
		VMOVDQU8(as.row(i), v)
		return v
	}
	if mr <= nr {
		rows := make([]reg.VecVirtual, mr)
		for i := range rows {
			rows[i] = loadA(i)
		}
		for j := 0; j < nr; j++ {
			v := loadB(j)
			for i := range rows {
				VPDPBUSD(v, rows[i], acc[i*nr+j])
			}
		}
		return
	}
	columns := make([]reg.VecVirtual, nr)
	for j := range columns {
		columns[j] = loadB(j)
	}
	for i := 0; i < mr; i++ {
		v := loadA(i)
		for j := range columns {
			VPDPBUSD(columns[j], v, acc[i*nr+j])
		}
	}
}

// streamRows is the most rows that the columns of weights stream past one by one.
const streamRows = 4

// streamS8 generates c[i][j] = Σ a[i][k]·b[j][k] + add[j] for mr rows of bytes
// and 4·n columns of k weights that lie one behind the other. They are read in
// the order of their addresses, as processors foresee best. The last k%64 bytes
// of a column are read with a mask; a must be readable up to the next multiple
// of 64.
func streamS8(mr int) {
	name := fmt.Sprintf("streamS8_%d", mr)
	TEXT(name, NOSPLIT, "func(a *uint8, lda int, b *int8, k int, n int, c *int32, ldc int, add *int32)")
	Pragma("noescape")
	as := []reg.GPVirtual{gp("a")}
	for i := 1; i < mr; i++ {
		next, lda := GP64(), gp("lda")
		LEAQ(mem{Base: as[i-1], Index: lda, Scale: 1}, next)
		as = append(as, next)
	}
	b, k, n, c, add := gp("b"), gp("k"), gp("n"), gp("c"), gp("add")
	rest, mask := GP64(), K()
	MOVQ(k, rest)
	ANDQ(imm(63), rest)
	bits := GP64()
	MOVQ(operand.I32(-1), bits)
	BZHIQ(rest, bits, bits)
	KMOVQ(bits, mask)
	Label(name + "_columns")
	acc := zeros(4 * mr)
	for j := 0; j < 4; j++ {
		streamColumn(fmt.Sprintf("%s_%d", name, j), as, b, k, rest, mask, func(i int) reg.VecVirtual { return acc[4*i+j] })
		ADDQ(k, b)
	}
	row := GP64()
	MOVQ(c, row)
	for i := 0; i < mr; i++ {
		int32Lanes.sums(acc[4*i:4*i+4], func(x reg.VecVirtual, _, _ int) {
			VPADDD(mem{Base: add}, x.AsX(), x.AsX())
			VMOVDQU32(x.AsX(), mem{Base: row})
		})
		if i < mr-1 {
			ADDQ(param("ldc"), row)
		}
	}
	ADDQ(imm(16), c)
	ADDQ(imm(16), add)
	DECQ(n)
	JNZ(label(name + "_columns"))
	VZEROUPPER()
	RET()
}

// streamAhead is how far ahead of a stream memory is fetched, in bytes.
const streamAhead = 4096

// streamColumn adds a column's products with every row to acc. Rows are few, so
// that odd lines have sums of their own, lest each wait for the one before.
func streamColumn(name string, as []reg.GPVirtual, b, k, rest reg.GPVirtual, mask reg.OpmaskVirtual, acc func(i int) reg.VecVirtual) {
	var odd []reg.VecVirtual
	if len(as) < 3 {
		odd = zeros(len(as))
	}
	at, blocks := GP64(), GP64()
	line := func(u int) {
		v := ZMM()
		VMOVDQU8(mem{Base: b, Index: at, Scale: 1, Disp: 64 * u}, v)
		PREFETCHT1(mem{Base: b, Index: at, Scale: 1, Disp: 64*u + streamAhead})
		for i, a := range as {
			x, sum := ZMM(), acc(i)
			if u%2 > 0 && odd != nil {
				sum = odd[i]
			}
			VMOVDQU8(mem{Base: a, Index: at, Scale: 1, Disp: 64 * u}, x)
			VPDPBUSD(v, x, sum)
		}
	}
	XORQ(at, at)
	MOVQ(k, blocks)
	SHRQ(imm(8), blocks)
	JZ(label(name + "_lines"))
	Label(name + "_block")
	for u := 0; u < 4; u++ {
		line(u)
	}
	ADDQ(operand.I32(256), at)
	DECQ(blocks)
	JNZ(label(name + "_block"))
	Label(name + "_lines")
	end := GP64()
	MOVQ(k, end)
	SUBQ(rest, end)
	Label(name + "_line")
	CMPQ(at, end)
	JGE(label(name + "_tail"))
	line(0)
	ADDQ(imm(64), at)
	JMP(label(name + "_line"))
	Label(name + "_tail")
	TESTQ(rest, rest)
	JZ(label(name + "_done"))
	v := ZMM()
	VMOVDQU8_Z(mem{Base: b, Index: at, Scale: 1}, mask, v)
	for i, a := range as {
		x := ZMM()
		VMOVDQU8(mem{Base: a, Index: at, Scale: 1}, x)
		VPDPBUSD(v, x, acc(i))
	}
	Label(name + "_done")
	for i := range odd {
		VPADDD(odd[i], acc(i), acc(i))
	}
}
