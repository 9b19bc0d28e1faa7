package ctranslate2

import "github.com/sematech/sema/ctranslate2/kernels"

// layerNorm is layer normalization, or RMS normalization where there is no beta.
type layerNorm struct {
	gamma, beta []float32 // [d]
	epsilon     float32
}

func (s scope) layerNorm(d int) *layerNorm {
	s.reject("layer_norm_use_residual")
	n := &layerNorm{gamma: s.vector("gamma", d), beta: s.vector("beta", d), epsilon: 1e-5}
	if n.gamma == nil {
		s.l.fail("variable %q is missing", s.join("gamma"))
		return n
	}
	if !finite(n.gamma) || !finite(n.beta) {
		s.l.fail("the weights of %q are not all numbers", s.path)
	}
	if n.beta == nil {
		n.epsilon = 1e-6
	}
	if s.l.epsilon != nil {
		n.epsilon = *s.l.epsilon
	}
	return n
}

func (s scope) optionalLayerNorm(d int) *layerNorm {
	if s.l.bin.variables[s.join("gamma")] == nil {
		return nil
	}
	return s.layerNorm(d)
}

// row normalizes x [d] into dst, which may be x.
func (n *layerNorm) row(dst, x []float32) {
	if n.beta == nil {
		kernels.RMSNorm(dst, x, n.gamma, n.epsilon)
	} else {
		kernels.LayerNorm(dst, x, n.gamma, n.beta, n.epsilon)
	}
}

// forward normalizes each row of x [m][d] in place.
func (n *layerNorm) forward(x []float32, m, d int) {
	for i := range m {
		n.row(x[i*d:(i+1)*d], x[i*d:(i+1)*d])
	}
}

// normTask normalizes rows in parallel, in blocks of normRows.
type normTask struct {
	n        *layerNorm
	dst, x   []float32 // [m][d]
	m, d     int
	q        *kernels.QuantizedRows // is given the rows, not dst; or nil
	truncate bool                   // as q's layers want it
	exec     *kernels.Executor
}

const normRows = 4

// Do normalizes block i.
func (t *normTask) Do(thread, i int) {
	for r := i * normRows; r < min((i+1)*normRows, t.m); r++ {
		x := t.x[r*t.d : (r+1)*t.d]
		if t.q == nil {
			t.n.row(t.dst[r*t.d:(r+1)*t.d], x)
			continue
		}
		row := scratch(t.exec, thread, t.d)
		t.n.row(row, x)
		t.q.Set(r, row, t.truncate)
	}
}

// norm normalizes x [m][d] in place.
func (w *workspace) norm(n *layerNorm, x []float32, m, d int) {
	w.runNorm(normTask{n: n, dst: x, x: x, m: m, d: d})
}

// normalized returns x [m][d], normalized, for l and layers that take the same
// input. If it is bytes that they take, it is quantized while it is in the cache.
func (w *workspace) normalized(n *layerNorm, x []float32, m, d int, l *dense) input {
	in := input{ld: d, m: m, q: &w.q, ready: l.s8 != nil}
	t := normTask{n: n, x: x, m: m, d: d, truncate: l.truncate}
	if in.ready {
		t.q = in.q
		t.q.Resize(m, d)
	} else {
		in.x = w.normed.Floats(m * d)
		t.dst = in.x
	}
	w.runNorm(t)
	return in
}

func (w *workspace) runNorm(t normTask) {
	t.exec = w.exec
	w.normTask = t
	w.exec.Parallel((t.m+normRows-1)/normRows, &w.normTask)
	w.normTask = normTask{}
}
