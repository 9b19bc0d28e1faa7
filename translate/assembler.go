package translate

import (
	"strings"
)

// assembler puts the translation of a plan together, in order, from units that
// are done in any order.
type assembler struct {
	p   *Pipeline
	pl  *plan
	req Request

	text     strings.Builder
	segments []Segment
	next     int         // the part that is put in next
	states   []unitState // of units
}

type unitState struct {
	live  []string // tokens so far, if streamed
	shown string   // what of the translation is already in the text
	done  bool
	outcome
}

// outcome is how the decoding of a unit ended.
type outcome struct {
	tokens             []string
	truncated, retried bool
}

func newAssembler(p *Pipeline, pl *plan, req Request) *assembler {
	return &assembler{p: p, pl: pl, req: req, states: make([]unitState, len(pl.units))}
}

// token adds one token of a unit that is being decoded.
func (a *assembler) token(t token) {
	s := &a.states[t.unit]
	s.live = append(s.live, t.text)
	switch {
	case t.last && !hasLooped(a.pl.units[t.unit].source, s.live):
		a.done(t.unit, outcome{tokens: s.live})
	case a.req.OnText != nil && a.isNext(t.unit):
		a.show(t.unit)
	}
}

// isNext reports whether all before the unit is in the text.
func (a *assembler) isNext(u int) bool {
	return a.next < len(a.pl.parts) && a.pl.parts[a.next].unit == u
}

// canRetry reports whether nothing of the unit is given away yet.
func (a *assembler) canRetry(u int) bool { return a.states[u].shown == "" && !a.states[u].done }

// done ends a unit. The first outcome counts.
func (a *assembler) done(u int, o outcome) {
	if s := &a.states[u]; !s.done {
		s.done, s.outcome = true, o
		a.advance()
	}
}

// finish puts in what is left when all units are done.
func (a *assembler) finish() { a.advance() }

// advance puts in all parts up to the first one that is not done.
func (a *assembler) advance() {
	for ; a.next < len(a.pl.parts); a.next++ {
		part := a.pl.parts[a.next]
		if part.unit < 0 {
			a.emit(a.pl.text[part.start:part.end])
			continue
		}
		if !a.states[part.unit].done {
			if a.req.OnText != nil {
				a.show(part.unit)
			}
			return
		}
		a.complete(part)
	}
}

// complete puts in the translation of a part whose unit is done.
func (a *assembler) complete(part part) {
	s := &a.states[part.unit]
	unit := a.pl.units[part.unit]
	translation := a.decoded(s.tokens)
	if !strings.HasPrefix(translation, s.shown) {
		translation = s.shown // a tokenizer that takes back what it said
	}
	translation = rewrap(translation, a.pl.text, part.start, part.end, unit.wraps)
	a.emitUnit(s, translation)
	segment := Segment{
		Index: len(a.segments), Start: part.start, End: part.end, Text: translation,
		SourceTokens: len(unit.source), Tokens: len(s.tokens), Truncated: s.truncated, Retried: s.retried,
	}
	a.segments = append(a.segments, segment)
	if a.req.OnSegment != nil {
		a.req.OnSegment(segment)
	}
}

// show puts in what is decoded of the unit that is next, but for a letter of
// which bytes are still missing. A unit with wraps is put in when it is done.
func (a *assembler) show(u int) {
	if s := &a.states[u]; len(a.pl.units[u].wraps) == 0 {
		text := strings.TrimRight(a.decoded(s.live), "\uFFFD ")
		if strings.HasPrefix(text, s.shown) && !endsInLoop(s.live) {
			a.emitUnit(s, text)
		}
	}
}

// emitUnit puts in what of the translation is not there yet.
func (a *assembler) emitUnit(s *unitState, translation string) {
	if s.shown == "" {
		a.emit(a.pl.gap(a.next, a.text.String(), translation))
	}
	a.emit(translation[len(s.shown):])
	s.shown = translation
}

func (a *assembler) emit(text string) {
	if text == "" {
		return
	}
	a.text.WriteString(text)
	if a.req.OnText != nil {
		a.req.OnText(text)
	}
}

// decoded turns tokens into text.
func (a *assembler) decoded(tokens []string) string {
	return a.p.models.TargetTokenizer.Decode(a.p.frame.text(tokens))
}
