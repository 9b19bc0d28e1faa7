package translate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// unwrap returns text[start:end] as one line: a wrap is a space, or nothing
// between letters of a script without spaces and after a hyphen.
func unwrap(text string, start, end int, wraps []wrap) string {
	if len(wraps) == 0 {
		return text[start:end]
	}
	var b strings.Builder
	for _, w := range wraps {
		b.WriteString(text[start:w.start])
		before, _ := utf8.DecodeLastRuneInString(text[start:w.start])
		after, _ := utf8.DecodeRuneInString(text[w.end:end])
		cjk := isCJK(before) || isUnspaced(before)
		if !(cjk && (isCJK(after) || isUnspaced(after))) && before != '-' {
			b.WriteByte(' ')
		}
		start = w.end
	}
	b.WriteString(text[start:end])
	return b.String()
}

// rewrap puts the wraps of the sentence text[start:end] into its translation,
// each in place of the space nearest to where it was, or between two letters of
// a script without spaces, so that the translation has as many lines.
func rewrap(translation, text string, start, end int, wraps []wrap) string {
	if len(wraps) == 0 {
		return translation
	}
	total := end - start // of the sentence as one line
	for _, w := range wraps {
		total -= w.end - w.start - 1
	}
	var b strings.Builder
	pos, joined := 0, 0
	for _, w := range wraps {
		want := len(translation) * (w.start - start - joined) / total
		joined += w.end - w.start - 1
		at, size := nearestBreak(translation, pos, want)
		b.WriteString(translation[pos:at])
		b.WriteString(text[w.start:w.end])
		pos = at + size
	}
	b.WriteString(translation[pos:])
	return b.String()
}

// nearestBreak returns the offset of the space in s[from:] nearest to want and
// its size, or if there is none, of an empty place between letters of a script
// without spaces. A word is not broken: then the place is the end.
func nearestBreak(s string, from, want int) (at, size int) {
	want = max(want, from)
	behind, before := strings.IndexByte(s[want:], ' '), strings.LastIndexByte(s[from:want], ' ')
	switch {
	case behind >= 0 && (before < 0 || behind <= want-from-before):
		return want + behind, 1
	case before >= 0:
		return from + before, 1
	}
	for i, r := range s[want:] {
		if unicode.IsLetter(r) && (isCJK(r) || isUnspaced(r)) {
			return want + i, 0
		}
	}
	return len(s), 0
}
