package translate

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/flores"
)

// Translator is the runtime of a sequence-to-sequence model;
// *ctranslate2.Translator is one.
type Translator interface {
	TranslateBatch(ctx context.Context, source, targetPrefix [][]string, opts ctranslate2.TranslationOptions) ([]ctranslate2.Result, error)
	MaxPositions() int
	Close() error
}

// Models are what a pipeline is made of.
type Models struct {
	Translator       Translator
	SourceVocabulary Vocabulary
	TargetVocabulary Vocabulary
	SourceTokenizer  Tokenizer
	TargetTokenizer  Tokenizer // nil: the source's
	Detector         Detector  // nil: the source language must be named
	AddsSourceEnd    bool      // the runtime adds the end token to sources
}

// Options say how a pipeline is opened and works. The zero value is good.
type Options struct {
	// Runtime is passed to the runtime.
	Runtime ctranslate2.Options
	// ModelPath, TokenizerPath and DetectorPath name the folder with model.bin,
	// the SentencePiece model and the fastText model, relative to the folder
	// that is opened, if it has several. See Open.
	ModelPath, TokenizerPath, DetectorPath string
	// BeamSize is that of requests that name none; 0: 1.
	BeamSize int
	// MaxSegmentTokens is how many tokens a source may have; longer sentences
	// are split. 0: 256, as NLLB's quality falls with longer ones. The model's
	// own limit counts too.
	MaxSegmentTokens int
	// MaxTextTokens is how many tokens a text may have; 0: no limit.
	MaxTextTokens int
	// DetectionThreshold is the probability below which a language is
	// undetermined; 0: 0.25.
	DetectionThreshold float64
}

func (o Options) withDefaults() Options {
	o.BeamSize = cmp.Or(o.BeamSize, 1)
	o.MaxSegmentTokens = cmp.Or(o.MaxSegmentTokens, 256)
	o.DetectionThreshold = cmp.Or(o.DetectionThreshold, 0.25)
	return o
}

// Pipeline translates text: it splits it into sentences, detects its language,
// encodes, decodes and joins again. It is safe to use from concurrent
// goroutines.
type Pipeline struct {
	models    Models
	opts      Options
	frame     *frame
	maxPieces int // of one source, without what framing adds
	files     Files
}

// New makes a pipeline of models, which Close closes.
func New(models Models, opts Options) (*Pipeline, error) {
	p := &Pipeline{models: models, opts: opts.withDefaults()}
	if p.models.TargetTokenizer == nil {
		p.models.TargetTokenizer = p.models.SourceTokenizer
	}
	p.frame = newFrame(models.SourceVocabulary, models.TargetVocabulary, models.AddsSourceEnd)
	limit := p.opts.MaxSegmentTokens
	if n := models.Translator.MaxPositions(); n > 0 {
		limit = min(limit, n)
	}
	p.maxPieces = limit - len(p.frame.source(nil, "", "")) - 1
	if p.maxPieces < 1 {
		return nil, fmt.Errorf("%w: sources of %d tokens leave no room for text", ErrInvalidModel, limit)
	}
	return p, nil
}

// Close closes the models. It waits for running requests.
func (p *Pipeline) Close() error { return p.models.Translator.Close() }

// Family returns the kind of model: "nllb", "m2m100", "mbart", "mbart50", "t5",
// "marian" or "plain" (a model without language tokens).
func (p *Pipeline) Family() string { return p.frame.family }

// Languages returns the FLORES codes that the model translates between, sorted;
// nil if its vocabulary does not say.
func (p *Pipeline) Languages() []string { return p.frame.languages() }

// CanDetect reports whether there is a language detector.
func (p *Pipeline) CanDetect() bool { return p.models.Detector != nil }

// Request is one text to translate.
type Request struct {
	Text   string
	Source string // FLORES code or what flores.Resolve knows; "": detect it
	Target string // likewise, required

	BeamSize          int              // 0: Options.BeamSize
	MaxDecodingLength int              // in tokens for each segment; 0: as needed, at least 256
	Lane              ctranslate2.Lane // how urgent it is

	// OnSegment, if set, is called in order as each segment is done. OnText, if
	// set, is called with each further part of the translation as it is
	// decoded, including what is between the segments; the parts make
	// Result.Text. Both are called from the goroutine of Translate.
	// With a beam size above 1 they are called when all is done.
	OnSegment func(Segment)
	OnText    func(string)
}

// Segment is a translated part of a text, normally a sentence.
type Segment struct {
	Index      int
	Start, End int    // byte offsets of the source in Request.Text
	Text       string // the translation

	SourceTokens int  // with the special ones
	Tokens       int  // generated, with the target prefix
	Truncated    bool // the decoding limit ended it
	Retried      bool // the model looped, and this is its second try
}

// Result is a translated text.
type Result struct {
	Text           string
	Source, Target string     // FLORES codes
	Detected       *Detection // nil if the request names the source
	Segments       []Segment
	SourceTokens   int // of all segments
	Tokens         int // generated for all segments
	Tokenize       time.Duration
	Inference      time.Duration
}

// detectedCandidates is how many candidates Result.Detected has.
const detectedCandidates = 5

// Translate translates a text. All its sentences go to the model in one batch.
// What is between them, and a part without a letter, such as a number or a URL,
// comes back byte for byte; so does a text in the target language. When ctx
// ends, it returns ctx's error within one decoding step. Other errors are
// ErrEmptyText, ErrUndetermined, ErrNoDetector, ErrTooLong,
// *UnsupportedLanguageError, *flores.UnknownLanguageError and the runtime's.
func (p *Pipeline) Translate(ctx context.Context, req Request) (Result, error) {
	if strings.TrimSpace(req.Text) == "" {
		return Result{}, ErrEmptyText
	}
	var r Result
	var err error
	if r.Target, err = p.language(req.Target, "target", false); err != nil {
		return Result{}, err
	}
	if err := p.resolveSource(&r, req); err != nil {
		return Result{}, err
	}
	if r.Source == "" || r.Source == r.Target {
		return unchanged(r, req), nil
	}
	start := time.Now()
	pl, err := p.newPlan(req.Text, r.Source, r.Target)
	if err != nil {
		return Result{}, err
	}
	r.SourceTokens, r.Tokenize = pl.tokens, time.Since(start)
	return p.run(ctx, req, pl, r)
}

// unchanged is the result of a text that needs no model.
func unchanged(r Result, req Request) Result {
	r.Text = req.Text
	if req.OnText != nil {
		req.OnText(req.Text)
	}
	return r
}

// resolveSource sets the source language. It stays empty if none is named and
// the text has nothing to translate.
func (p *Pipeline) resolveSource(r *Result, req Request) (err error) {
	if req.Source != "" {
		r.Source, err = p.language(req.Source, "source", false)
		return err
	}
	if !slices.ContainsFunc(Split(req.Text, ""), func(s Span) bool { return s.Kind == Sentence }) {
		return nil
	}
	d, err := p.Detect(req.Text, detectedCandidates)
	if err != nil {
		return err
	}
	r.Detected = &d
	if d.Language == "" {
		return ErrUndetermined
	}
	r.Source, err = p.language(d.Language, "source", true)
	return err
}

// language returns the FLORES code of a name, if the model serves it.
func (p *Pipeline) language(name, role string, detected bool) (string, error) {
	l, err := flores.Resolve(name)
	if err != nil {
		return "", fmt.Errorf("translate: %s language: %w", role, err)
	}
	if p.frame.serves(l.Code) {
		return l.Code, nil
	}
	e := &UnsupportedLanguageError{Code: l.Code, Role: role, Detected: detected}
	for _, code := range p.Languages() {
		if other, _ := flores.Lookup(code); other.ISO6393 == l.ISO6393 {
			e.Suggestions = append(e.Suggestions, code)
		}
	}
	return "", e
}

// run translates the units of a plan and joins them.
func (p *Pipeline) run(ctx context.Context, req Request, pl *plan, r Result) (Result, error) {
	start := time.Now()
	a := newAssembler(p, pl, req)
	if err := p.decode(ctx, req, pl, a, r.Target); err != nil {
		return Result{}, err
	}
	a.finish()
	r.Inference = time.Since(start)
	r.Text, r.Segments = a.text.String(), a.segments
	for _, s := range r.Segments {
		r.Tokens += s.Tokens
	}
	return r, nil
}

// options returns the runtime's options for a request.
func (p *Pipeline) options(req Request, pl *plan) ctranslate2.TranslationOptions {
	o := ctranslate2.DefaultTranslationOptions()
	o.BeamSize = cmp.Or(req.BeamSize, p.opts.BeamSize)
	o.Lane = req.Lane
	o.MaxInputLength = 0 // sources are never cut
	longest := 0
	for _, u := range pl.units {
		longest = max(longest, len(u.source))
	}
	o.MaxDecodingLength = cmp.Or(req.MaxDecodingLength, max(o.MaxDecodingLength, 3*longest))
	if n := p.models.Translator.MaxPositions(); n > 0 {
		o.MaxDecodingLength = min(o.MaxDecodingLength, n)
	}
	o.MinDecodingLength = min(o.MinDecodingLength, o.MaxDecodingLength)
	return o
}
