package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

// lanesS8 generates c[i][j] = Σ x[i][k]·w[j][k] + add[j] for 16 rows of bytes and 16 columns
// of 64·n weights. The rows are lanes, packed in groups of four of k, [16·n][16][4]: so
// four of a column's weights are multiplied by all rows at once, from memory, and there
// are hardly any operations but products; sums need not be added across lanes, but are
// transposed at the end. ldc is 128.
//
// Weights are read from lines, [n][16][64]. With copies they lie ldw bytes apart at w, at any
// byte, and are copied there a line ahead: in their own places, a power of two apart more
// often than not, they would throw each other out of the first cache between one half of a
// line and the next. Each line goes grow bytes behind the one before the last: all of
// them are kept with 2048, and two with 0.
//
// Meanwhile so many lines are fetched for each n from each of four places, step bytes
// apart, at pf.
func lanesS8(copies bool, fetched int) {
	name := fmt.Sprintf("lanesS8_%d", fetched)
	if copies {
		name = fmt.Sprintf("lanesS8Copied_%d", fetched)
	}
	TEXT(name, NOSPLIT, "func(x *uint8, w *int8, ldw int, n int, lines *int8, grow int, c *int32, add *int32, pf uintptr, step int)")
	Pragma("noescape")
	l := &rowLanes{x: gp("x"), line: gp("lines")}
	if copies {
		l.ahead = GP64()
		LEAQ(mem{Base: l.line, Disp: laneBytes}, l.ahead)
		l.columns = newStridedRows(gp("w"), gp("ldw"), laneColumns)
		for j := range laneColumns {
			l.copy(j, 0, l.line)
		}
	}
	if fetched > 0 {
		l.fetched = newStridedRows(gp("pf"), gp("step"), 4)
	}
	add := gp("add")
	for j := range laneColumns {
		sum := ZMM()
		VPBROADCASTD(mem{Base: add, Disp: 4 * j}, sum)
		l.sums = append(l.sums, sum)
	}
	if copies {
		DECQ(param("n"))
		JZ(label(name + "_last"))
	}
	Label(name + "_loop")
	l.multiply(copies, fetched)
	if copies {
		l.advance()
	} else {
		ADDQ(operand.I32(laneBytes), l.line)
	}
	DECQ(param("n"))
	JNZ(label(name + "_loop"))
	if copies {
		Label(name + "_last")
		l.multiply(false, fetched)
	}
	l.store()
}

const (
	laneColumns = 16
	laneBytes   = 64 * laneColumns
)

// rowLanes is a product of 16 rows and 16 columns.
type rowLanes struct {
	x, line, ahead   reg.GPVirtual
	columns, fetched stridedRows
	sums             []reg.VecVirtual // of columns
}

// copy copies a line of column j, disp bytes on, to lines.
func (l *rowLanes) copy(j, disp int, lines reg.GPVirtual) {
	v := ZMM()
	VMOVDQU32(at(l.columns.row(j), disp), v)
	VMOVDQU32(v, mem{Base: lines, Disp: 64 * j})
}

// multiply multiplies by a line of each column, in two halves, for which there are
// registers. Meanwhile it copies the next line of each, and fetches some.
func (l *rowLanes) multiply(copies bool, fetched int) {
	const groups, halves = 16, 2
	done := 0
	for first := 0; first < groups; first += groups / halves {
		var x [groups / halves]reg.VecVirtual
		for i := range x {
			x[i] = ZMM()
			VMOVDQU32(mem{Base: l.x, Disp: 64 * (first + i)}, x[i])
		}
		for i := range x {
			g := first + i
			for j, sum := range l.sums {
				VPDPBUSD_BCST(mem{Base: l.line, Disp: 64*j + 4*g}, x[i], sum)
				if j == laneColumns/2 && copies {
					l.copy(g, 64, l.ahead)
				}
			}
			for ; done < 4*fetched*(g+1)/groups; done++ {
				PREFETCHT1(at(l.fetched.row(done%4), 64*(done/4)))
			}
		}
	}
	ADDQ(operand.I32(laneBytes), l.x)
	if fetched > 0 {
		l.fetched.advance(64 * fetched)
	}
}

// advance moves on to the line that was copied.
func (l *rowLanes) advance() {
	free := GP64()
	MOVQ(l.line, free)
	ADDQ(param("grow"), free)
	MOVQ(l.ahead, l.line)
	MOVQ(free, l.ahead)
	l.columns.advance(64)
}

// store transposes the sums and stores them.
func (l *rowLanes) store() {
	c := gp("c")
	row := func(i int) mem { return mem{Base: c, Disp: 128 * i} }
	for j, sum := range l.sums {
		VMOVDQU32(sum, row(j))
	}
	for i, v := range transpose16(row, nil) {
		VMOVDQU32(v, row(i))
	}
	VZEROUPPER()
	RET()
}
