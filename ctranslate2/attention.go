package ctranslate2

import (
	"math"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// multiHeadAttention holds the layers of one attention block. A block that
// attends to its own input projects queries, keys and values at once (in); one
// that attends to the memory has keys and values of their own (kv).
type multiHeadAttention struct {
	norm    *layerNorm
	preNorm bool
	heads   int
	dHead   int
	scale   float32 // of the queries
	in      *dense  // [3d][d], or [d][d] queries
	kv      *dense  // [2d][d] of the memory, or nil
	out     *dense  // [d][d]

	bias   *relativeBias // T5's, or nil
	keys   []float32     // Shaw's relative position keys [2·maxDistance+1][dHead], or nil
	values []float32     // the same for values, or nil
	maxRel int
}

// unsupportedAttention are parts of decoder-only models, of no converter for
// translation models that this runtime serves.
var unsupportedAttention = []string{"rotary_dim", "multi_query", "sliding_window", "q_norm", "k_norm", "v_norm", "memory_kv",
	"relative_asymmetric_position_keys", "num_heads_kv"}

// maxInner bounds the width of all heads together, so that products of sizes
// that a damaged file names do not overflow.
const maxInner = 1 << 20

// attention loads a block. With memory it attends to the encoder's output.
func (s scope) attention(d, heads int, preNorm, memory bool) *multiHeadAttention {
	s.reject(unsupportedAttention...)
	a := &multiHeadAttention{preNorm: preNorm, heads: heads, norm: s.at("layer_norm").layerNorm(d)}
	a.dHead = s.integer("head_dim", d/max(heads, 1))
	inner := a.dHead * heads
	if heads <= 0 || heads > maxInner || a.dHead <= 0 || a.dHead > maxInner || inner > maxInner {
		s.l.fail("%q: %d heads do not fit in %d dimensions", s.path, heads, d)
		return a
	}
	s.checkWidth(inner, d)
	a.scale = float32(s.number("queries_scale", float64(1/float32(math.Sqrt(float64(float32(a.dHead)))))))
	if memory {
		a.in = s.at("linear_0").dense(inner, d)
		a.kv = s.at("linear_1").dense(2*inner, d)
		a.out = s.at("linear_2").dense(d, inner)
	} else {
		a.in = s.at("linear_0").dense(3*inner, d)
		a.out = s.at("linear_1").dense(d, inner)
	}
	s.relativePositions(a)
	return a
}

func (s scope) relativePositions(a *multiHeadAttention) {
	if v := s.find("relative_attention_bias"); v != nil {
		a.bias = s.relativeBias(v, a.heads)
		return
	}
	if v := s.find("relative_position_keys"); v != nil {
		a.keys = s.relativeTable(v, a.dHead)
		a.maxRel = (v.Shape[0] - 1) / 2
		if v := s.find("relative_position_values"); v != nil {
			a.values = s.relativeTable(v, a.dHead)
			if len(a.values) != len(a.keys) {
				s.l.fail("%q: relative position keys and values differ in shape", s.path)
			}
		}
	}
}

func (s scope) relativeTable(v *Variable, dHead int) []float32 {
	if len(v.Shape) != 2 || v.Shape[1] != dHead || v.Shape[0]%2 == 0 {
		s.l.fail("variable %q has shape %v, [odd %d] is needed", v.Name, v.Shape, dHead)
		v.Shape = []int{1, dHead}
		return make([]float32, dHead)
	}
	return s.l.floats(v)
}

// hasPositions reports whether the block knows positions by itself, so that
// none are added to the embeddings.
func (a *multiHeadAttention) hasPositions() bool { return a.bias != nil || a.keys != nil }

// inner is the width of all heads together.
func (a *multiHeadAttention) inner() int { return a.heads * a.dHead }

// project normalizes x [m][d] if the block does that first and multiplies it
// by in, into w.wide [m][in.n].
func (a *multiHeadAttention) project(w *workspace, x []float32, m, d int) []float32 {
	in := input{x: x, ld: d, m: m, q: &w.q}
	if a.preNorm {
		in = w.normalized(a.norm, x, m, d, a.in)
	}
	out := w.wide.Floats(m * a.in.n)
	a.in.forward(w.exec, out, a.in.n, &in, kernels.Epilogue{})
	return out
}

// finish adds the projected context [m][inner] to x [m][d].
func (a *multiHeadAttention) finish(w *workspace, x, context []float32, m, d int) {
	a.out.forward(w.exec, x, d, &input{x: context, ld: a.inner(), m: m, q: &w.q}, kernels.Epilogue{Residual: x, ResidualStride: d})
	if !a.preNorm {
		w.norm(a.norm, x, m, d)
	}
}

// queryRows is how many queries of a sequence one task of the encoder's
// attention handles: scores of [queryRows][time] stay in the cache.
const queryRows = 16

// encoderAttention is the encoder's self-attention over sequences that lie one
// behind the other, without padding.
type encoderAttention struct {
	a       *multiHeadAttention
	bias    *relativeBias
	qkv     []float32 // [m][3·inner]
	context []float32 // [m][inner]
	blocks  []queryBlock
	exec    *kernels.Executor
}

// queryBlock is rows [first, first+n) of the sequence at rows [start, start+time).
type queryBlock struct{ start, time, first, n int }

// appendBlocks cuts a sequence of time rows at start into blocks.
func appendBlocks(blocks []queryBlock, start, time int) []queryBlock {
	for i := 0; i < time; i += queryRows {
		blocks = append(blocks, queryBlock{start, time, i, min(queryRows, time-i)})
	}
	return blocks
}

// Do computes the context of one block and head.
func (t *encoderAttention) Do(thread, i int) {
	a, b, h := t.a, t.blocks[i/t.a.heads], i%t.a.heads
	inner, dh, ld := a.inner(), a.dHead, 3*a.inner()
	q := t.qkv[(b.start+b.first)*ld+h*dh:]
	k := t.qkv[b.start*ld+inner+h*dh:]
	v := t.qkv[b.start*ld+2*inner+h*dh:]
	scores := scratch(t.exec, thread, b.n*b.time)
	kernels.GemmNT(scores, b.time, q, ld, b.n, k, ld, b.time, dh, a.scale)
	for r := range b.n {
		row := scores[r*b.time : (r+1)*b.time]
		a.relate(row, q[r*ld:r*ld+dh], t.bias, h, b.first+r, false)
		kernels.Softmax(row)
	}
	out := t.context[(b.start+b.first)*inner+h*dh:]
	kernels.GemmNN(out, inner, scores, b.time, b.n, v, ld, dh, b.time, false)
	for r := range b.n {
		a.relateValues(out[r*inner:r*inner+dh], scores[r*b.time:(r+1)*b.time], b.first+r)
	}
}

// scratch returns n floats of the thread's own.
func scratch(e *kernels.Executor, thread, n int) []float32 {
	return view[float32](e.Scratch(thread, 4*n))
}

// relate adds to the scores of the query at position pos and the keys at
// positions 0.. what the block knows of their distances.
func (a *multiHeadAttention) relate(scores, query []float32, bias *relativeBias, head, pos int, decoder bool) {
	if bias != nil {
		bias.add(scores, head, pos, decoder)
	}
	if a.keys == nil {
		return
	}
	for j := range scores {
		at := (min(max(j-pos, -a.maxRel), a.maxRel) + a.maxRel) * a.dHead
		var dot [1]float32
		kernels.GemmNT(dot[:], 1, query, a.dHead, 1, a.keys[at:at+a.dHead], a.dHead, 1, a.dHead, a.scale)
		scores[j] += dot[0]
	}
}

// relateValues adds the relative position values, weighted by attention.
func (a *multiHeadAttention) relateValues(context, attention []float32, pos int) {
	if a.values == nil {
		return
	}
	for j := range attention {
		at := (min(max(j-pos, -a.maxRel), a.maxRel) + a.maxRel) * a.dHead
		kernels.GemmNN(context, a.dHead, attention[j:j+1], 1, 1, a.values[at:at+a.dHead], a.dHead, a.dHead, 1, true)
	}
}
