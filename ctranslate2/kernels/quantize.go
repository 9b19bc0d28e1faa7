package kernels

import (
	"math"

	"github.com/sematech/sema/ctranslate2/memory"
)

// QuantizedRows are rows of activations as unsigned bytes: round(x·127/amax) + 128,
// with the amax of each row. It keeps its memory, outside the Go heap, from one use to the next.
type QuantizedRows struct {
	Data     []uint8   // [Rows][Stride], with readable bytes on both sides
	Stride   int       // at least K rounded up to 64, and quantizedMargin more
	InvScale []float32 // [Rows], amax/127
	Rows, K  int
	memory   memory.Buffer
}

// quantizedMargin is how many zero bytes lie before and behind each row at least: kernels
// that read whole lines of weights multiply by them what lies around these.
const quantizedMargin = 64

// quantizedRows is for how many rows there is room at least, for kernels that always
// read so many.
const quantizedRows = 16

// Resize makes room for m rows of k, whose content is undefined until each is set.
func (q *QuantizedRows) Resize(m, k int) {
	q.Rows, q.K, q.Stride = m, k, (k+63)&^63+quantizedMargin
	if q.Stride%512 == 0 { // rows must not all lie in the same sets of the cache
		q.Stride += 64
	}
	all := q.memory.Grow(max(m, quantizedRows)*q.Stride + 2*quantizedMargin)
	clear(all[:quantizedMargin])
	q.Data = all[quantizedMargin:][:m*q.Stride]
	if cap(q.InvScale) < m {
		q.InvScale = make([]float32, m+m/4)
	}
	q.InvScale = q.InvScale[:m]
}

// Set quantizes x [K] into row r. With truncate the values are cut instead of
// rounded, as old models want it.
func (q *QuantizedRows) Set(r int, x []float32, truncate bool) {
	row := q.Data[r*q.Stride:][:q.Stride]
	q.InvScale[r] = active.s8.quantizeRow(row[:q.K], x, truncate)
	clear(row[q.K:])
}

// Shrink gives the memory back to the system until the next use; Free ends it.
func (q *QuantizedRows) Shrink() { q.memory.Shrink() }
func (q *QuantizedRows) Free()   { q.memory.Free() }

// quantizeBlock is how many rows a piece of a parallel quantization has.
const quantizeBlock = 4

type quantizeTask struct {
	q        *QuantizedRows
	x        []float32
	ldx      int
	truncate bool
}

func (t *quantizeTask) Do(_, i int) {
	q := t.q
	for r := i * quantizeBlock; r < min((i+1)*quantizeBlock, q.Rows); r++ {
		q.Set(r, t.x[r*t.ldx:][:q.K], t.truncate)
	}
}

// Quantize quantizes x [m][ldx], of which k columns count, into q, as Set does.
// Source: CTranslate2's quantization of activations, with amax 0 giving scale 1.
func (e *Executor) Quantize(q *QuantizedRows, x []float32, ldx, m, k int, truncate bool) {
	q.Resize(m, k)
	e.quant = quantizeTask{q, x, ldx, truncate}
	e.Parallel((m+quantizeBlock-1)/quantizeBlock, &e.quant)
	e.quant = quantizeTask{}
}

// activationScale returns the scale of a row and its inverse.
func activationScale(amax float32) (scale, inverse float32) {
	scale = 1
	if amax != 0 {
		scale = 127 / amax
	}
	return scale, 1 / scale
}

// quantizeRowGeneric writes x, shifted to bytes, to dst and returns 1/scale.
func quantizeRowGeneric(dst []uint8, x []float32, truncate bool) float32 {
	var amax float32
	for _, v := range x {
		if v < 0 {
			v = -v
		}
		if v > amax {
			amax = v
		}
	}
	scale, inverse := activationScale(amax)
	for i, v := range x {
		y := fma32(v, scale, 128)
		if !truncate {
			y = float32(math.RoundToEven(float64(y)))
		}
		dst[i] = saturate(y)
	}
	return inverse
}

// fma32 is x·y+z rounded once. The product of two float32 is exact in float64,
// and adding 128 to it rounds to a multiple so much finer than float32's that
// rounding again hardly ever differs; where it would, the error is made odd
// first (Boldo and Melquiond, 2008).
func fma32(x, y, z float32) float32 {
	p := float64(x) * float64(y)
	s := p + float64(z)
	// TwoSum: e is what s lost.
	b := s - p
	e := (p - (s - b)) + (float64(z) - b)
	if e != 0 && math.Float64bits(s)&1 == 0 {
		if (e > 0) == (s > 0) {
			s = math.Float64frombits(math.Float64bits(s) + 1)
		} else {
			s = math.Float64frombits(math.Float64bits(s) - 1)
		}
	}
	return float32(s)
}

// saturate converts to a byte. Values out of range come of NaN and infinities
// in a damaged model only.
func saturate(y float32) uint8 {
	switch {
	case y >= 255:
		return 255
	case y >= 0:
		return uint8(y)
	}
	return 0
}

// QuantizeWeightsS8 quantizes a row of weights and returns its scale: 127/amax,
// or 1 for a row of zeros.
func QuantizeWeightsS8(dst []int8, x []float32, truncate bool) float32 {
	var amax float32
	for _, v := range x {
		amax = max(amax, v, -v)
	}
	scale, _ := activationScale(amax)
	for i, v := range x {
		y := float64(v * scale)
		if !truncate {
			y = math.RoundToEven(y)
		}
		dst[i] = int8(min(max(y, -127), 127))
	}
	return scale
}
