package hub

import (
	"regexp"
	"strings"
)

// filter returns the files that match one of the patterns; all if there are none.
func filter(files []File, patterns []string) []File {
	if len(patterns) == 0 {
		return files
	}
	var compiled []*regexp.Regexp
	for _, p := range patterns {
		if re, err := regexp.Compile(expression(p)); err == nil {
			compiled = append(compiled, re)
		}
	}
	var kept []File
	for _, f := range files {
		for _, re := range compiled {
			if re.MatchString(f.Path) {
				kept = append(kept, f)
				break
			}
		}
	}
	return kept
}

// expression is the regular expression for a pattern of Python's fnmatchcase as
// snapshot_download uses it: case matters, * crosses /, and a pattern that ends
// in / means all below. A range that is empty, as [z-a], does not compile and
// matches nothing.
func expression(pattern string) string {
	if strings.HasSuffix(pattern, "/") {
		pattern += "*"
	}
	var b strings.Builder
	b.WriteString(`(?s)\A`)
	for pattern != "" {
		c := pattern[:1]
		pattern = pattern[1:]
		switch c {
		case "*":
			b.WriteString(`.*`)
		case "?":
			b.WriteString(`.`)
		case "[":
			set, rest := splitSet(pattern)
			b.WriteString(set)
			pattern = rest
		default:
			b.WriteString(regexp.QuoteMeta(c))
		}
	}
	return b.String() + `\z`
}

// splitSet returns the expression for a set of characters, whose [ was read, and
// what follows it. A [ that is not closed stands for itself.
func splitSet(pattern string) (set, rest string) {
	from := 0
	if strings.HasPrefix(pattern, "!") {
		from = 1
	}
	if strings.HasPrefix(pattern[from:], "]") { // one that comes first is a member
		from++
	}
	end := strings.IndexByte(pattern[from:], ']')
	if end < 0 {
		return `\[`, pattern
	}
	inner, rest := pattern[:from+end], pattern[from+end+1:]
	negated := ""
	if strings.HasPrefix(inner, "!") {
		negated, inner = "^", inner[1:]
	}
	return "[" + negated + strings.NewReplacer(`\`, `\\`, `[`, `\[`, `]`, `\]`, `^`, `\^`).Replace(inner) + "]", rest
}
