// Package fasttext classifies text with fastText's supervised models, .bin and
// quantized .ftz, as language identification uses them. Its answers are those
// of the reference (https://github.com/facebookresearch/fastText), label by
// label.
package fasttext

import (
	"fmt"
	"math"
	"os"
	"strings"
	"sync"
)

// Model is a classifier. It is safe to use from concurrent goroutines.
type Model struct {
	*dictionary
	input, output *matrix
	tree          []node // of hierarchical softmax
	pool          sync.Pool
}

// scratch is what one prediction needs.
type scratch struct {
	rows   []int32
	hashes []int32
	hidden []float32
	scores []float32
	best   ranking
	stack  []visit
}

// Prediction is a label with its probability.
type Prediction struct {
	Label       string  // without the prefix __label__
	Probability float32 // 0..1
}

// Open reads a model file.
func Open(path string) (*Model, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	m, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	return m, nil
}

// Parse reads the content of a model file, of which it keeps parts. The error
// wraps ErrInvalidModel.
func Parse(data []byte) (*Model, error) {
	r := &reader{data: data}
	m := &Model{}
	m.dictionary = r.dictionary(r.args())
	if r.err != nil {
		return nil, r.err
	}
	quantized := r.flag("the input matrix's kind")
	m.input = r.matrix(quantized, "the input matrix")
	if r.err == nil && !quantized && m.pruneSize >= 0 {
		r.fail("a pruned dictionary goes with a quantized matrix only")
	}
	quantizedOutput := r.flag("the output matrix's kind")
	m.output = r.matrix(quantized && quantizedOutput, "the output matrix")
	m.check(r)
	if r.err != nil {
		return nil, r.err
	}
	if m.loss == lossHS {
		m.tree = huffman(m.counts)
	}
	m.pool.New = func() any { return &scratch{hidden: make([]float32, m.dim)} }
	return m, nil
}

// check compares the matrices with the dictionary, so that no row that a text
// asks for lies outside.
func (m *Model) check(r *reader) {
	if r.err != nil {
		return
	}
	rows := m.words + m.bucket
	if m.pruneSize >= 0 {
		rows = m.words + int(m.pruneSize)
		for _, to := range m.pruned {
			if to < 0 || int64(to) >= m.pruneSize {
				r.fail("a pruned row moves to %d of %d", to, m.pruneSize)
				return
			}
		}
	}
	switch {
	case m.input.cols != m.dim || m.output.cols != m.dim:
		r.fail("the matrices have %d and %d columns, the model %d dimensions", m.input.cols, m.output.cols, m.dim)
	case m.input.rows < rows && (m.maxn > 0 || m.wordNgrams > 1) || m.input.rows < m.words:
		r.fail("the input matrix has %d rows, the dictionary needs %d", m.input.rows, rows)
	case m.output.rows < m.labels:
		r.fail("the output matrix has %d rows for %d labels", m.output.rows, m.labels)
	case r.off != len(r.data):
		r.fail("%d bytes follow the matrices", len(r.data)-r.off)
	}
}

// Labels returns all labels, in the file's order.
func (m *Model) Labels() []string {
	labels := make([]string, m.labels)
	for i := range labels {
		labels[i] = m.label(i)
	}
	return labels
}

func (m *Model) label(i int) string {
	return strings.TrimPrefix(m.names[m.words+i], labelPrefix)
}

// Predict returns up to k labels of at least the probability threshold, best
// first. A line break ends nothing: it counts as a space. A text of which the
// model knows nothing, or computes what is no number, has no prediction.
func (m *Model) Predict(text string, k int, threshold float32) []Prediction {
	k = min(k, m.labels)
	if k < 1 {
		return nil
	}
	s := m.pool.Get().(*scratch)
	defer m.release(s)
	s.rows, s.hashes, s.best = s.rows[:0], s.hashes[:0], s.best[:0]
	m.line(text, s)
	if len(s.rows) == 0 {
		return nil
	}
	m.hide(s)
	f := search{m, s, k}
	if m.loss == lossHS {
		f.tree(threshold)
	} else {
		f.flat(threshold)
	}
	s.best.sort()
	out := make([]Prediction, len(s.best))
	for i, r := range s.best {
		if r.score != r.score { // what is not a number came of numbers that are too large
			return nil
		}
		out[i] = Prediction{m.label(int(r.label)), clamp(float32(math.Exp(float64(r.score))))}
	}
	return out
}

// maxKept bounds the memory that a pooled scratch keeps after a long text.
const maxKept = 1 << 18

func (m *Model) release(s *scratch) {
	if cap(s.rows) <= maxKept {
		m.pool.Put(s)
	}
}

// hide averages the rows of the text.
func (m *Model) hide(s *scratch) {
	clear(s.hidden)
	for _, row := range s.rows {
		m.input.addTo(s.hidden, int(row))
	}
	inverse := float32(1.0 / float64(len(s.rows)))
	for i := range s.hidden {
		s.hidden[i] *= inverse
	}
}

// clamp keeps a probability in 0..1: the reference's logarithm adds a little.
func clamp(p float32) float32 { return min(max(p, 0), 1) }
