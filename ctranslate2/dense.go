package ctranslate2

import (
	"github.com/sematech/sema/ctranslate2/kernels"
)

// weights is a matrix [n][k] in the type in which it is used: exactly one of
// s8 and f32 is set. Layers that alias a variable share its weights.
type weights struct {
	s8   *kernels.S8Weights
	f32  *kernels.F32Weights
	n, k int
}

// Dense is a linear layer: y = x·Wᵀ + b.
type dense struct {
	*weights
	bias     []float32 // [n] or nil
	truncate bool      // activations are truncated when quantized
}

// dense loads the layer in s, of k inputs and n outputs; 0: any.
func (s scope) dense(n, k int) *dense {
	s.reject("weight_zero")
	v := s.matrix("weight")
	if v == nil {
		return nil
	}
	if n != 0 && v.Shape[0] != n || k != 0 && v.Shape[1] != k {
		s.l.fail("variable %q has shape %v, [%d %d] is needed (0: any)", v.Name, v.Shape, n, k)
		return nil
	}
	w := s.weights(v)
	if w == nil {
		return nil
	}
	return &dense{weights: w, bias: s.vector("bias", w.n), truncate: s.l.truncates()}
}

// optionalDense loads the layer in s if it is there.
func (s scope) optionalDense(n, k int) *dense {
	if s.l.bin.variables[s.join("weight")] == nil {
		return nil
	}
	return s.dense(n, k)
}

// weights returns the matrix v of scope s in the loader's compute type.
func (s scope) weights(v *Variable) *weights {
	if w := s.l.weights[v]; w != nil {
		s.find("weight_scale")
		return w
	}
	w := &weights{n: v.Shape[0], k: v.Shape[1]}
	scale := s.scales(v)
	switch {
	case s.l.err != nil:
		return nil
	case s.l.compute == Int8 && v.Type == Int8:
		w.s8 = kernels.NewS8Weights(view[int8](v.Data), w.n, w.k, scale)
	case s.l.compute == Int8:
		w.s8 = s.l.quantized(v, w, scale)
	default:
		w.f32 = &kernels.F32Weights{N: w.n, K: w.k, Data: s.l.dequantized(v, w, scale)}
	}
	if w.s8 != nil {
		s.l.s8 = append(s.l.s8, w.s8)
	}
	s.l.weights[v] = w
	return w
}

// globalInt16Scale is the scale of int16 models that were saved without one.
const globalInt16Scale = 1000

// scales returns the quantization scales of the matrix v, one a row, or nil
// for a matrix of floats.
func (s scope) scales(v *Variable) []float32 {
	if v.Type.isFloat() {
		return nil
	}
	if v.Type != Int8 && v.Type != Int16 {
		s.l.fail("variable %q has type %s, which is no weight", v.Name, v.Type)
		return nil
	}
	scale := s.vector("weight_scale", -1)
	if scale == nil && v.Type == Int16 {
		scale = []float32{globalInt16Scale}
	}
	n := v.Shape[0]
	if len(scale) != n && len(scale) != 1 {
		s.l.fail("variable %q has %d quantization scales for %d rows", v.Name, len(scale), n)
		return nil
	}
	if len(scale) == 1 && n != 1 {
		scale = repeat(scale[0], n)
	}
	if !finite(scale) {
		s.l.fail("the quantization scales of %q are not all numbers", v.Name)
	}
	return scale
}

func repeat(x float32, n int) []float32 {
	out := make([]float32, n)
	for i := range out {
		out[i] = x
	}
	return out
}

// quantized returns v's rows as int8: what CTranslate2 does when a model is
// loaded in another type than it was saved in.
func (l *loader) quantized(v *Variable, w *weights, scale []float32) *kernels.S8Weights {
	data, scales := make([]int8, w.n*w.k), make([]float32, w.n)
	row := make([]float32, w.k)
	for i := range w.n {
		l.rowFloats(row, v, w.k, i, scale)
		scales[i] = kernels.QuantizeWeightsS8(data[i*w.k:(i+1)*w.k], row, l.truncates())
	}
	return kernels.NewS8Weights(data, w.n, w.k, scales)
}

// dequantized returns v's rows as float32, in place where they are stored so.
func (l *loader) dequantized(v *Variable, w *weights, scale []float32) []float32 {
	if v.Type.isFloat() {
		return l.floats(v)
	}
	data := make([]float32, w.n*w.k)
	for i := range w.n {
		l.rowFloats(data[i*w.k:(i+1)*w.k], v, w.k, i, scale)
	}
	return data
}

// rowFloats writes row i of the matrix v, of k columns, to dst [k].
func (l *loader) rowFloats(dst []float32, v *Variable, k, i int, scale []float32) {
	size := dataTypes[v.Type].size
	b := v.Data[i*k*size : (i+1)*k*size]
	switch v.Type {
	case Int8:
		kernels.DequantizeS8(dst, view[int8](b), scale[i])
	case Int16:
		kernels.DequantizeS16(dst, view[int16](b), scale[i])
	case Float16:
		kernels.Float16ToFloat32(dst, view[uint16](b))
	case BFloat16:
		kernels.BFloat16ToFloat32(dst, view[uint16](b))
	default:
		copy(dst, view[float32](b))
	}
}

// row writes row i, dequantized, to dst [k].
func (w *weights) row(dst []float32, i int) {
	if w.s8 != nil {
		kernels.DequantizeS8(dst, w.s8.Data[i*w.k:(i+1)*w.k], w.s8.Scale[i])
		return
	}
	copy(dst, w.f32.Data[i*w.k:(i+1)*w.k])
}

// chain tells layers, of which some may be nil, which one each is followed by as a
// rule, so that its weights are fetched in time.
func chain(layers []*dense) {
	var before *dense
	for _, d := range layers {
		if d == nil {
			continue
		}
		if before != nil && before.s8 != nil && d.s8 != nil {
			before.s8.Next = d.s8
		}
		before = d
	}
}

// input is a block of rows [m][ld] given to Dense layers. Its quantized form is
// made once, by what normalizes the rows or by the first layer that needs it.
type input struct {
	x     []float32 // or nil, if only the quantized form was made
	ld, m int
	q     *kernels.QuantizedRows // buffers; valid if ready
	ready bool
}

func (in *input) quantize(e *kernels.Executor, d *dense) *kernels.QuantizedRows {
	if !in.ready {
		e.Quantize(in.q, in.x, in.ld, in.m, d.k, d.truncate)
		in.ready = true
	}
	return in.q
}

// forward computes dst [m][ldd] = epilogue(in·Wᵀ + b).
func (d *dense) forward(e *kernels.Executor, dst []float32, ldd int, in *input, ep kernels.Epilogue) {
	ep.Bias = d.bias
	if d.s8 != nil {
		e.LinearS8(dst, ldd, in.quantize(e, d), d.s8, &ep)
		return
	}
	e.LinearF32(dst, ldd, in.x, in.ld, in.m, d.f32, &ep)
}

// forwardTo hands the columns of in·Wᵀ + b to sink as they are computed.
func (d *dense) forwardTo(e *kernels.Executor, sink kernels.ColumnSink, in *input) {
	ep := kernels.Epilogue{Bias: d.bias}
	if d.s8 != nil {
		e.LinearS8To(sink, in.quantize(e, d), d.s8, &ep)
		return
	}
	e.LinearF32To(sink, in.x, in.ld, in.m, d.f32, &ep)
}

// bytes returns the size of the matrix.
func (w *weights) bytes() int64 {
	if w.s8 != nil {
		return int64(w.n) * int64(w.k)
	}
	return 4 * int64(w.n) * int64(w.k)
}
