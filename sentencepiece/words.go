package sentencepiece

import "bytes"

// words takes every run from one space to the next as a piece.
type words struct{ vocabulary *vocabulary }

func (w words) segment(text []byte, s *scratch) {
	for start := 0; start < len(text); {
		first := charLen(text[start:])
		end := len(text)
		if i := bytes.Index(text[start+first:], []byte(space)); i >= 0 {
			end = start + first + i
		}
		s.spans = append(s.spans, span{end: end, id: w.vocabulary.inUse(text[start:end])})
		start = end
	}
}

// chars takes every character and user-defined symbol as a piece.
type chars struct{ vocabulary *vocabulary }

func (c chars) segment(text []byte, s *scratch) {
	for start := 0; start < len(text); {
		size, _ := c.vocabulary.symbolLen(text[start:])
		s.spans = append(s.spans, span{end: start + size, id: c.vocabulary.inUse(text[start : start+size])})
		start += size
	}
}

// inUse returns the ID of the piece that equals text, unknownID if there is none
// or it is unused.
func (v *vocabulary) inUse(text []byte) int32 {
	id := lookup(v.matchable, text)
	if id >= 0 && v.pieces[id].kind == kindUnused {
		return unknownID
	}
	return id
}
