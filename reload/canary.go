package reload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sematech/sema/flores"
	"github.com/sematech/sema/translate"
)

// Canary says what new models must do before they serve, besides translating
// and detecting built-in sentences of the languages that they have.
type Canary struct {
	Off       bool          // new models are not tried
	Sentences []Sentence    // must be translated too
	Latency   time.Duration // bound for one sentence; 0: 20 s
	Golden    Golden        // whose translations must reach MinChrF
	MinChrF   float64       // 0..100
}

// Sentence is a text with its language and the one to translate it to, as FLORES
// codes.
type Sentence struct{ Source, Target, Text string }

// trial is a sentence to translate, with its reference if there is one.
type trial struct {
	Sentence
	reference string
}

// sentences are built in: everyday words, scripts of all kinds.
var sentences = []struct{ language, text string }{
	{"eng_Latn", "Good morning, how are you today?"},
	{"swh_Latn", "Habari ya asubuhi, habari yako leo?"},
	{"fra_Latn", "Bonjour, comment allez-vous aujourd'hui ?"},
	{"arb_Arab", "صباح الخير، كيف حالك اليوم؟"},
	{"rus_Cyrl", "Доброе утро, как у вас сегодня дела?"},
	{"hin_Deva", "सुप्रभात, आज आप कैसे हैं?"},
	{"zho_Hans", "早上好，你今天好吗？"},
	{"amh_Ethi", "እንደምን አደርክ፣ ዛሬ እንዴት ነህ?"},
	{"spa_Latn", "Buenos días, ¿cómo está usted hoy?"},
}

// backwards is how many languages are translated into the first one too.
const backwards = 3

// builtIn returns the built-in trials for models that serve languages.
func builtIn(languages []string) []trial {
	var known []int
	for i, s := range sentences {
		if slices.Contains(languages, s.language) {
			known = append(known, i)
		}
	}
	if len(known) < 2 { // models that don't say what they serve, or serve others
		pair := append(slices.Clone(languages), "eng_Latn", "fra_Latn")
		return []trial{{Sentence: Sentence{pair[0], pair[1], sentences[0].text}}}
	}
	first := sentences[known[0]]
	var trials []trial
	for n, i := range known[1:] {
		s := sentences[i]
		trials = append(trials, trial{Sentence: Sentence{first.language, s.language, first.text}})
		if n < backwards {
			trials = append(trials, trial{Sentence: Sentence{s.language, first.language, s.text}})
		}
	}
	return trials
}

// trials returns those that the options add.
func (o Canary) trials() ([]trial, error) {
	var trials []trial
	for _, s := range o.Sentences {
		if s.Target == "" || strings.TrimSpace(s.Text) == "" {
			return nil, fmt.Errorf("reload: the canary sentence %q to %q lacks its text or its target language", s.Text, s.Target)
		}
		trials = append(trials, trial{Sentence: s})
	}
	return append(trials, o.Golden...), nil
}

// coldness is how many times longer than of the canary a sentence may take of
// models that may have to come from a slow disk first.
const coldness = 10

// warm translates, so that what is computed or paged in once is there when
// requests come. Damaged weights show here as well. Models that are slow even
// so are not refused here, only not waited for: whether they are fast enough is
// for the canary to say, if it is asked.
func (c *Controller) warm(ctx context.Context, p *translate.Pipeline) error {
	s := builtIn(p.Languages())[0]
	within, cancel := context.WithTimeout(ctx, coldness*c.opts.Canary.Latency)
	defer cancel()
	for _, text := range []string{s.Text, strings.Repeat(s.Text+" ", 4)} {
		_, err := p.Translate(within, translate.Request{Text: text, Source: s.Source, Target: s.Target})
		if within.Err() != nil && ctx.Err() == nil {
			c.opts.Log.WithField("limit", (coldness * c.opts.Canary.Latency).Seconds()).Warn("models_slow_to_warm")
			return nil
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// try lets models translate and detect, and returns what they do wrong.
func (c *Controller) try(ctx context.Context, p *translate.Pipeline) error {
	if c.opts.Canary.Off {
		return nil
	}
	languages := p.Languages()
	var hypotheses, references []string
	for _, t := range append(builtIn(languages), c.canary...) {
		text, err := c.translate(ctx, p, t.Sentence, languages != nil)
		if err != nil {
			return fmt.Errorf("reload: canary %q from %s to %s: %w", t.Text, cmp.Or(t.Source, "any language"), t.Target, err)
		}
		if t.reference != "" {
			hypotheses, references = append(hypotheses, text), append(references, t.reference)
		}
	}
	if score := ChrF(hypotheses, references); len(references) > 0 && score < c.opts.Canary.MinChrF {
		return fmt.Errorf("reload: canary: the golden file has a chrF of %.1f, and %.1f is the floor", score, c.opts.Canary.MinChrF)
	}
	return c.detect(p, languages)
}

// translate translates a sentence and judges the translation.
func (c *Controller) translate(ctx context.Context, p *translate.Pipeline, s Sentence, knowsLanguages bool) (string, error) {
	limit := c.opts.Canary.Latency
	within, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	request := translate.Request{Text: s.Text, Source: s.Source, Target: s.Target}
	r, err := p.Translate(within, request)
	switch {
	case ctx.Err() != nil:
		return "", ctx.Err()
	case errors.Is(err, context.DeadlineExceeded):
		return "", fmt.Errorf("no translation within %s", limit)
	case err != nil:
		return "", err
	case strings.TrimSpace(r.Text) == "":
		return "", errors.New("the translation is empty")
	case looped(request, r):
		return "", fmt.Errorf("the translation loops: %.80q", r.Text)
	case knowsLanguages && !flores.ScriptMatches(r.Target, r.Text):
		return "", fmt.Errorf("the translation is in the script %s: %.80q", flores.Script(r.Text), r.Text)
	}
	return r.Text, nil
}

// detect lets models detect the languages of the built-in sentences that they
// serve: most must be right. Models without a detector must not follow models
// with one.
func (c *Controller) detect(p *translate.Pipeline, languages []string) error {
	if !p.CanDetect() {
		if now := c.opts.Store.Current(); now != nil && now.Models.CanDetect() {
			return errors.New("reload: canary: there is no language detector, and the models that serve have one")
		}
		return nil
	}
	right, all := 0, 0
	for _, s := range sentences {
		if languages != nil && !slices.Contains(languages, s.language) {
			continue
		}
		all++
		d, err := p.Detect(s.text, 1)
		if err != nil {
			return fmt.Errorf("reload: canary: detect the language of %q: %w", s.text, err)
		}
		if d.Language == s.language {
			right++
		}
	}
	if 2*right < all {
		return fmt.Errorf("reload: canary: the languages of %d sentences of %d are detected right", right, all)
	}
	return nil
}
