package ctranslate2

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"time"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// Options say how a model is opened.
type Options struct {
	// ComputeType is CTranslate2's: "default" (or empty) keeps the saved type,
	// "int8", "float32", ... convert at load.
	ComputeType string
	// Threads is the number of compute threads; 0: the CPUs that the process
	// may use.
	Threads int
	// CacheBytes bounds the memory of keys and values of all running
	// sequences; 0: 4 GiB, which is reserved but used only as needed.
	CacheBytes int
	// CoarseBytes bounds the private memory of a coarse copy of the output layer, which
	// spares greedy decoding half of the layer's bytes, of float32 seven eighths,
	// and changes no result; 0: 144 MiB, if the layer is too large for the
	// processor's caches; negative: none, neither there nor in CopyDir.
	CoarseBytes int
	// CopyDir is a folder on a disk for copies of weights that would take too much
	// private memory: a larger output layer's coarse copy, and transposed weights,
	// which spare steps with few rows what they would multiply by zeros. They are made
	// while the model runs already, in a file without a name, if as much as the model
	// stays free there, and change no result. Empty: none.
	CopyDir string
	// OnCopied, if set, is told how many bytes of copies are used from then on and how
	// long they took, or why there are none.
	OnCopied func(bytes int, took time.Duration, err error)
}

const (
	defaultCacheBytes  = 4 << 30
	defaultCoarseBytes = 144 << 20
	// coarsePays is the least size of an output layer, in bytes, that is copied
	// by default.
	coarsePays = 8 << 20
)

// A Translator runs one model. It is safe to use from concurrent goroutines,
// whose sequences then share one decoding batch.
type Translator struct {
	model  *model
	engine *engine
}

// Open maps the model in the folder dir, as a CTranslate2 converter made it:
// model.bin, config.json and the vocabularies. The error wraps ErrInvalidModel
// if the files can't be used and names what is wrong. The files must not change
// in place while the translator is open.
func Open(dir string, opts Options) (*Translator, error) {
	return open(opts, func(e *kernels.Executor) (*model, error) { return openModel(dir, opts.ComputeType, e) })
}

// OpenFS opens the model in the folder dir of fsys, such as an embed.FS. The
// content of model.bin is used where fsys has it, if it has it in memory.
func OpenFS(fsys fs.FS, dir string, opts Options) (*Translator, error) {
	sub, err := fs.Sub(fsys, path.Clean(dir))
	if err != nil {
		return nil, err
	}
	data, err := fs.ReadFile(sub, "model.bin")
	if err != nil {
		return nil, describeMissing(dir, err)
	}
	return open(opts, func(e *kernels.Executor) (*model, error) {
		m, err := buildModel(sub, data, opts.ComputeType, e)
		if err != nil {
			return nil, fmt.Errorf("%w (in %s)", err, dir)
		}
		m.unmap = func() error { return nil }
		return m, nil
	})
}

// open starts the threads, which load and then run the model.
func open(opts Options, load func(*kernels.Executor) (*model, error)) (*Translator, error) {
	threads, budget := opts.Threads, opts.CacheBytes
	if threads <= 0 {
		threads = kernels.DefaultThreads()
	}
	if budget <= 0 {
		budget = defaultCacheBytes
	}
	exec := kernels.NewExecutor(min(threads, maxThreads))
	m, err := load(exec)
	if err != nil {
		exec.Close()
		return nil, err
	}
	e, err := newEngine(m, exec, budget)
	if err != nil {
		exec.Close()
		return nil, errors.Join(err, m.unmap())
	}
	e.copies = newCopies(m.decoder, m.decoder.addCoarse(exec, opts.CoarseBytes))
	e.copies.start(opts.CopyDir, m.size, e.signal, opts.OnCopied)
	go e.run()
	return &Translator{m, e}, nil
}

// Close waits for the calls under way, queued ones included, and unmaps the
// model. Calls made after it end with ErrClosed; so does a second Close.
func (t *Translator) Close() error {
	if err := t.engine.close(); err != nil {
		return err
	}
	return errors.Join(t.model.decoder.freeCoarse(), t.engine.copies.close(), t.model.unmap())
}

// SourceVocabulary returns the vocabulary of sources, TargetVocabulary the one
// of hypotheses and target prefixes.
func (t *Translator) SourceVocabulary() *Vocabulary { return t.model.source }

// TargetVocabulary returns the vocabulary of hypotheses and target prefixes.
func (t *Translator) TargetVocabulary() *Vocabulary { return t.model.target }

// MaxPositions returns how many positions the model has encodings for, of the
// source and of the target together; 0: no limit.
func (t *Translator) MaxPositions() int {
	e, d := t.model.encoder.positions.limit(), t.model.decoder.positions.limit()
	if e == 0 || d > 0 && d < e {
		return d
	}
	return e
}

// Copied returns a channel that is closed when all copies in Options.CopyDir are in use,
// or none will be made any more.
func (t *Translator) Copied() <-chan struct{} { return t.engine.copies.made }

// Threads returns the number of compute threads.
func (t *Translator) Threads() int { return t.engine.w.exec.Threads() }

// Result is the translation of one source.
type Result struct {
	Hypotheses [][]string    // best first, without the end token
	Scores     []float32     // of the hypotheses, if asked for
	Attention  [][][]float32 // [hypothesis][token][source], if asked for
}

// TranslateBatch translates sources, each a list of tokens. targetPrefix is
// empty or has, for each source, tokens that the hypotheses begin with. When
// ctx ends, the call returns its error within one decoding step. Errors wrap
// ErrInvalidOptions, ErrTooLarge, ErrDiverged or ErrClosed.
func (t *Translator) TranslateBatch(ctx context.Context, source, targetPrefix [][]string, opts TranslationOptions) ([]Result, error) {
	if len(targetPrefix) != 0 && len(targetPrefix) != len(source) {
		return nil, fmt.Errorf("%w: %d target prefixes for %d sources", ErrInvalidOptions, len(targetPrefix), len(source))
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	params, err := t.params(&opts)
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(source))
	j := &job{lane: opts.Lane, params: params, target: t.model.target, done: make(chan struct{})}
	for i, tokens := range source {
		var prefix []string
		if len(targetPrefix) != 0 {
			prefix = targetPrefix[i]
		}
		if t.contentLength(tokens) <= 0 {
			results[i] = t.emptyResult(tokens, prefix, &opts)
			continue
		}
		if err := t.addSequence(j, i, tokens, prefix); err != nil {
			return nil, err
		}
	}
	if len(j.seqs) == 0 {
		return results, nil
	}
	if err := t.engine.submit(j); err != nil {
		return nil, err
	}
	if err := t.engine.wait(ctx, j); err != nil {
		return nil, err
	}
	for _, s := range j.seqs {
		results[s.index] = t.result(s, source[s.index])
	}
	return results, nil
}

// params resolves the tokens in o.
func (t *Translator) params(o *TranslationOptions) (*decodingParams, error) {
	target := t.model.target
	n := t.model.decoder.projection.n
	if err := o.validate(n); err != nil {
		return nil, err
	}
	p := &decodingParams{TranslationOptions: o, vocabulary: n}
	for _, token := range o.EndTokens {
		id, err := target.lookup(token)
		if err != nil {
			return nil, err
		}
		p.endIDs = append(p.endIDs, id)
	}
	if len(o.EndTokens) == 0 {
		p.endIDs = []int32{target.id(target.eos)}
	}
	if o.DisableUnk {
		p.suppressed = append(p.suppressed, target.id(target.unk))
	}
	for _, tokens := range o.SuppressSequences {
		ids := make([]int32, len(tokens))
		for i, token := range tokens {
			id, err := target.lookup(token)
			if err != nil {
				return nil, err
			}
			ids[i] = id
		}
		switch len(ids) {
		case 0:
		case 1:
			p.suppressed = append(p.suppressed, ids[0])
		default:
			p.banned = append(p.banned, ids)
		}
	}
	return p, nil
}

// contentLength counts source tokens without bos, eos and a language token
// that stands behind eos.
func (t *Translator) contentLength(tokens []string) int {
	v, n := t.model.source, len(tokens)
	if n == 1 && (tokens[0] == v.bos || tokens[0] == v.eos) {
		return 0
	}
	length := n
	if n >= 2 {
		if tokens[0] == v.bos {
			length--
		}
		if tokens[n-1] == v.eos {
			length--
		} else if tokens[n-2] == v.eos {
			length -= 2
		}
	}
	return length
}

// emptyResult is the result of a source without content: its target prefix.
func (t *Translator) emptyResult(source, prefix []string, o *TranslationOptions) Result {
	var h []string
	if len(prefix) > 0 {
		h = slices.Clone(prefix)
		if t.model.config.DecoderStart == nil {
			h = h[1:]
		}
		h = h[:min(len(h), o.MaxDecodingLength)]
		for i, token := range h {
			h[i] = t.model.target.Token(int(t.model.target.id(token)))
		}
	}
	var r Result
	for range o.NumHypotheses {
		r.Hypotheses = append(r.Hypotheses, h)
		if o.ReturnScores {
			r.Scores = append(r.Scores, 0)
		}
		if o.ReturnAttention {
			attention := make([][]float32, len(h))
			for i := range attention {
				attention[i] = make([]float32, len(source))
			}
			r.Attention = append(r.Attention, attention)
		}
	}
	return r
}

// addSequence adds a source to the job.
func (t *Translator) addSequence(j *job, index int, source, prefix []string) error {
	s := &sequence{job: j, index: index, source: t.sourceIDs(source, j.params.MaxInputLength), params: j.params}
	if limit := t.model.encoder.positions.limit(); limit > 0 && len(s.source) > limit {
		return fmt.Errorf("%w: source %d has %d tokens, the model has position encodings for %d: set a smaller maximum input length", ErrInvalidOptions, index, len(s.source), limit)
	}
	target := t.model.target
	for _, token := range prefix {
		s.prefix = append(s.prefix, target.id(token))
	}
	if start := t.model.config.DecoderStart; start != nil {
		s.start = target.id(*start)
	} else if len(s.prefix) > 0 {
		s.start, s.prefix = s.prefix[0], s.prefix[1:]
	} else {
		return fmt.Errorf("%w: source %d has no target prefix, and this model wants its first decoder token there", ErrInvalidOptions, index)
	}
	j.params.anyPrefix = j.params.anyPrefix || len(s.prefix) > 0
	s.slots.arena, s.memSlots.arena = t.engine.arena, t.engine.arena
	s.pages = pagesFor(s.maxSlots()) + pagesFor(len(s.source))
	j.seqs = append(j.seqs, s)
	j.left++
	return nil
}

// sourceIDs returns the ids of the tokens with implicit special tokens, cut to
// limit in a way that keeps an end token, or one and a language, at the end.
func (t *Translator) sourceIDs(tokens []string, limit int) []int32 {
	v, c := t.model.source, t.model.config
	ids := make([]int32, 0, len(tokens)+2)
	if c.AddSourceBOS {
		ids = append(ids, v.id(v.bos))
	}
	for _, token := range tokens {
		ids = append(ids, v.id(token))
	}
	if c.AddSourceEOS {
		ids = append(ids, v.id(v.eos))
	}
	if limit <= 0 || len(ids) <= limit {
		return ids
	}
	n, eos := len(ids), v.id(v.eos)
	if ids[n-1] == eos {
		ids[limit-1] = eos
	} else if n >= 2 && ids[n-2] == eos && limit >= 2 {
		ids[limit-2], ids[limit-1] = eos, ids[n-1]
	}
	return ids[:limit]
}

// result turns the hypotheses of s into tokens.
func (t *Translator) result(s *sequence, source []string) Result {
	p := s.params
	var r Result
	for _, h := range s.search.results() {
		ids := h.tokens
		for !p.ReturnEndToken && len(ids) > 0 && p.isEnd(ids[len(ids)-1]) {
			ids = ids[:len(ids)-1]
		}
		tokens := make([]string, len(ids))
		for i, id := range ids {
			tokens[i] = t.model.target.Token(int(id))
		}
		if p.returnsAttention() {
			attention := t.sourceAttention(h.attention[:len(ids)], len(source))
			if p.ReplaceUnknowns {
				replaceUnknowns(tokens, source, attention, t.model.target.unk)
			}
			if p.ReturnAttention {
				r.Attention = append(r.Attention, attention)
			}
		}
		r.Hypotheses = append(r.Hypotheses, tokens)
		if p.ReturnScores {
			r.Scores = append(r.Scores, h.score)
		}
	}
	return r
}

// sourceAttention drops the attention to implicit special tokens.
func (t *Translator) sourceAttention(attention [][]float32, n int) [][]float32 {
	out := make([][]float32, len(attention))
	for i, a := range attention {
		if t.model.config.AddSourceBOS {
			a = a[min(1, len(a)):]
		}
		if t.model.config.AddSourceEOS { // none is left of an input cut to one token
			a = a[:max(len(a)-1, 0)]
		}
		out[i] = make([]float32, n)
		copy(out[i], a)
	}
	return out
}

// replaceUnknowns puts, for each unknown token, the source token that it
// attends to most.
func replaceUnknowns(tokens, source []string, attention [][]float32, unk string) {
	for i, token := range tokens {
		if token != unk {
			continue
		}
		best := 0
		for s, a := range attention[i] {
			if a > attention[i][best] {
				best = s
			}
		}
		tokens[i] = source[best]
	}
}

// StepBytes returns how many bytes of weights a decoding step of some rows
// reads: what bounds its speed when the rows are few.
func (t *Translator) StepBytes(rows int, greedy bool) int64 {
	d := t.model.decoder
	total := int64(rows) * d.embeddings.bytes() / int64(d.embeddings.n)
	if coarse := d.coarseBytes.Load(); greedy && coarse > 0 {
		total += coarse
	} else {
		total += d.projection.bytes()
	}
	for _, l := range d.layers {
		for _, w := range []*dense{l.self.in, l.self.out, l.cross.in, l.cross.out, l.ffn.up, l.ffn.gate, l.ffn.down} {
			if w != nil {
				total += w.bytes()
			}
		}
	}
	return total
}

// SkippedBytes returns how many bytes of weights steps have not read so far, of those
// that StepBytes counts, because they would have been multiplied by zeros.
func (t *Translator) SkippedBytes() int64 { return t.engine.w.exec.SkippedBytes() }
