package translate

import (
	"fmt"
	"unicode/utf8"
)

// Tokenizer turns text into pieces and back; *sentencepiece.Processor is one.
type Tokenizer interface {
	Encode(text string) []string
	Decode(pieces []string) string
}

// plan is a text cut into what the model gets and what is between.
type plan struct {
	text   string
	parts  []part
	units  []unit
	tokens int // of all sources
}

// part is text[start:end] in a plan.
type part struct {
	start, end int
	unit       int // index in units; -1: kept as it is
}

// unit is one source of the model.
type unit struct {
	part   int // index in parts
	wraps  []wrap
	source []string // framed tokens
}

// newPlan splits and tokenizes text.
func (p *Pipeline) newPlan(text, source, target string) (*plan, error) {
	pl := &plan{text: text}
	for _, s := range Split(text, source) {
		if s.Kind != Sentence {
			pl.parts = append(pl.parts, part{s.Start, s.End, -1})
			continue
		}
		p.addSentence(pl, s, source, target)
		if limit := p.opts.MaxTextTokens; limit > 0 && pl.tokens > limit {
			return nil, fmt.Errorf("%w: it has more than %d tokens", ErrTooLong, limit)
		}
	}
	return pl, nil
}

// addSentence adds a sentence as one unit, or as several if it has too many
// tokens.
func (p *Pipeline) addSentence(pl *plan, s Span, source, target string) {
	line := unwrap(pl.text, s.Start, s.End, s.wraps)
	pieces := p.models.SourceTokenizer.Encode(line)
	if len(pieces) <= p.maxPieces {
		p.addUnit(pl, s.Start, s.End, s.wraps, pieces, source, target)
		return
	}
	// Wraps of so long a sentence stay where they are: its parts end there.
	start := s.Start
	for _, w := range append(s.wraps, wrap{s.End, s.End}) {
		for _, piece := range fit(pl.text[start:w.start], p.maxPieces, p.count) {
			lo, hi := trim(pl.text, start, start+len(piece))
			pl.keep(lo)
			if hi > lo {
				p.addUnit(pl, lo, hi, nil, p.models.SourceTokenizer.Encode(pl.text[lo:hi]), source, target)
			}
			start += len(piece)
			pl.keep(start)
		}
		pl.keep(w.end)
		start = w.end
	}
}

func (p *Pipeline) count(text string) int { return len(p.models.SourceTokenizer.Encode(text)) }

// keep adds what is between the last part and end as it is.
func (pl *plan) keep(end int) {
	start := 0
	if n := len(pl.parts); n > 0 {
		start = pl.parts[n-1].end
	}
	if end > start {
		pl.parts = append(pl.parts, part{start, end, -1})
	}
}

func (p *Pipeline) addUnit(pl *plan, start, end int, wraps []wrap, pieces []string, source, target string) {
	framed := p.frame.source(pieces, p.frame.tokens[source], p.frame.tokens[target])
	pl.parts = append(pl.parts, part{start, end, len(pl.units)})
	pl.units = append(pl.units, unit{part: len(pl.parts) - 1, wraps: wraps, source: framed})
	pl.tokens += len(framed)
}

// gap returns what has to stand before part i although the source has nothing
// there: a space between two sentences that a script without spaces sets
// without one, if the translation is in another script.
func (pl *plan) gap(i int, before, translation string) string {
	if i == 0 || pl.parts[i-1].unit < 0 || pl.parts[i].unit < 0 || before == "" || translation == "" {
		return ""
	}
	last, _ := utf8.DecodeLastRuneInString(before)
	first, _ := utf8.DecodeRuneInString(translation)
	if isCJK(first) || isUnspaced(first) || last >= 0x3000 && last < 0x3040 || last >= 0xFF00 && last < 0xFFF0 {
		return ""
	}
	return " "
}
