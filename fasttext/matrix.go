package fasttext

import "math"

// matrix is the input or the output matrix: dense, or product-quantized.
type matrix struct {
	rows, cols int
	dense      []float32 // [rows][cols], or nil

	codes     []byte // [rows][subquantizers]
	quantizer *productQuantizer
	normCodes []byte // [rows], or nil
	norms     *productQuantizer
}

// productQuantizer holds 256 centroids for each part of a vector (Jégou et al., 2011).
type productQuantizer struct {
	dim, parts, width, last int
	centroids               []float32 // [dim][256], by part
}

func (r *reader) matrix(quantized bool, what string) *matrix {
	m := &matrix{}
	norm := quantized && r.flag(what)
	rows, cols := r.i64(what), r.i64(what)
	if r.err == nil && (rows < 0 || cols <= 0 || cols > 1<<16 || rows > math.MaxInt32) {
		r.fail("%s has %d rows and %d columns", what, rows, cols)
	}
	m.rows, m.cols = int(rows), int(cols)
	if r.err != nil {
		return m
	}
	if !quantized {
		m.dense = r.floats(rows*cols, what)
		return m
	}
	m.codes = r.take(int64(r.i32(what)), what)
	m.quantizer = r.quantizer(what)
	if r.err == nil && (m.quantizer.dim != m.cols || len(m.codes) != m.rows*m.quantizer.parts) {
		r.fail("the codes of %s do not fit its shape", what)
	}
	if norm {
		m.normCodes = r.take(rows, what)
		m.norms = r.quantizer(what)
		if r.err == nil && m.norms.dim != 1 {
			r.fail("the norms of %s are no scalars", what)
		}
	}
	return m
}

func (r *reader) quantizer(what string) *productQuantizer {
	q := &productQuantizer{dim: r.i32(what), parts: r.i32(what), width: r.i32(what), last: r.i32(what)}
	if r.err == nil && (q.dim < 1 || q.dim > 1<<16 || q.parts < 1 || q.parts > q.dim || q.width < 1 || q.last < 1 || q.last > q.width || (q.parts-1)*q.width+q.last != q.dim) {
		r.fail("the quantizer of %s has %d dimensions in %d parts of %d and %d", what, q.dim, q.parts, q.width, q.last)
	}
	if r.err != nil {
		return q
	}
	q.centroids = r.floats(int64(q.dim)*256, what)
	return q
}

// centroid returns centroid code of a part.
func (q *productQuantizer) centroid(part int, code byte) []float32 {
	start := part * 256 * q.width
	if part == q.parts-1 {
		return q.centroids[start+int(code)*q.last:][:q.last]
	}
	return q.centroids[start+int(code)*q.width:][:q.width]
}

// norm returns the factor of a row.
func (m *matrix) norm(i int) float32 {
	if m.norms == nil {
		return 1
	}
	return m.norms.centroid(0, m.normCodes[i])[0]
}

// addTo adds row i to x [cols].
func (m *matrix) addTo(x []float32, i int) {
	if m.dense != nil {
		for j, v := range m.dense[i*m.cols : (i+1)*m.cols] {
			x[j] += v
		}
		return
	}
	norm, q := m.norm(i), m.quantizer
	for part, code := range m.codes[i*q.parts : (i+1)*q.parts] {
		at := x[part*q.width:]
		for k, c := range q.centroid(part, code) {
			at[k] += float32(norm * c)
		}
	}
}

// dot returns x · row i. Products are rounded before they are added, on every
// architecture, as the reference does.
func (m *matrix) dot(x []float32, i int) float32 {
	var sum float32
	if m.dense != nil {
		row := m.dense[i*m.cols : (i+1)*m.cols]
		for j, v := range x {
			sum += float32(v * row[j])
		}
		return sum
	}
	q := m.quantizer
	for part, code := range m.codes[i*q.parts : (i+1)*q.parts] {
		at := x[part*q.width:]
		for k, c := range q.centroid(part, code) {
			sum += float32(at[k] * c)
		}
	}
	return sum * m.norm(i)
}
