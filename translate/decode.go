package translate

import (
	"context"
	"sync"

	"github.com/sematech/sema/ctranslate2"
)

// decode runs the units of a plan in one batch and hands their translations to
// a. Units on which the model loops are decoded again.
func (p *Pipeline) decode(ctx context.Context, req Request, pl *plan, a *assembler, target string) error {
	if len(pl.units) == 0 {
		return nil
	}
	opts := p.options(req, pl)
	c := newCollector(pl, req.OnText != nil || req.OnSegment != nil)
	if opts.BeamSize == 1 {
		opts.Callback = c.step
	}
	all := make([]int, len(pl.units))
	for i := range all {
		all[i] = i
	}
	var hypotheses [][]string
	var err error
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		hypotheses, err = p.batch(ctx, pl, all, target, opts)
	}()
	c.deliver(a, returned)
	if err != nil {
		return err
	}
	return p.settle(ctx, pl, a, target, opts, hypotheses)
}

// batch returns the best hypotheses of the units with the given indices.
func (p *Pipeline) batch(ctx context.Context, pl *plan, units []int, target string, opts ctranslate2.TranslationOptions) ([][]string, error) {
	sources, hypotheses := make([][]string, len(units)), make([][]string, len(units))
	var prefixes [][]string
	for i, u := range units {
		sources[i] = pl.units[u].source
		if prefix := p.frame.prefix(p.frame.tokens[target]); prefix != nil {
			prefixes = append(prefixes, prefix)
		}
	}
	results, err := p.models.Translator.TranslateBatch(ctx, sources, prefixes, opts)
	if err != nil {
		return nil, err
	}
	for i, r := range results {
		if len(r.Hypotheses) > 0 {
			hypotheses[i] = r.Hypotheses[0]
		}
	}
	return hypotheses, nil
}

// settle hands over the units that were not streamed to their end, after it has
// decoded those with a loop again. A second try without a loop counts.
func (p *Pipeline) settle(ctx context.Context, pl *plan, a *assembler, target string, opts ctranslate2.TranslationOptions, hypotheses [][]string) error {
	var looped []int
	for u, h := range hypotheses {
		if a.canRetry(u) && hasLooped(pl.units[u].source, h) {
			looped = append(looped, u)
		} else {
			a.done(u, outcome{tokens: h, truncated: len(h) >= opts.MaxDecodingLength})
		}
	}
	if len(looped) == 0 {
		return nil
	}
	retry := opts
	retry.Callback, retry.NoRepeatNgramSize, retry.RepetitionPenalty = nil, 4, 1.1
	again, err := p.batch(ctx, pl, looped, target, retry)
	if err != nil {
		return err
	}
	for i, u := range looped {
		o := outcome{tokens: again[i], retried: true, truncated: len(again[i]) >= opts.MaxDecodingLength}
		if hasLooped(pl.units[u].source, again[i]) {
			o = outcome{tokens: hypotheses[u], retried: true, truncated: true}
		}
		a.done(u, o)
	}
	return nil
}

// collector takes the tokens of a batch from the runtime, which must not wait,
// to the goroutine of Translate.
type collector struct {
	streams bool
	units   []decoding // by the runtime's goroutine only

	mu    sync.Mutex
	queue []token
	wake  chan struct{} // has room for one
}

type decoding struct {
	tokens    []string
	mayRepeat bool // the source repeats itself too
}

type token struct {
	unit int
	text string
	last bool
}

func newCollector(pl *plan, streams bool) *collector {
	c := &collector{streams: streams, units: make([]decoding, len(pl.units)), wake: make(chan struct{}, 1)}
	for i, u := range pl.units {
		c.units[i].mayRepeat = loops(u.source)
	}
	return c
}

// step is the runtime's callback. It ends hypotheses that loop.
func (c *collector) step(s ctranslate2.StepResult) (stop bool) {
	d := &c.units[s.BatchID]
	d.tokens = append(d.tokens, s.Token)
	stop = !d.mayRepeat && endsInLoop(d.tokens)
	if c.streams {
		c.mu.Lock()
		c.queue = append(c.queue, token{s.BatchID, s.Token, s.IsLast && !stop})
		c.mu.Unlock()
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return stop
}

// deliver hands tokens to a until the batch has returned.
func (c *collector) deliver(a *assembler, returned <-chan struct{}) {
	for {
		select {
		case <-returned:
			c.drain(a)
			return
		case <-c.wake:
			c.drain(a)
		}
	}
}

func (c *collector) drain(a *assembler) {
	c.mu.Lock()
	queue := c.queue
	c.queue = nil
	c.mu.Unlock()
	for _, t := range queue {
		a.token(t)
	}
}
