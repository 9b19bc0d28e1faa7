package ctranslate2

import (
	"math"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// activations are numbered as the format numbers them.
var activations = [...]kernels.Activation{
	kernels.ReLU, kernels.GELUTanh, kernels.Swish, kernels.GELU, kernels.GELUSigmoid, kernels.Tanh, kernels.Sigmoid,
}

func (s scope) activation() kernels.Activation {
	a := s.integer("activation", 0)
	if a < 0 || a >= len(activations) {
		s.l.fail("attribute %q has the unknown value %d", s.join("activation"), a)
		return kernels.ReLU
	}
	return activations[a]
}

// feedForward is a FeedForwardNetwork: linear_1(act(linear_0(x))), or with a
// gate linear_1(act(linear_0(x)) * linear_0_noact(x)).
type feedForward struct {
	norm       *layerNorm
	preNorm    bool
	activation kernels.Activation
	up         *dense // linear_0 [ffn][d]
	gate       *dense // linear_0_noact [ffn][d], or nil
	down       *dense // linear_1 [d][ffn]
}

func (s scope) feedForward(d int, preNorm bool, act kernels.Activation) *feedForward {
	f := &feedForward{preNorm: preNorm, activation: act}
	f.norm = s.at("layer_norm").layerNorm(d)
	f.up = s.at("linear_0").dense(0, d)
	if f.up == nil {
		return f
	}
	s.checkWidth(f.up.n, d)
	f.gate = s.at("linear_0_noact").optionalDense(f.up.n, d)
	f.down = s.at("linear_1").dense(d, f.up.n)
	return f
}

// maxWidth is how many times as wide as its input a layer may be inside: its
// activations take no more than a small part of the memory of its weights.
// The widest known, T5's largest, are 64 times as wide.
const maxWidth = 256

// checkWidth refuses a layer that is inner wide and has d inputs.
func (s scope) checkWidth(inner, d int) {
	if inner > maxWidth*d {
		s.l.fail("%q is %d wide inside for %d inputs, more than %d times as many", s.path, inner, d, maxWidth)
	}
}

// ffnRows is how many of m rows pass through a feed-forward network at once: as many in
// each group, in whole blocks of 16. It bounds the memory of the inner activations, the
// widest of a model: half of the rows take less than their queries, keys and values did.
func ffnRows(m int) int {
	most := min(max(128, (m+1)/2), 256)
	groups := max((m+most-1)/most, 1)
	return ((m+groups-1)/groups + 15) / 16 * 16
}

// forward adds the network's output to x [m][d].
func (f *feedForward) forward(w *workspace, x []float32, m, d int) {
	rows := ffnRows(m)
	for i := 0; i < m; i += rows {
		n := min(rows, m-i)
		f.block(w, x[i*d:(i+n)*d], n, d)
	}
}

func (f *feedForward) block(w *workspace, x []float32, m, d int) {
	in := input{x: x, ld: d, m: m, q: &w.q}
	if f.preNorm {
		in = w.normalized(f.norm, x, m, d, f.up)
	}
	ffn := f.up.n
	inner := w.wide.Floats(m * ffn)
	f.up.forward(w.exec, inner, ffn, &in, kernels.Epilogue{Activation: f.activation})
	if f.gate != nil {
		linear := w.gate.Floats(m * ffn)
		f.gate.forward(w.exec, linear, ffn, &in, kernels.Epilogue{})
		kernels.Mul(inner, linear)
	}
	f.down.forward(w.exec, x, d, &input{x: inner, ld: ffn, m: m, q: &w.q}, kernels.Epilogue{Residual: x, ResidualStride: d})
	if !f.preNorm {
		w.norm(f.norm, x, m, d)
	}
}

// embeddings looks tokens up: rows of a matrix [vocabulary][d], scaled.
type embeddings struct {
	*weights
	scale float32
}

func (s scope) embeddings(parent scope) *embeddings {
	if s.exists() && s.l.bin.variables[s.join("weight")] == nil {
		if s.l.bin.variables[parent.join("embeddings_1/weight")] != nil {
			s.l.fail("source features (%q) are not supported", parent.join("embeddings_1"))
			return nil
		}
	}
	v := s.matrix("weight")
	if v == nil {
		return nil
	}
	w := s.weights(v)
	if w == nil {
		return nil
	}
	return &embeddings{weights: w, scale: parent.embeddingsScale(w.k)}
}

// embeddingsScale is a factor, a flag for √d, or absent, which means √d too.
func (s scope) embeddingsScale(d int) float32 {
	v := s.find("scale_embeddings")
	name := "scale_embeddings"
	if v == nil {
		name = "embeddings/multiply_by_sqrt_depth"
		v = s.find(name)
	}
	root := float32(math.Sqrt(float64(float32(d))))
	switch {
	case v == nil:
		return root
	case v.Type == Int8 && s.flag(name, true):
		return root
	case v.Type == Int8:
		return 1
	}
	return float32(s.number(name, 1))
}

// lookup writes the row of token, scaled, to dst [d]. A token beyond the table,
// which an unknown token that was appended to the vocabulary may be, is zero.
func (e *embeddings) lookup(dst []float32, token int32) {
	if int(token) >= e.n {
		clear(dst)
		return
	}
	e.row(dst, int(token))
	if e.scale != 1 {
		kernels.Scale(dst, dst, e.scale)
	}
}

// positions are position encodings, added to the embeddings.
type positions struct {
	table   []float32 // [n][d]
	n, d    int
	learned bool // the table is the model's: no position beyond it
}

// positions loads the stored table, or makes the sinusoidal one of models
// without: [sin | cos] of (i+1)·10000^(-2j/(d-2)).
func (s scope) positions(d int) *positions {
	if v := s.find("encodings"); v != nil {
		if len(v.Shape) != 2 || v.Shape[0] == 0 || v.Shape[1] != d {
			s.l.fail("variable %q has shape %v, [positions %d] is needed", v.Name, v.Shape, d)
			return nil
		}
		return &positions{table: s.l.floats(v), n: v.Shape[0], d: d, learned: true}
	}
	return &positions{d: d}
}

// limit returns the number of positions, or 0 if there is no limit.
func (p *positions) limit() int {
	if p == nil || !p.learned {
		return 0
	}
	return p.n
}

// extend makes the sinusoidal table cover n positions.
func (p *positions) extend(n int) {
	if p.learned || n <= p.n {
		return
	}
	n = max(n, 2*p.n, 512)
	half := p.d / 2
	table := make([]float32, n*p.d)
	increment := float32(math.Log(10000)) / float32(half-1)
	for j := range half {
		timescale := float32(math.Exp(float64(-increment * float32(j))))
		for i := range n {
			angle := float64(float32(i+1) * timescale)
			table[i*p.d+j] = float32(math.Sin(angle))
			table[i*p.d+half+j] = float32(math.Cos(angle))
		}
	}
	p.table, p.n = table, n
}

// add adds position i's encoding to x [d].
func (p *positions) add(x []float32, i int) {
	if p == nil {
		return
	}
	p.extend(i + 1)
	kernels.Add(x, p.table[i*p.d:(i+1)*p.d])
}
