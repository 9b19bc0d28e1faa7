package ctranslate2

import (
	"sync/atomic"

	"github.com/sematech/sema/ctranslate2/kernels"
)

type decoderLayer struct {
	self  *multiHeadAttention
	cross *multiHeadAttention
	ffn   *feedForward
}

// decoder is a TransformerDecoder with its output layer.
type decoder struct {
	d           int
	embeddings  *embeddings
	positions   *positions
	norm        *layerNorm // on the embeddings, or nil
	finalNorm   *layerNorm // or nil
	layers      []decoderLayer
	bias        *relativeBias // of the first layer, used by all that have one
	projectIn   *dense
	projectOut  *dense
	projection  *dense
	outputScale float32
	startZero   bool // the start token's embedding is zero

	coarse       *kernels.CoarseWeights // of the projection, or nil
	coarseMemory []byte                 // of the process's own
	coarseBytes  atomic.Int64           // the size of the copy, also after Close

	alignmentLayer, alignmentHeads int // whose attention is returned
}

func (s scope) decoder() *decoder {
	s.reject("multi_query_attention", "alibi", "alibi_use_positive_positions", "scale_alibi", "sliding_window", "final_logit_softcapping")
	c := &decoder{embeddings: s.at("embeddings").embeddings(s), startZero: s.flag("start_from_zero_embedding", false)}
	if c.embeddings == nil {
		return c
	}
	c.d = c.embeddings.k
	c.projectIn = s.at("project_in").optionalDense(0, c.d)
	if c.projectIn != nil {
		c.d = c.projectIn.n
	}
	heads, preNorm, act := s.integer("num_heads", 8), s.flag("pre_norm", true), s.activation()
	for i := 0; s.at("layer_%d", i).exists() && s.l.err == nil; i++ {
		l := s.at("layer_%d", i)
		l.reject(unsupportedLayers...)
		c.layers = append(c.layers, decoderLayer{
			self:  l.at("self_attention").attention(c.d, heads, preNorm, false),
			cross: l.at("attention").attention(c.d, heads, preNorm, true),
			ffn:   l.at("ffn").feedForward(c.d, preNorm, act),
		})
	}
	if len(c.layers) == 0 {
		s.l.fail("%q has no layers", s.path)
		return c
	}
	c.bias = c.layers[0].self.bias
	if !c.layers[0].self.hasPositions() {
		c.positions = s.at("position_encodings").positions(c.d)
	}
	c.norm, c.finalNorm = s.at("layernorm_embedding").optionalLayerNorm(c.d), s.at("layer_norm").optionalLayerNorm(c.d)
	s.outputLayer(c)
	s.alignment(c, heads)
	c.chain()
	return c
}

// chain chains the layers of a step, and those that prepare the memory.
func (c *decoder) chain() {
	var step, memory []*dense
	for _, l := range c.layers {
		step = append(step, l.self.in, l.self.out, l.cross.in, l.cross.out, l.ffn.up, l.ffn.gate, l.ffn.down)
		memory = append(memory, l.cross.kv)
	}
	chain(step)
	chain(memory)
}

// unsupportedLayers belong to model families that have other layer structures.
var unsupportedLayers = []string{"shared_layer_norm", "input_layer_norm", "post_attention_layer_norm", "pre_feedforward_layer_norm",
	"post_feedforward_layer_norm", "external_pre_encoder_attention_layer_norm", "external_post_encoder_attention_layer_norm"}

func (s scope) outputLayer(c *decoder) {
	c.projectOut = s.at("project_out").optionalDense(0, c.d)
	d := c.d
	if c.projectOut != nil {
		d = c.projectOut.n
	}
	c.projection = s.at("projection").dense(0, d)
	c.outputScale = float32(s.number("scale_outputs", 1))
}

func (s scope) alignment(c *decoder, heads int) {
	c.alignmentLayer, c.alignmentHeads = s.integer("alignment_layer", -1), s.integer("alignment_heads", 1)
	if c.alignmentLayer < 0 {
		c.alignmentLayer += len(c.layers)
	}
	if c.alignmentHeads == 0 {
		c.alignmentHeads = heads
	}
	if c.alignmentLayer < 0 || c.alignmentLayer >= len(c.layers) || c.alignmentHeads < 0 || c.alignmentHeads > heads {
		s.l.fail("%q: alignment layer %d and heads %d are out of range", s.path, c.alignmentLayer, c.alignmentHeads)
	}
}

// row is one position of one hypothesis that a decoding step computes.
type row struct {
	seq   *sequence
	token int32
	pos   int
	off   []int32 // [pos+1] places of its own and earlier keys and values

	query     *logitsQuery // what is wanted of the output layer, or nil
	attention []float32    // [source] is filled with the attention, or nil
}

// step runs rows through the decoder and answers their queries. Rows of one
// hypothesis must be in order of position.
func (c *decoder) step(w *decoderWorkspace, rows []row) {
	m := len(rows)
	x := c.embed(w, rows)
	for i := range c.layers {
		l := &c.layers[i]
		c.selfAttend(w, l.self, i, rows, x)
		c.crossAttend(w, l.cross, i, rows, x)
		l.ffn.forward(&w.workspace, x, m, c.d)
	}
	c.project(w, rows, x)
}

// embed returns the first layer's input [m][d].
func (c *decoder) embed(w *decoderWorkspace, rows []row) []float32 {
	m := len(rows)
	k := c.embeddings.k
	e := w.embedded.Floats(m * k)
	for i := range rows {
		c.embeddings.lookup(e[i*k:(i+1)*k], rows[i].token)
		if c.startZero && rows[i].pos == 0 {
			clear(e[i*k : (i+1)*k])
		}
	}
	x := w.x.Floats(m * c.d)
	if c.projectIn != nil {
		c.projectIn.forward(w.exec, x, c.d, &input{x: e, ld: k, m: m, q: &w.q}, kernels.Epilogue{})
	} else {
		copy(x, e)
	}
	for i := range rows {
		c.positions.add(x[i*c.d:(i+1)*c.d], rows[i].pos)
	}
	if c.norm != nil {
		c.norm.forward(x, m, c.d)
	}
	return x
}

func (c *decoder) selfAttend(w *decoderWorkspace, a *multiHeadAttention, layer int, rows []row, x []float32) {
	m := len(rows)
	qkv := a.project(&w.workspace, x, m, c.d)
	inner := a.inner()
	w.slots = w.slots[:0]
	for i := range rows {
		w.slots = append(w.slots, rows[i].off[rows[i].pos])
	}
	w.store(layer, qkv[inner:], 3*inner)
	t := &w.decoderTask
	*t = decoderAttention{groups: t.groups, a: a, arena: w.arena, exec: w.exec, layer: layer, rows: rows, q: qkv, ldq: 3 * inner, context: w.context.Floats(m * inner)}
	if a.bias != nil {
		t.bias = c.bias
	}
	t.run()
	a.finish(&w.workspace, x, t.context, m, c.d)
}

func (c *decoder) crossAttend(w *decoderWorkspace, a *multiHeadAttention, layer int, rows []row, x []float32) {
	m := len(rows)
	q := a.project(&w.workspace, x, m, c.d)
	inner := a.inner()
	t := &w.decoderTask
	*t = decoderAttention{groups: t.groups, a: a, arena: w.arena, exec: w.exec, layer: layer, rows: rows, q: q, ldq: inner, context: w.context.Floats(m * inner), memory: true}
	if layer == c.alignmentLayer {
		t.alignHeads = c.alignmentHeads
		t.weights = w.alignment(rows, c.alignmentHeads)
	}
	t.run()
	if t.weights != nil {
		averageHeads(rows, t.weights, c.alignmentHeads)
	}
	a.finish(&w.workspace, x, t.context, m, c.d)
}

// decoderAttention is the attention of decoder rows to keys and values in the
// arena: their own past, or the memory.
type decoderAttention struct {
	a       *multiHeadAttention
	arena   *kvArena
	exec    *kernels.Executor
	bias    *relativeBias
	layer   int
	rows    []row
	q       []float32 // [m][ldq]
	ldq     int
	context []float32 // [m][inner]
	memory  bool

	alignHeads int
	weights    [][]float32 // per row [alignHeads][source], or nil

	groups    []int // first rows of the groups, and len(rows)
	headBlock int   // heads that a thread takes at a time
}

// groupRows is the most rows of a group.
const groupRows = 8

// run computes the context of all rows and heads. Rows of one sequence, which
// read much the same keys and values, are a group, and a thread takes some heads
// of it, one behind the other, so that each is read from memory once and the
// processor foresees what comes next.
func (t *decoderAttention) run() {
	t.group()
	heads, n := t.a.heads, len(t.groups)-1
	t.headBlock = max(1, min(heads, n*heads/(4*t.exec.Threads())))
	t.exec.Parallel(n*t.blocks(), t)
}

// group cuts the rows into groups.
func (t *decoderAttention) group() {
	t.groups = t.groups[:0]
	for i := range t.rows {
		n := len(t.groups)
		if n == 0 || t.rows[i].seq != t.rows[i-1].seq || i-t.groups[n-1] == groupRows {
			t.groups = append(t.groups, i)
		}
	}
	t.groups = append(t.groups, len(t.rows))
}

// blocks is how many pieces a group has.
func (t *decoderAttention) blocks() int { return (t.a.heads + t.headBlock - 1) / t.headBlock }

// Do computes the context of a block of heads of one group.
func (t *decoderAttention) Do(thread, i int) {
	g, first := i/t.blocks(), i%t.blocks()*t.headBlock
	for h := first; h < min(first+t.headBlock, t.a.heads); h++ {
		for r := t.groups[g]; r < t.groups[g+1]; r++ {
			t.head(thread, r, h)
		}
	}
}

// head computes the context of row i and head h.
func (t *decoderAttention) head(thread, i, h int) {
	a, r := t.a, &t.rows[i]
	off := r.off
	if t.memory {
		off = r.seq.memory
	}
	q := t.q[i*t.ldq+h*a.dHead:][:a.dHead]
	scores := scratch(t.exec, thread, len(off))
	next := pageSlots * a.dHead // floats to the next head's
	kernels.DotRowsAt(scores, q, t.arena.floats[t.arena.base(t.layer, 0, h):], off, a.scale, next)
	if !t.memory {
		a.relate(scores, q, t.bias, h, r.pos, true)
	}
	kernels.Softmax(scores)
	out := t.context[i*a.inner()+h*a.dHead:][:a.dHead]
	kernels.WeightedRowsAt(out, scores, t.arena.floats[t.arena.base(t.layer, 1, h):], off, next)
	if !t.memory {
		a.relateValues(out, scores, r.pos)
	}
	if t.weights != nil && h < t.alignHeads && t.weights[i] != nil {
		copy(t.weights[i][h*len(off):], scores)
	}
}

// averageHeads writes the mean over heads of weights to the rows' attention.
func averageHeads(rows []row, weights [][]float32, heads int) {
	for i := range rows {
		out := rows[i].attention
		for s := range out {
			var sum float32
			for h := range heads {
				sum += weights[i][h*len(out)+s]
			}
			out[s] = sum / float32(heads)
		}
	}
}

// memoryKeys projects the memory x [m][d] of sequences that lie one behind the
// other to keys and values of every layer and stores them.
func (c *decoder) memoryKeys(w *decoderWorkspace, seqs []*sequence, x []float32, m, d int) {
	w.slots = w.slots[:0]
	for _, s := range seqs {
		w.slots = append(w.slots, s.memory...)
	}
	in := input{x: x, ld: d, m: m, q: &w.q}
	for layer := range c.layers {
		kv := c.layers[layer].cross.kv
		out := w.wide.Floats(m * kv.n)
		kv.forward(w.exec, out, kv.n, &in, kernels.Epilogue{})
		w.store(layer, out, kv.n)
	}
}
