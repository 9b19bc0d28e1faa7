package hub

import (
	"path"
	"strings"
)

// filter returns the files that match one of the patterns; all if there are none.
func filter(files []File, patterns []string) []File {
	if len(patterns) == 0 {
		return files
	}
	var kept []File
	for _, f := range files {
		for _, p := range patterns {
			if matches(p, f.Path) {
				kept = append(kept, f)
				break
			}
		}
	}
	return kept
}

// matches is Python's fnmatchcase as snapshot_download uses it: case matters,
// * crosses /, and a pattern that ends in / means all below.
func matches(pattern, name string) bool {
	if strings.HasSuffix(pattern, "/") {
		pattern += "*"
	}
	// path.Match is the same but for *, which stops at its separator there.
	const slash = "\x01"
	ok, err := path.Match(strings.ReplaceAll(pattern, "/", slash), strings.ReplaceAll(name, "/", slash))
	return ok && err == nil
}
