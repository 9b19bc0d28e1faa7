package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"github.com/sematech/sema/ctranslate2/kernels/gen/args"
)

// dotTiles are rows × columns of products of two row-major matrices.
var dotTiles = [][2]int{{1, 8}, {1, 4}, {1, 1}, {2, 4}, {3, 4}}

// rows addresses rows of a matrix: a base for each two rows and one stride.
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

// dot generates c[i][j] = alpha·Σ a[i][k]·b[j][k]. Strides are in bytes, k in
// elements. An element is summed in 8 lanes and these in one fixed order, so
// that all tiles agree. Meanwhile the 4·nr·k bytes at pf are fetched.
func dot(mr, nr int) {
	name := fmt.Sprintf("avx2Dot%dx%d", mr, nr)
	text(name, "func(a *float32, lda int, b *float32, ldb int, k int, c *float32, ldc int, alpha float32, pf uintptr)")
	a, b, pf, k := gp("a"), gp("b"), gp("pf"), gp("k")
	as, bs := rows{bases: []reg.GPVirtual{a}}, rows{bases: []reg.GPVirtual{b}}
	if mr > 1 {
		as = newRows(a, gp("lda"), mr)
	}
	if nr > 1 {
		bs = newRows(b, gp("ldb"), nr)
	}
	acc := zeros(mr * nr)
	step := func(mask *reg.VecVirtual) {
		if mask != nil { // few registers are left: a is read again for each column
			for j := range nr {
				v := loadPS(bs.row(j), mask)
				for i := range mr {
					VFMADD231PS(loadPS(as.row(i), mask), v, acc[i*nr+j])
				}
			}
			return
		}
		var ra []reg.VecVirtual
		for i := range mr {
			ra = append(ra, loadPS(as.row(i), nil))
		}
		for j := range nr {
			if mr == 1 {
				VFMADD231PS(bs.row(j), ra[0], acc[j])
				continue
			}
			v := loadPS(bs.row(j), nil)
			for i := range ra {
				VFMADD231PS(v, ra[i], acc[i*nr+j])
			}
		}
		for j := 0; j < nr; j += 2 { // 32 bytes a row: a line for two
			PREFETCHT1(mem{Base: pf, Disp: 32 * j})
		}
	}
	loop8(name, k, step, func() {
		spread(32, as.bases...)
		spread(32, bs.bases...)
		spread(32*nr, pf)
	})
	storeDots(acc, mr, nr)
	end()
}

func storeDots(acc []reg.VecVirtual, mr, nr int) {
	c, ldc := gp("c"), GP64()
	if mr > 1 {
		Load(Param("ldc"), ldc)
	}
	for i := range mr {
		row := acc[i*nr : (i+1)*nr]
		for j := 0; j < nr; j += 4 {
			group := row[j:min(j+4, nr)]
			fold(group)
			alpha := XMM()
			VBROADCASTSS(args.Param("alpha"), alpha)
			VMULPS(alpha, group[0].AsX(), alpha)
			if len(group) == 4 {
				VMOVUPS(alpha, mem{Base: c, Disp: 4 * j})
			} else {
				VMOVSS(alpha, mem{Base: c, Disp: 4 * j})
			}
		}
		if i < mr-1 {
			ADDQ(ldc, c)
		}
	}
}

// fold sums each vector of a group of four, or one, into the low lanes of the
// first.
func fold(group []reg.VecVirtual) {
	a := group[0]
	if len(group) == 4 {
		VHADDPS(group[1], a, a)
		VHADDPS(group[3], group[2], group[2])
		VHADDPS(group[2], a, a)
	} else {
		VHADDPS(a, a, a)
		VHADDPS(a, a, a)
	}
	high := XMM()
	VEXTRACTF128(imm(1), a, high)
	VADDPS(high, a.AsX(), a.AsX())
}

// columns runs block for each v vectors of n columns, then for each single one
// and for the rest under a mask. It moves the pointers.
func columns(name string, n reg.GPVirtual, v int, block func(v int, mask *reg.VecVirtual, suffix string), pointers ...reg.GPVirtual) {
	part := func(v int, suffix, next string) {
		Label(name + suffix)
		CMPQ(n, imm(8*v))
		JLT(label(name + next))
		block(v, nil, suffix+"Block")
		spread(32*v, pointers...)
		SUBQ(operand.I32(8*v), n)
		JMP(label(name + suffix))
	}
	part(v, "_wide", "_narrow")
	part(1, "_narrow", "_rest")
	Label(name + "_rest")
	TESTQ(n, n)
	JZ(label(name + "_end"))
	mask := tailMask(n)
	block(1, &mask, "_restBlock")
	Label(name + "_end")
	end()
}

// gemmNN generates dst[i][:n] (+)= Σ a[i][t]·b[t][:n] for mr rows. The sum over
// t is in order. Strides are in bytes.
func gemmNN(mr int) {
	name := fmt.Sprintf("avx2NN%d", mr)
	text(name, "func(dst *float32, ldd int, a *float32, lda int, b *float32, ldb int, n int, k int, accumulate int)")
	n, dst, b := gp("n"), gp("dst"), gp("b")
	block := func(v int, mask *reg.VecVirtual, suffix string) {
		d := GP64()
		MOVQ(dst, d)
		ds := newRows(d, gp("ldd"), mr)
		acc := zeros(mr * v)
		flag := gp("accumulate")
		TESTQ(flag, flag)
		JZ(label(name + suffix + "_fresh"))
		for i := range mr {
			for j := range v {
				m := ds.row(i)
				m.Disp = 32 * j
				if mask != nil {
					VMASKMOVPS(m, *mask, acc[i*v+j])
				} else {
					VMOVUPS(m, acc[i*v+j])
				}
			}
		}
		Label(name + suffix + "_fresh")
		as, ldb, t, p := newRows(gp("a"), gp("lda"), mr), gp("ldb"), gp("k"), GP64()
		MOVQ(b, p)
		TESTQ(t, t)
		JZ(label(name + suffix + "_done"))
		Label(name + suffix + "_loop")
		w := make([]reg.VecVirtual, mr)
		for i := range w {
			w[i] = YMM()
			VBROADCASTSS(as.row(i), w[i])
		}
		for j := range v {
			x := loadPS(mem{Base: p, Disp: 32 * j}, mask)
			for i := range w {
				VFMADD231PS(x, w[i], acc[i*v+j])
			}
		}
		ADDQ(ldb, p)
		spread(4, as.bases...)
		DECQ(t)
		JNZ(label(name + suffix + "_loop"))
		Label(name + suffix + "_done")
		for i := range mr {
			for j := range v {
				m := ds.row(i)
				m.Disp = 32 * j
				storePS(acc[i*v+j], m, mask)
			}
		}
	}
	columns(name, n, 8/mr, block, dst, b)
}

// dotAt generates dst[i] = alpha·q·row for the count rows at the offsets off, four at a
// time or one, as dot does: the sums are the same. Of each row what lies ahead bytes
// behind it is fetched.
func dotAt(rows int) {
	name := fmt.Sprintf("avx2DotAt%d", rows)
	text(name, "func(dst *float32, q *float32, n int, base *float32, off *int32, count int, alpha float32, ahead int)")
	dst, base, off, count, ahead, alpha := gp("dst"), gp("base"), gp("off"), gp("count"), gp("ahead"), XMM()
	VBROADCASTSS(args.Param("alpha"), alpha)
	Label(name + "_rows")
	ps := make([]reg.GPVirtual, rows)
	for i := range ps {
		ps[i] = GP64()
		MOVLQSX(mem{Base: off, Disp: 4 * i}, ps[i])
		LEAQ(mem{Base: base, Index: ps[i], Scale: 4}, ps[i])
	}
	acc, q, n := zeros(rows), gp("q"), gp("n")
	loop8(name, n, func(mask *reg.VecVirtual) {
		v := loadPS(mem{Base: q}, mask)
		for i, p := range ps {
			VFMADD231PS(loadPS(mem{Base: p}, mask), v, acc[i])
			PREFETCHT1(mem{Base: p, Index: ahead, Scale: 1})
		}
	}, func() {
		spread(32, q)
		spread(32, ps...)
	})
	fold(acc)
	low := acc[0].AsX()
	VMULPS(alpha, low, low)
	if rows > 1 {
		VMOVUPS(low, mem{Base: dst})
	} else {
		VMOVSS(low, mem{Base: dst})
	}
	spread(4*rows, dst, off)
	SUBQ(imm(rows), count)
	JNZ(label(name + "_rows"))
	end()
}

// weightedAt generates dst[:n] = Σ p[i]·base[off[i]:][:n]. It fetches ahead as dotAt does.
func weightedAt() {
	const name = "avx2WeightedAt"
	text(name, "func(dst *float32, n int, p *float32, base *float32, off *int32, count int, ahead int)")
	dst, n, base, ahead := gp("dst"), gp("n"), gp("base"), gp("ahead")
	block := func(v int, mask *reg.VecVirtual, suffix string) {
		acc := zeros(v)
		p, off, count := gp("p"), gp("off"), gp("count")
		TESTQ(count, count)
		JZ(label(name + suffix + "_done"))
		Label(name + suffix + "_loop")
		row, w := GP64(), YMM()
		MOVLQSX(mem{Base: off}, row)
		LEAQ(mem{Base: base, Index: row, Scale: 4}, row)
		VBROADCASTSS(mem{Base: p}, w)
		for j := range v {
			if j%2 == 0 {
				PREFETCHT1(mem{Base: row, Index: ahead, Scale: 1, Disp: 32 * j})
			}
			VFMADD231PS(loadPS(mem{Base: row, Disp: 32 * j}, mask), w, acc[j])
		}
		spread(4, p, off)
		DECQ(count)
		JNZ(label(name + suffix + "_loop"))
		Label(name + suffix + "_done")
		for j := range v {
			storePS(acc[j], mem{Base: dst, Disp: 32 * j}, mask)
		}
	}
	columns(name, n, 8, block, dst, base)
}
