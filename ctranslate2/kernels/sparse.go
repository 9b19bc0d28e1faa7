package kernels

import (
	"encoding/binary"
	"slices"

	"github.com/sematech/sema/ctranslate2/memory"
)

// Rows of activations that are mostly zeros, as ReLU leaves them, need only the weights
// of the other inputs. In a transposed copy these lie together, and what would be
// multiplied by zeros is not read: the sums are the same.

// sparseKernels are the kernels of a tier that multiplies by transposed weights.
type sparseKernels struct {
	// rows is the most rows that a product has: what is zero in all of them is rare in more.
	rows int
	// list sets places and values of l to the inputs that are no zeros in any row of a,
	// whose weights are apart bytes. It returns how many, and whether any value is negative.
	list func(l *inputList, a QuantizedRows, apart int) (count int, negative bool)
	// add adds to c [width/64][rows][64] the products of inputs from..to of l, whole
	// groups, and their weights w, in rows of width.
	add func(c []int32, l *inputList, from, to int, w []byte, width int)
}

const (
	// sparseUnit is what the inputs and outputs of transposed weights are multiples of.
	sparseUnit = 64
	// sparseGroup is how many inputs are multiplied at a time; the next ones are fetched.
	sparseGroup = 8
	// sparseMost is the largest part of the inputs, in eighths, for which it pays: with
	// more, reading all of the weights in their order is as fast.
	sparseMost = 6
	// sparseLimit is the most of transposed bytes: places are 32 bits.
	sparseLimit = 1 << 31
)

// inputList lists inputs of some rows.
type inputList struct {
	places []int32 // [count, filled up to whole groups, and one more] where their weights lie
	values []uint8 // [rows][stride]
	stride int
	rows   int
	count  int       // a whole number of groups
	first  [16]int32 // how far apart the weights of 16 inputs lie
	memory memory.Buffer
}

// TransposedBytes is the size of a transposed copy of w: 0 where the tier in use does
// not multiply by one, or not of this shape.
func (w *S8Weights) TransposedBytes() int {
	if active.s8.sparse == nil || w.N%sparseUnit != 0 || w.K%sparseUnit != 0 || w.N*w.K >= sparseLimit {
		return 0
	}
	return w.N * w.K
}

// Transpose writes the weights of inputs k0..k1, multiples of 64, to dst [k1-k0][N]: in
// every 64 outputs, four of each 16 come next to those of the other 16.
func (w *S8Weights) Transpose(dst []byte, k0, k1 int) {
	for n := 0; n < w.N; n += sparseUnit {
		for k := k0; k < k1; k += 8 {
			w.transposeBlock(dst[(k-k0)*w.N+n:], n, k)
		}
	}
}

// transposeBlock writes the weights of 64 outputs and eight inputs to dst, in rows of N.
func (w *S8Weights) transposeBlock(dst []byte, n, k int) {
	for q := 0; q < sparseUnit; q += 8 {
		var block [8]uint64 // outputs
		for i := range block {
			block[i] = binary.LittleEndian.Uint64(bytesOf(w.Data[(n+q+i)*w.K+k:][:8]))
		}
		transpose8(&block) // inputs
		place := q/16*4 + q%16/4*16
		for i, x := range block {
			row := dst[i*w.N:][:sparseUnit]
			binary.LittleEndian.PutUint32(row[place:], uint32(x))
			binary.LittleEndian.PutUint32(row[place+16:], uint32(x>>32))
		}
	}
}

// transpose8 transposes eight words of eight bytes. Source: Warren, Hacker's Delight, 7-3.
func transpose8(b *[8]uint64) {
	for _, s := range [...]struct {
		rows  int
		shift uint
		mask  uint64
	}{{4, 32, 0x00000000ffffffff}, {2, 16, 0x0000ffff0000ffff}, {1, 8, 0x00ff00ff00ff00ff}} {
		for i := range b {
			if i&s.rows != 0 {
				continue
			}
			x := (b[i]>>s.shift ^ b[i+s.rows]) & s.mask
			b[i] ^= x << s.shift
			b[i+s.rows] ^= x
		}
	}
}

// UseTransposed gives w a copy that Transpose made of all of its inputs, or takes it away.
func (w *S8Weights) UseTransposed(transposed []byte) { w.transposed = transposed }

// listNonzeros lists the inputs of a product with few rows that are no zeros, if it pays
// to multiply by these alone.
func (t *s8Task) listNonzeros() bool {
	w, a, l, kernels := t.w, t.a, &t.nonzeros, active.s8.sparse
	if w.transposed == nil || kernels == nil || t.sink != nil || a.Rows == 0 || a.Rows > kernels.rows {
		return false
	}
	room := w.K + 4*sparseGroup
	l.stride, l.rows = room, a.Rows
	buffer := l.memory.Grow(room * (4 + a.Rows))
	l.places, l.values = int32s(buffer[:4*room]), buffer[4*room:]
	count, negative := kernels.list(l, *a, w.N)
	if negative || count > w.K/8*sparseMost {
		return false
	}
	t.e.skipped.Add(int64(w.K-count) * int64(w.N))
	l.fill(count)
	return true
}

// fill makes a list of count inputs one of whole groups, with zeros, and one more to
// be fetched.
func (l *inputList) fill(count int) {
	l.count = (count + sparseGroup - 1) / sparseGroup * sparseGroup
	last := int32(0)
	if count > 0 {
		last = l.places[count-1]
	}
	for j := count; j < l.count+sparseGroup; j++ {
		l.places[j] = last
		for r := range l.rows {
			l.values[r*l.stride+j] = 0
		}
	}
}

// multiplySparse computes a product from the transposed weights of the listed inputs. Each
// thread adds up those of a part of the inputs, for all columns: memory reads whole rows
// of weights a third faster than their halves.
func (t *s8Task) multiplySparse() {
	t.partial = slices.Grow(t.partial[:0], t.e.threads)[:t.e.threads]
	clear(t.partial)
	each := t.inputsEach()
	t.e.Parallel((t.nonzeros.count+each-1)/each, (*sparseTask)(t))
	sums := t.sums(0)
	for _, other := range t.partial[1:] {
		for i, x := range other {
			sums[i] += x
		}
	}
	t.finishSparse(sums)
}

// finishSparse passes the sums of all rows through the epilogue.
func (t *s8Task) finishSparse(sums []int32) {
	m, n := t.a.Rows, t.w.N
	row := sums
	for r := range m {
		if m > 1 {
			row = sums[m*n : (m+1)*n : (m+1)*n]
			for j := 0; j < n; j += sparseUnit {
				copy(row[j:j+sparseUnit], sums[m*j+r*sparseUnit:])
			}
		}
		t.epilogue(t.dst[r*t.ldd:][:n], row, r, 0)
	}
}

// inputsEach is how many inputs a thread takes at a time: assembly can't be preempted.
func (t *s8Task) inputsEach() int {
	return max(streamBytes/(sparseGroup*t.w.N), 1) * sparseGroup
}

// sums returns the thread's own sums, with room for a row behind them.
func (t *s8Task) sums(thread int) []int32 {
	if t.partial[thread] == nil {
		n := t.a.Rows * t.w.N
		sums := int32s(t.e.Scratch(thread, 4*(n+t.w.N)))[:n]
		clear(sums)
		t.partial[thread] = sums
	}
	return t.partial[thread]
}

// sparseTask adds up the products of some inputs.
type sparseTask s8Task

// Do adds piece i of the inputs to the thread's sums.
func (p *sparseTask) Do(thread, i int) {
	t, each := (*s8Task)(p), (*s8Task)(p).inputsEach()
	active.s8.sparse.add(t.sums(thread), &t.nonzeros, i*each, min((i+1)*each, t.nonzeros.count), t.w.transposed, t.w.N)
}

// SkippedBytes returns how many bytes of weights e has not read, since it was made,
// because they would have been multiplied by zeros.
func (e *Executor) SkippedBytes() int64 { return e.skipped.Load() }
