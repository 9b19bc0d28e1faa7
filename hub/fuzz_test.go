package hub

import (
	"net/http"
	"net/url"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// FuzzListing checks that no listing, of the Hub's or in the cache, names a file
// outside its folder.
func FuzzListing(f *testing.F) {
	f.Add([]byte(`[{"type":"file","path":"a/b","size":1,"oid":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","lfs":{"oid":"x","size":2}}]`))
	f.Add([]byte(`{"format_version":1,"files":{"../a":{"size":1,"blob_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}}}`))
	f.Add([]byte(`{"format_version":1,"files":{"a":{"size":1,"blob_id":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","lfs_size":null}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		files, err := appendPage(nil, data)
		if err != nil || checkFiles(files) != nil {
			files = nil
		}
		for _, file := range append(files, parseTree(data)...) {
			if !filepath.IsLocal(filepath.FromSlash(file.Path)) || file.Size < 0 || strings.Contains(file.etag(), "/") || file.etag() == "" {
				t.Errorf("%+v", file)
			}
		}
	})
}

// FuzzPattern checks patterns against path.Match where the two agree: where
// there is no separator, no backslash and no set.
func FuzzPattern(f *testing.F) {
	f.Add("*.bin", "a.bin")
	f.Add("[!a-c]?", "xy")
	f.Add("a[", "a[")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if len(pattern) > 100 || len(name) > 100 {
			return
		}
		re, err := regexp.Compile(expression(pattern))
		if err != nil || strings.ContainsAny(pattern, "/\\[") || strings.Contains(name, "/") || !strings.Contains(pattern, "*") {
			return
		}
		want, err := path.Match(pattern, name)
		if err == nil && safePath(name) && strings.ToValidUTF8(pattern, "") == pattern && re.MatchString(name) != want {
			t.Errorf("%q on %q: %v, want %v", pattern, name, !want, want)
		}
	})
}

// FuzzHeaders checks that no header makes the client wait long or leave its host.
func FuzzHeaders(f *testing.F) {
	f.Add("1", `"api";r=0;t=55`, `<https://hub.example/x?y>; rel="next"`)
	f.Add("Tue, 24 Nov 2026 14:34:04 GMT", "", `<//elsewhere/x>; rel="next"`)
	base, err := url.Parse("https://hub.example")
	if err != nil {
		f.Fatal(err)
	}
	c := &Client{base: base}
	f.Fuzz(func(t *testing.T, after, limit, link string) {
		h := http.Header{"Retry-After": {after}, "Ratelimit": {limit}, "Link": {link}}
		if d := retryAfter(h); d < 0 || d > maxWait {
			t.Errorf("wait %s", d)
		}
		next, err := c.nextPage(h)
		if err == nil && next != "" && !strings.HasPrefix(next, "https://hub.example") {
			t.Errorf("next page %q", next)
		}
	})
}
