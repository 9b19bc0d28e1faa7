package ctranslate2

import "github.com/sematech/sema/ctranslate2/memory"

type encoderLayer struct {
	self *multiHeadAttention
	ffn  *feedForward
}

// encoder is a TransformerEncoder.
type encoder struct {
	d          int
	embeddings *embeddings
	positions  *positions
	norm       *layerNorm // on the embeddings, or nil
	finalNorm  *layerNorm // or nil
	layers     []encoderLayer
	bias       *relativeBias // of the first layer
}

func (s scope) encoder() *encoder {
	s.reject("multi_query_attention")
	s.find("embeddings_merge")
	embed := s.at("embeddings_0")
	if !embed.exists() {
		embed = s.at("embeddings")
	}
	if s.at("embeddings_1").exists() {
		s.l.fail("source features (%q) are not supported", s.join("embeddings_1"))
	}
	c := &encoder{embeddings: embed.embeddings(s)}
	if c.embeddings == nil {
		return c
	}
	c.d = c.embeddings.k
	heads, preNorm, act := s.integer("num_heads", 8), s.flag("pre_norm", true), s.activation()
	for i := 0; s.at("layer_%d", i).exists() && s.l.err == nil; i++ {
		l := s.at("layer_%d", i)
		l.reject(unsupportedLayers...)
		c.layers = append(c.layers, encoderLayer{
			self: l.at("self_attention").attention(c.d, heads, preNorm, false),
			ffn:  l.at("ffn").feedForward(c.d, preNorm, act),
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
	c.chain()
	return c
}

// chain chains the layers.
func (c *encoder) chain() {
	var all []*dense
	for _, l := range c.layers {
		all = append(all, l.self.in, l.self.out, l.ffn.up, l.ffn.gate, l.ffn.down)
	}
	chain(all)
}

// encoding is a batch of sequences on its way through the encoder. It is run
// some layers at a time, so that decoding goes on in between.
type encoding struct {
	seqs   []*sequence
	m      int // rows: the sequences' lengths together
	blocks []queryBlock
	x      memory.Buffer // [m][d]
	layer  int           // the next to run
}

// begin embeds the source of seqs.
func (c *encoder) begin(b *encoding, seqs []*sequence) {
	b.seqs, b.m, b.layer, b.blocks = seqs, 0, 0, b.blocks[:0]
	for _, s := range seqs {
		b.blocks = appendBlocks(b.blocks, b.m, len(s.source))
		b.m += len(s.source)
	}
	x, i := b.x.Floats(b.m*c.d), 0
	for _, s := range seqs {
		for pos, token := range s.source {
			row := x[i*c.d : (i+1)*c.d]
			c.embeddings.lookup(row, token)
			c.positions.add(row, pos)
			i++
		}
	}
	if c.norm != nil {
		c.norm.forward(x, b.m, c.d)
	}
}

// advance runs up to n layers and reports whether the encoder is done.
func (c *encoder) advance(w *workspace, b *encoding, n int) bool {
	x := b.x.Floats(b.m * c.d)
	for ; n > 0 && b.layer < len(c.layers); n-- {
		l := &c.layers[b.layer]
		c.attend(w, l.self, b, x)
		l.ffn.forward(w, x, b.m, c.d)
		b.layer++
	}
	if b.layer < len(c.layers) {
		return false
	}
	if c.finalNorm != nil {
		w.norm(c.finalNorm, x, b.m, c.d)
	}
	return true
}

func (c *encoder) attend(w *workspace, a *multiHeadAttention, b *encoding, x []float32) {
	qkv := a.project(w, x, b.m, c.d)
	t := &w.encoderTask
	*t = encoderAttention{a: a, qkv: qkv, context: w.context.Floats(b.m * a.inner()), blocks: b.blocks, exec: w.exec}
	if a.bias != nil {
		t.bias = c.bias
	}
	w.exec.Parallel(len(b.blocks)*a.heads, t)
	a.finish(w, x, t.context, b.m, c.d)
}
