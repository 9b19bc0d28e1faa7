package sentencepiece

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Decode joins pieces to text. Control pieces vanish, runs of byte pieces
// become the characters that they spell (U+FFFD for each byte that is not
// UTF-8), the unknown piece becomes the model's unknown surface, and text that
// is no piece stays as it is. It never fails.
func (p *Processor) Decode(pieces []string) string {
	var d decoding
	for _, text := range pieces {
		p.decodePiece(&d, p.vocabulary.id(text), text)
	}
	return p.finishDecoding(&d)
}

// DecodeIDs is Decode for IDs. An ID outside the vocabulary is an error.
func (p *Processor) DecodeIDs(ids []int) (string, error) {
	var d decoding
	for _, id := range ids {
		if id < 0 || id >= p.Size() {
			return "", fmt.Errorf("sentencepiece: id %d is outside the vocabulary of %d pieces", id, p.Size())
		}
		p.decodePiece(&d, int32(id), p.vocabulary.pieces[id].text)
	}
	return p.finishDecoding(&d), nil
}

// decoding is text under way.
type decoding struct {
	text    []byte
	bytes   []byte // values of the run of byte pieces that goes on
	started bool   // a leading space has been dropped, or there is text
}

func (p *Processor) decodePiece(d *decoding, id int32, text string) {
	kind := kindUnknown
	if id >= 0 {
		kind = p.vocabulary.pieces[id].kind
	}
	if kind == kindByte {
		d.bytes = append(d.bytes, p.vocabulary.pieces[id].value)
		return
	}
	d.flushBytes()
	if kind == kindControl {
		return
	}
	trimmed := p.trimLeading(d, text)
	switch {
	case kind != kindUnknown:
		d.appendUnescaped(trimmed)
	case id >= 0 && p.vocabulary.pieces[id].text == text:
		d.text = append(d.text, p.unknownSurface...)
	default:
		d.text = append(d.text, text...)
	}
}

// trimLeading drops the space at the head of a piece that starts the text:
// that of one piece only, or where the normalizer removes extra spaces, of
// every piece until there is text.
func (p *Processor) trimLeading(d *decoding, piece string) string {
	spec := &p.normalizer.spec
	d.started = d.started || len(d.text) > 0
	if d.started || !spec.addDummyPrefix && !spec.removeExtraWhitespaces {
		return piece
	}
	trimmed, found := strings.CutPrefix(piece, space)
	d.started = found && !spec.removeExtraWhitespaces
	return trimmed
}

func (p *Processor) finishDecoding(d *decoding) string {
	d.flushBytes()
	if p.denormalizer != nil {
		return string(p.denormalizer.append(nil, string(d.text)))
	}
	return string(d.text)
}

func (d *decoding) flushBytes() {
	for len(d.bytes) > 0 {
		r, size := utf8.DecodeRune(d.bytes)
		d.text = utf8.AppendRune(d.text, r)
		d.bytes = d.bytes[size:]
	}
}

// appendUnescaped appends piece with spaces for U+2581.
func (d *decoding) appendUnescaped(piece string) {
	for {
		before, after, found := strings.Cut(piece, space)
		d.text = append(d.text, before...)
		if !found {
			return
		}
		d.text = append(d.text, ' ')
		piece = after
	}
}
