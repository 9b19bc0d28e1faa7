package sentencepiece

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	// space is U+2581 LOWER ONE EIGHTH BLOCK, which stands for a space in pieces.
	space = "\u2581"
	// replacementChar stands for each byte that is not UTF-8.
	replacementChar = "\uFFFD"
)

// normalizer rewrites text into the form that a model's pieces are made of.
type normalizer struct {
	spec       normalizerSpec
	charsmap   *charsmap // nil: characters stay as they are
	symbols    *trie     // user-defined symbols, which no rule touches; may be nil
	space      string    // what a space becomes
	suffix     bool      // the dummy space goes to the end of the text
	selfMapped [utf8.RuneSelf]bool
}

func newNormalizer(spec normalizerSpec, symbols *trie, whitespaceSuffix bool) (*normalizer, error) {
	n := &normalizer{spec: spec, symbols: symbols, space: " ", suffix: whitespaceSuffix}
	if spec.escapeWhitespaces {
		n.space = space
	}
	if spec.charsmap != "" {
		var err error
		if n.charsmap, err = parseCharsmap(spec.charsmap); err != nil {
			return nil, fmt.Errorf("normalizer: %w", err)
		}
	}
	for b := range n.selfMapped {
		n.selfMapped[b] = b != ' ' &&
			(symbols == nil || symbols.child(0, byte(b)) == noNode) &&
			(n.charsmap == nil || !n.charsmap.rewritesASCII(byte(b)))
	}
	return n, nil
}

// append normalizes text and appends the result to dst.
func (n *normalizer) append(dst []byte, text string) []byte {
	if n.spec.removeExtraWhitespaces {
		text = n.trimLeft(text)
	}
	if text == "" {
		return dst
	}
	if n.spec.addDummyPrefix && !n.suffix {
		dst = append(dst, n.space...)
	}
	dst = n.appendRules(dst, text)
	if n.spec.removeExtraWhitespaces {
		for bytes.HasSuffix(dst, []byte(n.space)) {
			dst = dst[:len(dst)-len(n.space)]
		}
	}
	if n.spec.addDummyPrefix && n.suffix {
		dst = append(dst, n.space...)
	}
	return dst
}

// trimLeft removes all that is a space after the rules.
func (n *normalizer) trimLeft(text string) string {
	for text != "" {
		out, size := n.rewriteHead(text)
		if out != " " {
			break
		}
		text = text[size:]
	}
	return text
}

// appendRules rewrites text character by character and escapes spaces, of which
// only the first of a run stays where extra ones are removed.
func (n *normalizer) appendRules(dst []byte, text string) []byte {
	remove := n.spec.removeExtraWhitespaces
	afterSpace := remove
	for text != "" {
		if run := n.selfMappedRun(text); run > 0 {
			dst, text = append(dst, text[:run]...), text[run:]
			afterSpace = false
			continue
		}
		out, size := n.rewriteHead(text)
		text = text[size:]
		if afterSpace {
			out = strings.TrimLeft(out, " ")
		}
		if out != "" {
			dst = n.appendEscaped(dst, out)
			afterSpace = remove && out[len(out)-1] == ' '
		}
	}
	return dst
}

// selfMappedRun returns how many bytes at the head of text are ASCII that no
// rule or symbol can touch, so that they can be copied at once. The last one
// before other text is left out: a combining mark may follow it.
func (n *normalizer) selfMappedRun(text string) int {
	i := 0
	for i < len(text) && text[i] < utf8.RuneSelf && n.selfMapped[text[i]] {
		i++
	}
	if i > 0 && i < len(text) && text[i] >= utf8.RuneSelf {
		i--
	}
	return i
}

func (n *normalizer) appendEscaped(dst []byte, text string) []byte {
	for {
		i := strings.IndexByte(text, ' ')
		if i < 0 {
			return append(dst, text...)
		}
		dst = append(append(dst, text[:i]...), n.space...)
		text = text[i+1:]
	}
}

// rewriteHead normalizes the head of text, which is not empty: a user-defined
// symbol, what the longest matching rule covers, or one character. It returns
// the result and the bytes of text that it stands for.
func (n *normalizer) rewriteHead(text string) (out string, size int) {
	if n.symbols != nil {
		if size = longestPrefix(n.symbols, text); size > 0 {
			return text[:size], size
		}
	}
	if n.charsmap != nil {
		if out, size = n.charsmap.match(text); size > 0 {
			return out, size
		}
	}
	r, size := utf8.DecodeRuneInString(text)
	if r == utf8.RuneError && size == 1 {
		return replacementChar, 1
	}
	return text[:size], size
}
