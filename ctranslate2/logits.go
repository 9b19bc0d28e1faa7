package ctranslate2

import (
	"math"
	"slices"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// lowest is what CTranslate2 gives to disabled tokens.
const lowest = -math.MaxFloat32

// logitsQuery asks the output layer for what a search needs of one row of
// logits. The row itself, which is as long as the vocabulary, is never stored
// unless full asks for it.
type logitsQuery struct {
	k        int  // how many best candidates are wanted
	logSum   bool // whether the log of the sum of exponentials is
	edits    logitEdits
	full     []float32            // [vocabulary] receives the row, or nil
	watch    int32                // a token whose logit is wanted, or -1
	top      []kernels.Candidate  // answer: best first; logits
	watched  float32              // answer: the logit of watch
	logTotal float32              // answer: log Σ exp(logit), 0 if not asked for
	partial  [maxThreads]rowTally // of each thread
}

// maxThreads bounds the threads of one translator.
const maxThreads = 64

// rowTally is what one thread has seen of a row.
type rowTally struct {
	top []kernels.Candidate
	max float32
	sum float64 // Σ exp(logit - max)
}

// reset prepares q for a step.
func (q *logitsQuery) reset(k int, logSum bool) {
	q.k, q.logSum, q.full, q.watch = k, logSum, nil, -1
	q.edits = q.edits[:0]
}

// logitEdit changes the logit of one token: to lowest, or by a repetition
// penalty, which makes likely tokens less likely and unlikely ones even less.
type logitEdit struct {
	id      int32
	penalty float32 // 0: disabled
}

// logitEdits are sorted by id, once sort has run, with one edit an id.
type logitEdits []logitEdit

func (e *logitEdits) disable(id int32)              { *e = append(*e, logitEdit{id: id}) }
func (e *logitEdits) penalize(id int32, by float32) { *e = append(*e, logitEdit{id, by}) }
func (e logitEdits) from(n0 int) logitEdits         { return e[e.search(n0):] }
func (e logitEdits) search(n int) int {
	i, _ := slices.BinarySearchFunc(e, int32(n), func(x logitEdit, id int32) int { return int(x.id) - int(id) })
	return i
}

// sort orders the edits; a disabled token stays disabled whatever else.
func (e *logitEdits) sort() {
	if len(*e) < 2 {
		return
	}
	slices.SortFunc(*e, func(a, b logitEdit) int {
		if a.id != b.id {
			return int(a.id) - int(b.id)
		}
		switch { // disabled first, so that it is the one kept
		case a.penalty < b.penalty:
			return -1
		case a.penalty > b.penalty:
			return 1
		}
		return 0
	})
	*e = slices.CompactFunc(*e, func(a, b logitEdit) bool { return a.id == b.id })
}

// apply edits the logits of tokens n0 and up.
func (e logitEdits) apply(logits []float32, n0 int) {
	for _, x := range e.from(n0) {
		i := int(x.id) - n0
		if i >= len(logits) {
			return
		}
		switch v := logits[i]; {
		case x.penalty == 0:
			logits[i] = lowest
		case v < 0:
			logits[i] = v * x.penalty
		default:
			logits[i] = v / x.penalty
		}
	}
}

// logitsSink answers the queries of rows while the output layer computes them.
type logitsSink struct {
	queries []*logitsQuery // one a row of the projection
}

// Columns takes the logits of tokens n0..n1 of every row.
func (s *logitsSink) Columns(thread, n0, n1 int, tile []float32, ldt int) {
	for i, q := range s.queries {
		q.columns(thread, n0, tile[i*ldt:i*ldt+n1-n0])
	}
}

func (q *logitsQuery) columns(thread, n0 int, logits []float32) {
	q.edits.apply(logits, n0)
	if q.full != nil {
		copy(q.full[n0:], logits)
	}
	if i := int(q.watch) - n0; i >= 0 && i < len(logits) {
		q.watched = logits[i]
	}
	t := &q.partial[thread]
	if q.k == 1 {
		if i, v := kernels.ArgMax(logits); i >= 0 && (len(t.top) == 0 || v > t.top[0].Score || v == t.top[0].Score && int32(n0+i) < t.top[0].Index) {
			t.top = append(t.top[:0], kernels.Candidate{Index: int32(n0 + i), Score: v})
		}
	} else if q.k > 1 {
		t.top = kernels.TopK(t.top, q.k, logits, int32(n0))
	}
	if q.logSum {
		m := kernels.Max(logits)
		t.add(m, float64(kernels.SumExp(logits, m)))
	}
}

// add merges Σ exp(x - max) = sum into the tally.
func (t *rowTally) add(max float32, sum float64) {
	if max > t.max {
		t.sum = t.sum*math.Exp(float64(t.max)-float64(max)) + sum
		t.max = max
		return
	}
	t.sum += sum * math.Exp(float64(max)-float64(t.max))
}

// begin clears what threads have seen of earlier rows.
func (q *logitsQuery) begin(threads int) {
	q.edits.sort()
	for i := range threads {
		q.partial[i].top, q.partial[i].max, q.partial[i].sum = q.partial[i].top[:0], float32(math.Inf(-1)), 0
	}
}

// finish merges what the threads have seen into the answers.
func (q *logitsQuery) finish(threads int) {
	q.top = q.top[:0]
	total := rowTally{max: float32(math.Inf(-1))}
	for i := range threads {
		q.top = append(q.top, q.partial[i].top...)
		if q.partial[i].sum > 0 {
			total.add(q.partial[i].max, q.partial[i].sum)
		}
	}
	slices.SortFunc(q.top, func(a, b kernels.Candidate) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return int(a.Index) - int(b.Index)
	})
	q.top = q.top[:min(q.k, len(q.top))]
	q.logTotal = 0
	if q.logSum {
		q.logTotal = total.max + float32(math.Log(total.sum))
	}
}

// project computes the logits that rows ask for, from x [m][d].
func (c *decoder) project(w *decoderWorkspace, rows []row, x []float32) {
	queries := w.sink.queries[:0]
	picked := w.picked.Floats(len(rows) * c.d)
	for i := range rows {
		if q := rows[i].query; q != nil {
			copy(picked[len(queries)*c.d:(len(queries)+1)*c.d], x[i*c.d:(i+1)*c.d])
			queries = append(queries, q)
		}
	}
	w.sink.queries = queries
	m := len(queries)
	if m == 0 {
		return
	}
	threads := w.exec.Threads()
	for _, q := range queries {
		q.begin(threads)
	}
	in := c.outputInput(w, picked, m)
	if c.screen(w, queries, &in) {
		return
	}
	c.projection.forwardTo(w.exec, &w.sink, &in)
	for _, q := range queries {
		q.finish(threads)
	}
}

// outputInput applies what lies between the last layer and the output layer.
func (c *decoder) outputInput(w *decoderWorkspace, x []float32, m int) input {
	if c.finalNorm != nil {
		w.norm(c.finalNorm, x, m, c.d)
	}
	d := c.d
	if c.projectOut != nil {
		out := w.normed.Floats(m * c.projectOut.n)
		c.projectOut.forward(w.exec, out, c.projectOut.n, &input{x: x, ld: d, m: m, q: &w.q}, kernels.Epilogue{})
		x, d = out, c.projectOut.n
	}
	if c.outputScale != 1 {
		kernels.Scale(x[:m*d], x[:m*d], c.outputScale)
	}
	return input{x: x, ld: d, m: m, q: &w.q}
}

// decoderWorkspace is the workspace of decoding steps.
type decoderWorkspace struct {
	workspace
	arena    *kvArena
	slots    []int32 // places of new keys and values
	storing  storeTask
	embedded memory.Buffer // [m][k]
	x        memory.Buffer // [m][d]
	picked   memory.Buffer // [queries][d]
	sink     logitsSink
	screen   screenWorkspace
	align    memory.Buffer
	aligned  [][]float32
}

// buffers are all of w's own.
func (w *decoderWorkspace) buffers() []*memory.Buffer {
	return append(w.workspace.buffers(), &w.embedded, &w.x, &w.picked, &w.align)
}

// shrink gives the memory of all that steps fill back to the system until the
// next step, free for good.
func (w *decoderWorkspace) shrink() {
	for _, b := range w.buffers() {
		b.Shrink()
	}
	w.q.Shrink()
	w.exec.Shrink()
}

func (w *decoderWorkspace) free() {
	for _, b := range w.buffers() {
		b.Free()
	}
	w.q.Free()
}

// alignment returns a buffer [heads][source] for each row that wants the
// attention, or nil if none does.
func (w *decoderWorkspace) alignment(rows []row, heads int) [][]float32 {
	n := 0
	for i := range rows {
		n += len(rows[i].attention) * heads
	}
	if n == 0 {
		return nil
	}
	all := w.align.Floats(n)
	w.aligned = w.aligned[:0]
	for i := range rows {
		n := len(rows[i].attention) * heads
		var part []float32
		if n > 0 {
			part = all[:n]
		}
		w.aligned = append(w.aligned, part)
		all = all[n:]
	}
	return w.aligned
}
