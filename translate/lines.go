package translate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// A line is a part of a text up to a line end or a tab, which separates cells.
type line struct {
	start      int // of the line
	body, end  int // text[body:end] is without indentation, list marker and spaces at the end
	next       int // start of the next line
	marker     bool
	numbered   bool // the marker is a number and a full stop
	breakWraps bool // it ends with an ordinary line end
}

// A wrap is a line end within a sentence: text[start:end] is the newline with
// the spaces and quote marks around it.
type wrap struct{ start, end int }

// A block is what is split into sentences by itself: text[start:end], one line
// or several that are one paragraph.
//
// A single newline is a wrap, and the block goes on in the next line, if the
// line was broken because it was full: the first word of the next line would
// not have fitted in the paragraph's width (nor would those of the other lines,
// unless the next line begins with a small letter), the line has no end of a
// sentence, and the next line has no marker. For the model a wrap is a space;
// rewrap puts it back into the translation. All other newlines end a block, so
// that lists, verses and a term a line are translated line by line.
type block struct {
	start, end int
	wraps      []wrap
}

// wrapsIn returns the wraps in [lo, hi).
func (b block) wrapsIn(lo, hi int) []wrap {
	var out []wrap
	for _, w := range b.wraps {
		if w.start > lo && w.end < hi {
			out = append(out, w)
		}
	}
	return out
}

// blocks returns the blocks of text, without empty ones.
func blocks(text string, r *rules) []block {
	lines := scanLines(text)
	dropOrdinals(text, lines, r)
	var out []block
	for i := 0; i < len(lines); {
		if lines[i].body == lines[i].end {
			i++
			continue
		}
		n := paragraph(lines[i:])
		out = appendBlocks(out, text, lines[i:i+n])
		i += n
	}
	return out
}

// paragraph returns how many of the lines follow each other without an empty
// one.
func paragraph(lines []line) int {
	n := 1
	for n < len(lines) && lines[n-1].breakWraps && lines[n].body < lines[n].end {
		n++
	}
	return n
}

// appendBlocks adds the blocks of one paragraph.
func appendBlocks(out []block, text string, lines []line) []block {
	p := newFlow(text, lines)
	for i, l := range lines {
		if i > 0 && p.isWrapped(lines[i-1], l) {
			b := &out[len(out)-1]
			b.wraps = append(b.wraps, wrap{b.end, l.body})
			b.end = l.end
			continue
		}
		out = append(out, block{start: l.body, end: l.end})
	}
	return out
}

// flow is how a paragraph is broken into lines.
type flow struct {
	text  string
	width int  // of the longest line
	full  bool // all lines but the last are full
}

func newFlow(text string, lines []line) flow {
	f := flow{text: text, full: true}
	for _, l := range lines {
		f.width = max(f.width, columns(text[l.body:l.end]))
	}
	for i := 1; i < len(lines); i++ {
		f.full = f.full && (f.isFull(lines[i-1], lines[i]) || f.endsSentence(lines[i-1]))
	}
	return f
}

// isFull reports whether the first word of line b would not have fitted in
// line a.
func (f flow) isFull(a, b line) bool {
	head, word := f.text[a.body:a.end], f.text[b.body:b.end]
	if first, _ := utf8.DecodeRuneInString(word); isCJK(first) {
		return columns(head)+4 > f.width
	}
	if i := strings.IndexFunc(word, unicode.IsSpace); i >= 0 {
		word = word[:i]
	}
	return columns(head)+1+columns(word) > f.width && strings.ContainsRune(head, ' ')
}

// Narrower paragraphs are not wrapped text, but terms or verses. A small letter
// at the start of a line says that the sentence goes on.
const (
	minWidth      = 40
	minWidthLower = 20
)

// isWrapped reports whether line a was broken to fit the width and goes on in
// line b.
func (f flow) isWrapped(a, b line) bool {
	if b.marker && !isQuote(f.text[b.start:b.body]) || isQuote(f.text[b.start:b.body]) != isQuote(f.text[a.start:a.body]) {
		return false
	}
	if f.endsSentence(a) || !f.isFull(a, b) {
		return false
	}
	first, _ := utf8.DecodeRuneInString(strings.TrimLeftFunc(f.text[b.body:b.end], isOpener))
	if isLower(first) {
		return f.width >= minWidthLower
	}
	return f.width >= minWidth && f.full
}

// endsSentence reports whether the line ends with a full stop or the like.
func (f flow) endsSentence(l line) bool {
	last, _ := utf8.DecodeLastRuneInString(strings.TrimRightFunc(f.text[l.body:l.end], isCloser))
	return strings.ContainsRune(".!?…:;。！？：；।॥۔؟։።။។།", last)
}

// isQuote reports whether the start of a line is that of quoted mail.
func isQuote(s string) bool { return strings.HasPrefix(strings.TrimLeft(s, " "), ">") }

// columns returns the width of s on a terminal, about.
func columns(s string) int {
	n := 0
	for _, r := range s {
		switch {
		case r < 0x300:
			n++
		case unicode.IsMark(r):
		case isCJK(r) || unicode.Is(unicode.Hangul, r) || r >= 0xFF01 && r <= 0xFF60:
			n += 2
		default:
			n++
		}
	}
	return n
}

// scanLines cuts text at line ends and tabs.
func scanLines(text string) []line {
	var lines []line
	for start := 0; start < len(text); {
		end, next, wraps := lineEnd(text, start)
		l := line{start: start, next: next, breakWraps: wraps}
		var n int
		n, l.marker, l.numbered = marker(text[start:end])
		l.body, l.end = trim(text, start+n, end)
		if l.body == l.end {
			l.marker = false
		}
		lines = append(lines, l)
		start = next
	}
	return lines
}

// lineEnd returns where the line at start ends, where the next one begins, and
// whether what is between them is an ordinary line end.
func lineEnd(text string, start int) (end, next int, wraps bool) {
	for i, r := range text[start:] {
		i += start
		switch r {
		case '\n':
			return i, i + 1, true
		case '\r':
			if strings.HasPrefix(text[i+1:], "\n") {
				return i, i + 2, true
			}
			return i, i + 1, true
		case '\t', '\v', '\f', 0x85, 0x2028, 0x2029:
			return i, i + utf8.RuneLen(r), false
		}
	}
	return len(text), len(text), false
}

// marker returns the length of indentation and list markers at the start of a
// line, whether there is a marker, and whether it is a number and a full stop.
func marker(s string) (n int, found, numbered bool) {
	for n < len(s) {
		n += len(s[n:]) - len(strings.TrimLeft(s[n:], " \u00a0\u3000"))
		m, number := oneMarker(s[n:])
		if m == 0 || found && number {
			break
		}
		n, found, numbered = n+m, true, numbered || number
	}
	return n, found, numbered
}

// oneMarker returns the length of the marker that s begins with: a bullet, a
// dash, "#", ">", "[ ]", "1.", "1)", "(a)" and a space.
func oneMarker(s string) (n int, numbered bool) {
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case strings.ContainsRune("-*+•‣◦▪▫●○–—―·", r) && size > 0 && r != utf8.RuneError:
		n = size
	case r == '#':
		n = len(s) - len(strings.TrimLeft(s, "#"))
	case r == '>':
		return 1, false
	case strings.HasPrefix(s, "[ ]"), strings.HasPrefix(s, "[x]"), strings.HasPrefix(s, "[X]"):
		n = 3
	default:
		n, numbered = enumerator(s)
	}
	if n == len(s) || n > 0 && s[n] != ' ' {
		return 0, false
	}
	return n, numbered
}

// enumerator returns the length of "12.", "12)", "(12)", "a)" or "(iv)" at the
// start of s.
func enumerator(s string) (n int, numbered bool) {
	open := strings.HasPrefix(s, "(")
	if open {
		n = 1
	}
	start, digits := n, true
	for n < len(s) && n-start < 3 && (s[n] >= '0' && s[n] <= '9' || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z') {
		digits = digits && s[n] <= '9'
		n++
	}
	if n == start || n == len(s) || !digits && n-start > 1 && strings.Trim(s[start:n], "ivxIVX") != "" {
		return 0, false
	}
	switch {
	case s[n] == ')':
		return n + 1, false
	case s[n] == '.' && digits && !open:
		return n + 1, true
	}
	return 0, false
}

// dropOrdinals takes the numbers at the start of lines for ordinals, not list
// markers, in languages that write ordinals so ("3. Oktober"), unless the line
// before or behind is numbered too.
func dropOrdinals(text string, lines []line, r *rules) {
	if !r.ordinals {
		return
	}
	numbered := make([]int, 0, len(lines))
	filled := 0
	at := make([]int, len(lines)) // lines[i] is the at[i]th that is not empty
	for i, l := range lines {
		at[i] = filled
		if l.body == l.end {
			continue
		}
		filled++
		if l.numbered {
			numbered = append(numbered, i)
		}
	}
	for k, i := range numbered {
		before := k > 0 && at[numbered[k-1]] == at[i]-1
		behind := k+1 < len(numbered) && at[numbered[k+1]] == at[i]+1
		if !before && !behind {
			lines[i].body, _ = trim(text, lines[i].start, lines[i].end)
			lines[i].marker = false
		}
	}
}
