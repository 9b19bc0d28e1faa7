package translate

import (
	"unicode/utf8"

	"github.com/clipperhouse/uax29/v2/sentences"
)

// Kind says what a span of a text is to the pipeline.
type Kind uint8

// The kinds of spans.
const (
	Separator Kind = iota // whitespace, list markers, emoji around sentences: kept
	Verbatim              // has nothing to translate, such as a number or a URL: kept
	Sentence              // goes to the model
)

// Span is a part of a text, text[Start:End].
type Span struct {
	Kind       Kind
	Start, End int // byte offsets

	wraps []wrap // the line ends within a sentence, see lines.go
}

// Split cuts text into sentences and what lies between them. The spans cover
// the text without gap or overlap, so that their concatenation is the text byte
// for byte, whatever bytes it has. language is the FLORES code of the text, for
// its abbreviations; "" if it is unknown.
//
// Sentence boundaries are those of Unicode Standard Annex #29 on a copy of the
// text in which full stops and their like are decided before (see mask.go).
// Lines end sentences too, unless they are wrapped (see lines.go).
func Split(text, language string) []Span {
	s := splitter{text: text, rules: rulesOf(language)}
	for _, b := range blocks(text, s.rules) {
		s.block(b)
	}
	s.emit(Separator, len(text))
	return s.spans
}

// splitter collects spans. What it has not emitted yet begins at pos.
type splitter struct {
	text  string
	rules *rules
	spans []Span
	pos   int
}

// emit adds the span from the end of the last one to end. Separators that meet
// are one.
func (s *splitter) emit(kind Kind, end int) {
	if end <= s.pos {
		return
	}
	if n := len(s.spans); kind == Separator && n > 0 && s.spans[n-1].Kind == Separator {
		s.spans[n-1].End = end
	} else {
		s.spans = append(s.spans, Span{Kind: kind, Start: s.pos, End: end})
	}
	s.pos = end
}

// block splits one paragraph, cell or list item.
func (s *splitter) block(b block) {
	s.emit(Separator, b.start)
	masked := mask(s.text[b.start:b.end], b, s.rules)
	for it := sentences.FromBytes(masked); it.Next(); {
		s.sentence(b, b.start+it.Start(), b.start+it.End())
	}
}

// sentence emits text[start:end] without what surrounds the words in it.
func (s *splitter) sentence(b block, start, end int) {
	for _, p := range phrases(s.text[start:end]) {
		lo, hi := trim(s.text, start+p[0], start+p[1])
		s.emit(Separator, lo)
		if hi <= lo {
			continue
		}
		if !translatable(s.text[lo:hi]) {
			s.emit(Verbatim, hi)
			continue
		}
		s.emit(Sentence, hi)
		s.spans[len(s.spans)-1].wraps = b.wrapsIn(lo, hi)
	}
}

// trim returns the part of text[start:end] without spaces and symbols at its
// ends.
func trim(text string, start, end int) (lo, hi int) {
	for start < end {
		r, n := utf8.DecodeRuneInString(text[start:end])
		if !isOutside(r) {
			break
		}
		start += n
	}
	for start < end {
		r, n := utf8.DecodeLastRuneInString(text[start:end])
		if !isOutside(r) {
			break
		}
		end -= n
	}
	return start, end
}

// phraseLength is how many letters a phrase of a script without full stops has
// at least.
const phraseLength = 80

// phrases cuts a sentence of a script that has no full stops (Thai, Lao) or
// often goes without (Khmer, Burmese) at spaces, into phrases of at least
// phraseLength letters. In other scripts it returns the sentence.
func phrases(text string) [][2]int {
	var out [][2]int
	start, letters := 0, 0
	for i, r := range text {
		switch {
		case isUnspaced(r):
			letters++
		case letters >= phraseLength && r == ' ' && len(text)-i > phraseLength:
			out = append(out, [2]int{start, i})
			start, letters = i, 0
		}
	}
	return append(out, [2]int{start, len(text)})
}
