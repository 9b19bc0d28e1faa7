package sentencepiece

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// maxPieceSize is the exclusive limit on the bytes of a piece, the reference's
// own. It bounds the work that one byte of text can cause.
const maxPieceSize = 8000

// unknownID stands for no piece; it is what a failed lookup in a trie gives.
const unknownID = -1

// vocabulary finds pieces by ID and by text.
type vocabulary struct {
	pieces       []piece
	matchable    *trie            // normal, user-defined and unused pieces
	reserved     map[string]int32 // control, unknown and byte pieces
	symbols      *trie            // user-defined pieces, nil if there is none
	unknown      int32            // ID of the unknown piece, -1 if there is none
	byteFallback bool
	byteIDs      [256]int32 // with byteFallback, the ID of each byte's piece
}

// newVocabulary checks m's pieces by the reference's rules and indexes them.
func newVocabulary(m *model) (*vocabulary, error) {
	v := &vocabulary{
		pieces:       m.pieces,
		reserved:     map[string]int32{},
		unknown:      -1,
		byteFallback: m.byteFallback,
	}
	var matchable, symbols []int32
	for i := range v.pieces {
		p, id := &v.pieces[i], int32(i)
		if p.text == "\x00" && (p.kind == kindUnused || v.byteFallback) {
			p.kind = kindUnused // written by converters beside <0x00>; matches nothing
			continue
		}
		if err := v.check(p); err != nil {
			return nil, fmt.Errorf("piece %d %w", i, err)
		}
		if !p.kind.matchable() {
			if err := v.reserve(p, id); err != nil {
				return nil, fmt.Errorf("piece %d %w", i, err)
			}
			continue
		}
		matchable = append(matchable, id)
		if p.kind == kindUserDefined {
			symbols = append(symbols, id)
		}
	}
	if err := v.checkReserved(); err != nil {
		return nil, err
	}
	var err error
	if v.matchable, err = v.index(matchable); err != nil {
		return nil, err
	}
	if len(symbols) > 0 {
		v.symbols, err = v.index(symbols)
	}
	return v, err
}

// check reports what is wrong with a piece by itself.
func (v *vocabulary) check(p *piece) error {
	switch score := float64(p.score); {
	case p.text == "":
		return fmt.Errorf("is empty")
	case len(p.text) >= maxPieceSize:
		return fmt.Errorf("has %d bytes, more than the %d allowed", len(p.text), maxPieceSize-1)
	case strings.IndexByte(p.text, 0) >= 0:
		return fmt.Errorf("%q holds a NUL", p.text)
	case math.IsNaN(score) || math.IsInf(score, 0):
		return fmt.Errorf("%q has the score %v", p.text, score)
	}
	return nil
}

// reserve indexes a control, unknown or byte piece.
func (v *vocabulary) reserve(p *piece, id int32) error {
	if first, found := v.reserved[p.text]; found {
		return fmt.Errorf("%q is also piece %d", p.text, first)
	}
	v.reserved[p.text] = id
	switch p.kind {
	case kindUnknown:
		if v.unknown >= 0 {
			return fmt.Errorf("%q is a second unknown piece beside %d", p.text, v.unknown)
		}
		v.unknown = id
	case kindByte:
		if !v.byteFallback {
			return fmt.Errorf("%q is a byte in a model without byte_fallback", p.text)
		}
		value, ok := parseBytePiece(p.text)
		if !ok {
			return fmt.Errorf("%q is not a byte of the form <0x41>", p.text)
		}
		p.value = value
		v.byteIDs[value] = id
	}
	return nil
}

// checkReserved reports whether text that no piece covers has somewhere to go.
func (v *vocabulary) checkReserved() error {
	if !v.byteFallback {
		if v.unknown < 0 {
			return fmt.Errorf("no unknown piece")
		}
		return nil
	}
	for value := range v.byteIDs {
		id, found := v.reserved[fmt.Sprintf("<0x%02X>", value)]
		if !found || v.pieces[id].kind != kindByte {
			return fmt.Errorf("byte_fallback without the piece <0x%02X>", value)
		}
	}
	return nil
}

// index builds the trie of the pieces with these IDs.
func (v *vocabulary) index(ids []int32) (*trie, error) {
	slices.SortFunc(ids, func(a, b int32) int { return cmp.Compare(v.pieces[a].text, v.pieces[b].text) })
	keys := make([]string, len(ids))
	for i, id := range ids {
		keys[i] = v.pieces[id].text
		if i > 0 && keys[i-1] == keys[i] {
			return nil, fmt.Errorf("piece %d %q is also piece %d", id, keys[i], ids[i-1])
		}
	}
	return newTrie(keys, ids), nil
}

// id returns the ID of a piece by its text, that of the unknown piece (-1 if
// there is none) for text that is no piece.
func (v *vocabulary) id(text string) int32 {
	if id, found := v.reserved[text]; found {
		return id
	}
	if id := lookup(v.matchable, text); id >= 0 {
		return id
	}
	return v.unknown
}

// has reports whether some piece is of this kind.
func (v *vocabulary) has(kind pieceKind) bool {
	return slices.ContainsFunc(v.pieces, func(p piece) bool { return p.kind == kind })
}

// symbolLen returns the length of the unit that segmentation starts from at the
// head of text, which is not empty: a user-defined symbol, or one character.
func (v *vocabulary) symbolLen(text []byte) (size int, userDefined bool) {
	if v.symbols != nil {
		if size = longestPrefix(v.symbols, text); size > 0 {
			return size, true
		}
	}
	return charLen(text), false
}

// charLen returns the length of the UTF-8 character at the head of text, judged
// by its first byte alone as in the reference, but never past the end.
func charLen(text []byte) int {
	const lengths = "\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x02\x02\x03\x04"
	return min(int(lengths[text[0]>>4]), len(text))
}

// parseBytePiece reads the form <0x41>, upper case only.
func parseBytePiece(text string) (byte, bool) {
	const digits = "0123456789ABCDEF"
	if len(text) != 6 || text[:3] != "<0x" || text[5] != '>' {
		return 0, false
	}
	high, low := strings.IndexByte(digits, text[3]), strings.IndexByte(digits, text[4])
	return byte(high<<4 | low), high >= 0 && low >= 0
}
