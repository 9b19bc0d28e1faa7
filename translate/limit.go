package translate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// clauseMarks end a clause, in all scripts. The ASCII ones need a space behind
// them.
const clauseMarks = ",;:，；：、،؛·၊፣፤፥᠂།᱾—–"

// fit cuts a sentence into parts of at most limit tokens: at the clause mark
// nearest to the middle, else at the space, else between two letters, and so on
// with both halves. The parts cover the sentence; spaces between them are at
// the ends of parts.
func fit(sentence string, limit int, count func(string) int) []string {
	if count(sentence) <= limit {
		return []string{sentence}
	}
	at := cut(sentence)
	if at <= 0 || at >= len(sentence) {
		return []string{sentence} // one letter
	}
	return append(fit(sentence[:at], limit, count), fit(sentence[at:], limit, count)...)
}

// cut returns where to halve s: the best of its boundaries, which in the middle
// half of s are clause marks, then spaces, then any.
func cut(s string) int {
	const kinds = 3 // clause marks, spaces, letters
	var best [kinds]int
	better := func(kind, at int) {
		if d, old := distance(at, s), distance(best[kind], s); best[kind] == 0 || d < old {
			best[kind] = at
		}
	}
	var last rune
	for i, r := range s {
		if i > 0 && !unicode.IsMark(r) && r != 0x200D && last != 0x200D {
			better(2, i)
		}
		if !unicode.IsSpace(r) && i > 0 {
			switch {
			case unicode.IsSpace(last):
				better(1, i)
				if m, _ := utf8.DecodeLastRuneInString(strings.TrimRightFunc(s[:i], unicode.IsSpace)); isClauseMark(m) {
					better(0, i)
				}
			case last >= 0x80 && isClauseMark(last):
				better(0, i)
			}
		}
		last = r
	}
	for _, at := range best {
		if 4*at > len(s) && 4*at < 3*len(s) {
			return at
		}
	}
	return best[kinds-1]
}

func isClauseMark(r rune) bool { return strings.ContainsRune(clauseMarks, r) && r != utf8.RuneError }

// distance is how far at is from the middle of s.
func distance(at int, s string) int {
	d := 2*at - len(s)
	return max(d, -d)
}
