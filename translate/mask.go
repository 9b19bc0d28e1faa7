package translate

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mask returns a copy of a block of the same length for UAX #29. In it what may
// or may not end a sentence is decided: it is either '!' (or another mark that
// always does, of the same length in UTF-8) or a letter. What UAX #29 handles by
// itself, such as 。 ؟ ।, is left. Wraps and stray bytes are replaced, so that
// they don't break.
func mask(text string, b block, r *rules) []byte {
	m := masker{text: text, out: []byte(text), rules: r}
	for _, w := range b.wraps {
		m.fill(w.start-b.start, w.end-b.start, ' ')
	}
	m.text = string(m.out) // wraps read as spaces
	m.casual = !strings.ContainsFunc(m.text, isUpper)
	if mayHaveOpaque(m.text) {
		for _, loc := range opaque.FindAllStringIndex(m.text, -1) {
			m.fill(loc[0], loc[1], 'x')
		}
	}
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRuneInString(m.text[i:])
		if m.out[i] == 'x' && c != 'x' { // opaque
			i++
			continue
		}
		if c == utf8.RuneError && n <= 1 {
			m.out[i] = 'x'
			i++
			continue
		}
		i = m.decide(i, c, n)
	}
	return m.out
}

type masker struct {
	text   string
	out    []byte
	rules  *rules
	casual bool // the block has no capital: they don't show where sentences begin
}

func (m *masker) fill(start, end int, c byte) {
	for i := start; i < end; i++ {
		m.out[i] = c
	}
}

// set replaces text[start:end], runes of which each has at most three bytes, by
// marks that end a sentence or by letters.
func (m *masker) set(start, end int, ends bool) {
	marks := []string{"", "x", "é", "一"}
	if ends {
		marks = []string{"", "!", "؟", "。"}
	}
	for start < end {
		_, n := utf8.DecodeRuneInString(m.text[start:])
		start += copy(m.out[start:], marks[n])
	}
}

// decide handles the rune c of n bytes at i and returns where to go on.
func (m *masker) decide(i int, c rune, n int) int {
	end := i + n
	switch c {
	case '.', '!', '?', '…', '․', '﹒', '．', '‼', '⁇', '⁈', '⁉':
		for end < len(m.text) {
			next, n := utf8.DecodeRuneInString(m.text[end:])
			if !strings.ContainsRune(".!?…․﹒．‼⁇⁈⁉", next) {
				break
			}
			end += n
		}
		m.set(i, end, m.ends(i, end))
	case '。', '！', '？', '｡':
		m.fullWidthStop(i, end)
	case ';', 0x37E: // the Greek question mark
		if unicode.Is(unicode.Greek, m.before(i)) && m.context(end).breaks() {
			m.set(i, end, true)
		}
	case ':', '։': // the Armenian full stop is often typed as a colon
		if unicode.Is(unicode.Armenian, m.before(i)) && m.context(end).breaks() {
			m.set(i, end, true)
		}
	case '|': // a danda, typed as a bar
		if before := m.before(i); before >= 0x900 && before < 0xE00 && m.context(end).breaks() {
			m.set(i, end, true)
		}
	case '།', '༎', '༑': // Tibetan shad
		doubled := strings.HasSuffix(strings.TrimRight(m.text[:i], " "), "།")
		if doubled || m.context(end).breaks() {
			m.set(i, end, true)
		}
	case '߹': // N'Ko exclamation mark
		m.set(i, end, true)
	case '၊', '፣': // Burmese and Ethiopic commas
		m.set(i, end, false)
	case '។': // Khmer ។ល។ is "et cetera"
		if strings.HasPrefix(m.text[end:], "ល។") {
			m.set(i, end, false)
		}
	}
	return end
}

// fullWidthStop handles the mark text[start:end] of Chinese or Japanese.
func (m *masker) fullWidthStop(start, end int) {
	i, corner := end, false
	for i < len(m.text) {
		c, n := utf8.DecodeRuneInString(m.text[i:])
		switch {
		case unicode.In(c, unicode.Pe, unicode.Pf):
			corner = corner || c == '」' || c == '』'
			i += n
			continue
		case corner && unicode.Is(unicode.Hiragana, c): // 「はい。」と言った
			m.set(start, end, false)
		case n <= 3 && unicode.In(c, unicode.Ps, unicode.Pi): // 好！“你: not a closing quote
			m.set(i, i+n, false)
		}
		return
	}
}

// before returns the rune before i, or RuneError.
func (m *masker) before(i int) rune {
	c, _ := utf8.DecodeLastRuneInString(m.text[:i])
	return c
}

// following is what follows a mark that may end a sentence.
type following struct {
	closers bool // quotes or brackets directly behind the mark
	space   bool // and then space
	opener  bool // and then a quote or bracket, or ¿ ¡
	dash    bool // and then a dash
	letter  rune // and then this rune; RuneError at the end
	at      int  // its offset
}

// breaks reports whether there is space or nothing behind the mark.
func (f following) breaks() bool { return f.space || f.letter == utf8.RuneError }

// context reads what follows a mark that ends at i. It never reads over another
// mark or a letter, so that the whole masking is linear.
func (m *masker) context(i int) following {
	var f following
	start := i
	for i < len(m.text) {
		c, n := utf8.DecodeRuneInString(m.text[i:])
		switch {
		case unicode.IsSpace(c):
			f.space = true
		case !f.space && !f.opener && m.footnote(i) > 0:
			n = m.footnote(i)
			m.fill(i, i+n, ')')
		case !f.space && !f.opener && isCloser(c):
			f.closers = true
		case f.space && !f.opener && c == '»' && m.spaceAt(i+n): // « Viens ! » dit-il
			m.fill(start, i, ')')
			f.closers, f.space = true, false
		case isOpener(c):
			f.opener = true
		case f.space && isDash(c):
			f.dash = true
		default:
			f.letter, f.at = c, i
			return f
		}
		i += n
	}
	f.letter, f.at = utf8.RuneError, len(m.text)
	return f
}

// spaceAt reports whether the text ends or has a space at i.
func (m *masker) spaceAt(i int) bool {
	c, _ := utf8.DecodeRuneInString(m.text[i:])
	return i == len(m.text) || unicode.IsSpace(c)
}

// footnote returns the length of a reference such as "[12]" at i, or 0.
func (m *masker) footnote(i int) int {
	for n := 1; n < 6 && m.text[i] == '[' && i+n < len(m.text); n++ {
		switch c := m.text[i+n]; {
		case c == ']' && n > 1:
			return n + 1
		case c < '0' || c > '9':
			return 0
		}
	}
	return 0
}

// ends decides whether the marks text[start:end], full stops, exclamation and
// question marks, end a sentence.
func (m *masker) ends(start, end int) bool {
	before, after := m.before(start), m.context(end)
	if after.letter == utf8.RuneError {
		return true
	}
	if !after.space {
		return m.endsUnspaced(start, end, before, after)
	}
	lower := isLower(after.letter)
	if strings.ContainsAny(m.text[start:end], "!?‼⁇⁈⁉") {
		return !(lower && (after.closers || after.dash))
	}
	if lower && (after.closers || after.dash || !m.casual) || unicode.IsSpace(before) {
		return false
	}
	if m.text[start:end] != "." { // an ellipsis
		return true
	}
	return m.fullStopEnds(start, after)
}

// endsUnspaced decides where no space follows: "word.Word", "你好?我", "Hola!¿Qué",
// but not "example.com", "a?b:c", "Node.js", "..5".
func (m *masker) endsUnspaced(start, end int, before rune, after following) bool {
	next := after.letter
	switch {
	case after.closers && !after.opener && !unicode.IsLetter(next):
		return false
	case isCJK(before) && isCJK(next):
		return !strings.HasPrefix(m.text[start:], "…") && !strings.HasPrefix(m.text[start:], "...")
	case next > 0x1F000 || after.opener && isWordRune(before):
		return true
	case !isLower(before) || !isUpper(next):
		return false
	}
	// Both neighbours must be words of small letters, the second with a capital.
	word, rest := m.wordBefore(start), m.text[after.at:]
	if i := strings.IndexFunc(rest, func(r rune) bool { return !isWordRune(r) }); i >= 0 {
		if rest[i] != ' ' && rest[i] != ',' && rest[i] != '\'' {
			return false
		}
		rest = rest[:i]
	}
	_, size := utf8.DecodeRuneInString(rest)
	return utf8.RuneCountInString(word) > 1 && isWord(word) && isLowerWord(rest[size:]) && !fileEndings[rest]
}

// fileEndings are words behind a full stop that are not sentences.
var fileEndings = setOf("Com Org Net Io Info Edu Gov De Fr Ru Uk Js Ts Py Java Pdf Txt Doc Docx Html")

func isWord(s string) bool { return s != "" && strings.IndexFunc(s, notLetter) < 0 }

func notLetter(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) }

func isLowerWord(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !unicode.IsLower(r) && !unicode.IsMark(r) }) < 0
}

// maxWord bounds how far back a word is looked for.
const maxWord = 40

// wordBefore returns what stands between the last space or opening mark and i.
func (m *masker) wordBefore(i int) string {
	word := m.text[max(0, i-maxWord):i]
	if j := strings.LastIndexFunc(word, func(r rune) bool { return unicode.IsSpace(r) || isOpener(r) || isDash(r) || r == ',' }); j >= 0 {
		_, n := utf8.DecodeRuneInString(word[j:])
		word = word[j+n:]
	}
	return word
}

// fullStopEnds decides whether the one full stop at i ends a sentence, where
// space follows and then a capital, a digit or a letter without case.
func (m *masker) fullStopEnds(i int, after following) bool {
	word := m.wordBefore(i)
	if m.rules.abbreviations[strings.ToLower(word)] {
		return false
	}
	digit := unicode.IsDigit(after.letter)
	switch {
	case digit && m.rules.beforeNumbers[strings.ToLower(word)]:
		return false
	case isAcronym(word):
		return isLower([]rune(word)[0]) || m.starts(after)
	case isInitial(word):
		return m.rules.pronouns[word] && !m.afterCapital(i-len(word))
	case isNumber(word):
		return i > len(word) && !m.rules.ordinal(word)
	}
	return true
}

// afterCapital reports whether the word before i begins with a capital:
// "Elizabeth I. of England", but not "It was I. She".
func (m *masker) afterCapital(i int) bool {
	word := m.wordBefore(len(strings.TrimRight(m.text[:i], " ")))
	c, _ := utf8.DecodeRuneInString(word)
	return isUpper(c)
}

// starts reports whether a word follows that rarely stands behind "U.S." in a
// sentence.
func (m *masker) starts(after following) bool {
	word := m.text[after.at:min(len(m.text), after.at+maxWord)]
	if i := strings.IndexFunc(word, func(r rune) bool { return !isWordRune(r) }); i >= 0 {
		word = word[:i]
	}
	return m.rules.starters[word]
}

// isInitial reports whether word is one letter with its marks.
func isInitial(word string) bool {
	word = strings.TrimSuffix(word[strings.LastIndexByte(word, '.')+1:], ".")
	letters := 0
	for _, r := range word {
		if unicode.IsLetter(r) {
			letters++
		} else if !unicode.IsMark(r) {
			return false
		}
	}
	return letters == 1
}

// isAcronym reports whether word is letters with full stops between them, such
// as "U.S" before its last one.
func isAcronym(word string) bool {
	if !strings.Contains(word, ".") {
		return false
	}
	for part := range strings.SplitSeq(word, ".") {
		if !isInitial(part) {
			return false
		}
	}
	return true
}

// isNumber reports whether word is digits.
func isNumber(word string) bool {
	return word != "" && strings.IndexFunc(word, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
}
