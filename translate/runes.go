package translate

import (
	"regexp"
	"unicode"
)

// isLower reports whether r is lower-case in a script that begins sentences
// with capitals. Georgian has capitals, but for headlines only.
func isLower(r rune) bool {
	return unicode.IsLower(r) && !unicode.Is(unicode.Georgian, r)
}

// isUpper reports whether r is a capital.
func isUpper(r rune) bool { return unicode.IsUpper(r) || unicode.IsTitle(r) }

// isCJK reports whether r is of a script that sets no spaces between words and
// ends sentences with 。
func isCJK(r rune) bool {
	return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Bopomofo)
}

// isUnspaced reports whether r is of a script that sets spaces between phrases,
// not words.
func isUnspaced(r rune) bool {
	return r >= 0x0E00 && unicode.In(r, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// isWordRune reports whether r is part of a word: a letter with its marks, or a
// digit.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r)
}

// isCloser reports whether r may stand between a full stop and the space.
func isCloser(r rune) bool {
	return r == '"' || r == '\'' || unicode.In(r, unicode.Pe, unicode.Pf, unicode.Pi)
}

// isOpener reports whether r may stand before the first letter of a sentence.
func isOpener(r rune) bool {
	return r == '"' || r == '\'' || r == '¿' || r == '¡' || r == '„' || unicode.In(r, unicode.Ps, unicode.Pi, unicode.Pf)
}

// isDash reports whether r may begin a line of dialogue.
func isDash(r rune) bool { return r == '-' || r == '–' || r == '—' || r == '―' }

// isOutside reports whether r is kept outside the model at the ends of a
// sentence: spaces, emoji and other symbols with what joins them.
func isOutside(r rune) bool {
	switch {
	case r == unicode.ReplacementChar:
		return false // or a stray byte
	case unicode.IsSpace(r), r < ' ', unicode.In(r, unicode.So, unicode.Zs, unicode.Zl, unicode.Zp):
		return true
	case r >= 0x1F3FB && r <= 0x1F3FF, r == 0xFE0F, r == 0x20E3, r >= 0xE0020 && r <= 0xE007F:
		return true // skin tones, emoji style, keycaps, flags
	}
	return r == 0x200B || r == 0x200D || r == 0x2060 || r == 0xFEFF
}

// opaque matches what is no language: URLs, e-mail addresses, mentions,
// placeholders.
var opaque = regexp.MustCompile(`(?i)\b(?:[a-z][a-z0-9+.-]{0,20}://|www\.)[!-~]*[a-z0-9/#=&_~%$@+-]` +
	`|[\w.+-]+@[\w-]+(?:\.[\w-]+)+` +
	`|\b[a-z0-9-]+(?:\.[a-z0-9-]+)*\.(?:com|org|net|io|info|edu|gov)\b(?:/[!-~]*[a-z0-9/#=&_~%$@+-])?` +
	`|@\w+|%(?:\d+\$)?[-+0-9.]*[sdfi]\b|\$?\{+[\w .:-]*\}+`)

// mayHaveOpaque is a quick test for what opaque matches.
func mayHaveOpaque(s string) bool {
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '@', '%', '{':
			return true
		case ':', '.':
			if i+1 < len(s) && (s[i+1] == '/' || s[i+1]|0x20 >= 'a' && s[i+1]|0x20 <= 'z') {
				return true
			}
		}
	}
	return false
}

// translatable reports whether text has a letter outside URLs, e-mail addresses
// and placeholders.
func translatable(text string) bool {
	hasLetter := func(s string) bool {
		for _, r := range s {
			if unicode.IsLetter(r) {
				return true
			}
		}
		return false
	}
	if !hasLetter(text) || !mayHaveOpaque(text) {
		return hasLetter(text)
	}
	first := opaque.FindStringIndex(text)
	if first == nil || hasLetter(text[:first[0]]) { // as in most texts: no need to find the others
		return true
	}
	return hasLetter(opaque.ReplaceAllLiteralString(text, ""))
}
