package handlers

import (
	"html"
	"regexp"
	"slices"
	"strings"

	nethtml "golang.org/x/net/html"

	"github.com/sematech/sema/translate"
)

// part is a piece of a text that is translated, or kept as it is.
type part struct {
	source string // as it stands in the text
	text   string // what to translate: source without entities, and in HTML without line ends
	kept   bool
	escape func(string) string // makes text of markup; nil: it is none
}

// finish puts a translation in the part's place.
func (p part) finish(translation string) string {
	if p.escape != nil {
		return p.escape(translation)
	}
	return translation
}

// escapeText leaves quotes alone: they mean nothing between tags, and clients that don't decode entities would show them.
var escapeText = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;").Replace

// placeholder is what programs put into texts to fill in later; it must survive.
var placeholder = regexp.MustCompile(`\{\{?[\w.]*\}?\}|%(?:\d+\$)?[sdif@]`)

// splitParts cuts a text at its tags and placeholders, if the request has any. Parts without words, such as a number or
// an address, are kept.
func splitParts(text string, r peerRequest) []part {
	parts := []part{{source: text, text: text}}
	if r.markup {
		parts = splitTags(text, r)
	}
	if r.placeholders {
		var cut []part
		for _, p := range parts {
			cut = append(cut, splitPlaceholders(p)...)
		}
		parts = cut
	}
	for i := range parts {
		parts[i].kept = parts[i].kept || !hasWords(parts[i].text)
	}
	return parts
}

// hasWords says whether the pipeline finds something to translate in text.
func hasWords(text string) bool {
	return slices.ContainsFunc(translate.Split(text, ""), func(s translate.Span) bool { return s.Kind == translate.Sentence })
}

// wording is the text of all parts that are translated.
func wording(parts []part) string {
	var texts []string
	for _, p := range parts {
		if !p.kept {
			texts = append(texts, p.text)
		}
	}
	return strings.Join(texts, " ")
}

// silent are the elements whose content is not for people.
var silent = []string{"script", "style", "code", "kbd", "samp", "var", "textarea"}

// rawText are the elements of HTML in whose content nothing is a tag, whatever it looks like: a script's "<b>" is a string.
// HTML says so of title, noscript, iframe and others as well, but there people write tags and want them back.
var rawText = []string{"script", "style", "textarea"}

// cdata begins a section of XML whose text may hold what looks like tags. Escaped, as a translation is, it would lose its
// end, so that it is kept whole.
const cdata = "<![CDATA["

// splitTags cuts HTML or XML into tags, which are kept byte for byte, and the text between them. Browsers take <script/>
// for an open script; who writes it means an empty one, as in XML, and has text after it.
func splitTags(text string, r peerRequest) []part {
	var parts []part
	tokens := nethtml.NewTokenizer(strings.NewReader(text))
	tokens.AllowCDATA(r.xml)
	kept, pre := 0, 0                // depth of elements that are left alone, and of those with lines of their own
	lines := r.xml || r.placeholders // who sends placeholders sends text as readers see it, its lines too
	for {
		kind := tokens.Next()
		raw := string(tokens.Raw())
		if kind == nethtml.ErrorToken {
			if raw != "" {
				parts = append(parts, part{source: raw, kept: true})
			}
			return parts
		}
		if kind == nethtml.TextToken && kept == 0 && !strings.HasPrefix(raw, cdata) {
			parts = append(parts, r.textPart(raw, lines || pre > 0))
			continue
		}
		name, _ := tokens.TagName()
		if r.xml || kind != nethtml.StartTagToken || !slices.Contains(rawText, string(name)) {
			tokens.NextIsNotRawText()
		}
		if slices.Contains(silent, string(name)) || r.ignoreTags[string(name)] {
			kept = max(0, kept+depthChange(kind))
		}
		if string(name) == "pre" {
			pre = max(0, pre+depthChange(kind))
		}
		parts = append(parts, part{source: raw, kept: true})
	}
}

// textPart is a text between tags; lines says that its line ends are more than spaces.
func (r peerRequest) textPart(raw string, lines bool) part {
	text, escape := html.UnescapeString(raw), escapeText
	if r.escapeQuotes {
		escape = html.EscapeString
	}
	if !lines {
		text = collapse(text)
	}
	return part{source: raw, text: text, escape: escape}
}

// whiteSpace is HTML's: others, such as a no-break space, are as good as letters.
const whiteSpace = " \t\n\f\r"

// collapse makes each run of white space within text one space, as browsers do. To the pipeline a line end may end a
// sentence; in HTML it is where an editor broke the line.
func collapse(text string) string {
	inner := strings.Trim(text, whiteSpace)
	before, after, _ := strings.Cut(text, inner)
	words := strings.FieldsFunc(inner, func(r rune) bool { return strings.ContainsRune(whiteSpace, r) })
	return before + strings.Join(words, " ") + after
}

func depthChange(kind nethtml.TokenType) int {
	switch kind {
	case nethtml.StartTagToken:
		return 1
	case nethtml.EndTagToken:
		return -1
	}
	return 0
}

// splitPlaceholders cuts a part at its placeholders.
func splitPlaceholders(p part) []part {
	if p.kept {
		return []part{p}
	}
	var parts []part
	end := 0
	for _, found := range placeholder.FindAllStringIndex(p.text, -1) {
		parts = append(parts, p.cut(end, found[0]), part{source: p.text[found[0]:found[1]], kept: true})
		end = found[1]
	}
	if end == 0 {
		return []part{p}
	}
	return append(parts, p.cut(end, len(p.text)))
}

// cut is the part's text from start to end.
func (p part) cut(start, end int) part {
	text := p.text[start:end]
	return part{source: p.finish(text), text: text, escape: p.escape}
}
