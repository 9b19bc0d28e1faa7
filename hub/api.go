package hub

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// maxAnswer bounds the answers that are read whole.
const maxAnswer = 32 << 20

// maxFiles bounds the listing of a repository.
const maxFiles = 100_000

// File is a file of a repository at a commit.
type File struct {
	Path   string
	Size   int64
	BlobID string // git's sha1; of the pointer for a file in LFS
	SHA256 string // of a file in LFS, else ""
}

// etag is the name of the file's blob in the cache.
func (f File) etag() string {
	if f.SHA256 != "" {
		return f.SHA256
	}
	return f.BlobID
}

// etagCache remembers the last answer to a revision's look-up.
type etagCache struct {
	mu      sync.Mutex
	answers map[string]struct{ etag, commit string }
}

func (e *etagCache) get(key string) (etag, commit string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.answers[key].etag, e.answers[key].commit
}

func (e *etagCache) put(key, etag, commit string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.answers == nil || len(e.answers) > 100 {
		e.answers = map[string]struct{ etag, commit string }{}
	}
	e.answers[key] = struct{ etag, commit string }{etag, commit}
}

func (c *Client) api(format string, args ...any) string {
	return c.base.String() + "/api/models/" + fmt.Sprintf(format, args...)
}

func (c *Client) revisionInfo(ctx context.Context, repo, revision string) (string, error) {
	address := c.api("%s/revision/%s", repo, url.PathEscape(revision))
	etag, known := c.etags.get(address)
	header := http.Header{}
	if etag != "" {
		header.Set("If-None-Match", etag)
	}
	a, err := c.get(ctx, address, header)
	if err != nil {
		return "", fmt.Errorf("%w (revision %s of %s)", err, revision, repo)
	}
	if a.status == http.StatusNotModified && known != "" {
		return known, nil
	}
	var info struct {
		SHA string `json:"sha"`
	}
	if err := json.Unmarshal(a.body, &info); err != nil || !IsCommit(info.SHA) {
		return "", fmt.Errorf("%w: that for revision %s of %s names no commit", ErrInvalid, revision, repo)
	}
	c.etags.put(address, a.header.Get("ETag"), info.SHA)
	return info.SHA, nil
}

// treeEntry is an entry of the tree API.
type treeEntry struct {
	Type string `json:"type"`
	Path string `json:"path"`
	Size int64  `json:"size"`
	OID  string `json:"oid"`
	LFS  *struct {
		OID  string `json:"oid"`
		Size int64  `json:"size"`
	} `json:"lfs"`
}

// list returns the files of a repository at a commit.
func (c *Client) list(ctx context.Context, repo, commit string) ([]File, error) {
	var files []File
	address := c.api("%s/tree/%s?recursive=true&expand=false", repo, commit)
	for page := 0; address != ""; page++ {
		if page > maxFiles/100 {
			return nil, fmt.Errorf("%w: the listing of %s has no end", ErrInvalid, repo)
		}
		a, err := c.get(ctx, address, nil)
		if err != nil {
			return nil, fmt.Errorf("%w (files of %s at %s)", err, repo, commit)
		}
		if files, err = appendPage(files, a.body); err != nil {
			return nil, fmt.Errorf("%w (files of %s at %s)", err, repo, commit)
		}
		if address, err = c.nextPage(a.header); err != nil {
			return nil, err
		}
	}
	if err := checkFiles(files); err != nil {
		return nil, fmt.Errorf("%w (files of %s at %s)", err, repo, commit)
	}
	return files, nil
}

// appendPage appends the files of a page of a listing. It reads entry by entry:
// a page of millions of empty ones is refused before it is in memory, and a
// file that no repository may have before the next page is asked for, so that
// what is kept of all pages is small.
func appendPage(files []File, page []byte) ([]File, error) {
	d := json.NewDecoder(bytes.NewReader(page))
	if t, err := d.Token(); err != nil || t != json.Delim('[') {
		return nil, fmt.Errorf("%w: a listing is no array", ErrInvalid)
	}
	for entries := 0; d.More(); entries++ {
		var e treeEntry
		if err := d.Decode(&e); err != nil {
			return nil, fmt.Errorf("%w: a listing is not as expected: %v", ErrInvalid, err)
		}
		if entries > maxFiles || len(files) > maxFiles {
			return nil, fmt.Errorf("%w: more than %d files", ErrInvalid, maxFiles)
		}
		if e.Type != "file" {
			continue
		}
		f := e.file()
		if err := f.check(); err != nil {
			return nil, err
		}
		files = append(files, f)
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("%w: a listing ends early", ErrInvalid)
	}
	return files, nil
}

var (
	sha1Pattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

func (e treeEntry) file() File {
	f := File{Path: e.Path, Size: e.Size, BlobID: e.OID}
	if e.LFS != nil {
		f.Size, f.SHA256 = e.LFS.Size, strings.TrimPrefix(e.LFS.OID, "sha256:")
		if f.SHA256 == "" {
			f.SHA256 = "none"
		}
	}
	return f
}

// maxSize bounds the size of a file, and of all files of a commit.
const maxSize = 1 << 50

// check checks what will become paths in the cache, and the size.
func (f File) check() error {
	switch {
	case !safePath(f.Path):
		return fmt.Errorf("%w: the file name %.200q is not allowed", ErrInvalid, f.Path)
	case f.SHA256 != "" && !sha256Pattern.MatchString(f.SHA256):
		return fmt.Errorf("%w: file %q has the LFS id %.100q, which is no sha256", ErrInvalid, f.Path, f.SHA256)
	case !sha1Pattern.MatchString(f.BlobID):
		return fmt.Errorf("%w: file %q has the id %.100q, which is no sha1", ErrInvalid, f.Path, f.BlobID)
	case f.Size < 0 || f.Size > maxSize:
		return fmt.Errorf("%w: file %q has a size of %d bytes", ErrInvalid, f.Path, f.Size)
	}
	return nil
}

// checkFiles checks files together, each of which was checked.
func checkFiles(files []File) error {
	var total int64
	seen := make(map[string]bool, len(files))
	for _, f := range files {
		switch {
		case seen[f.Path]:
			return fmt.Errorf("%w: file %q is listed twice", ErrInvalid, f.Path)
		case f.Size > maxSize-total:
			return fmt.Errorf("%w: with file %q all have more than %d bytes", ErrInvalid, f.Path, int64(maxSize))
		}
		seen[f.Path] = true
		total += f.Size
	}
	return nil
}

// safePath reports whether a path of a repository stays within its folder, and
// can be printed on a line.
func safePath(p string) bool {
	return p == path.Clean(p) && p != "." && !path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../") &&
		len(p) < 1024 && utf8.ValidString(p) && !strings.ContainsFunc(p, func(r rune) bool { return r == '\\' || unicode.IsControl(r) })
}

var nextPattern = regexp.MustCompile(`<([^>]+)>;\s*rel="next"`)

// nextPage returns the address in a Link header, which must be on our host.
func (c *Client) nextPage(h http.Header) (string, error) {
	m := nextPattern.FindStringSubmatch(h.Get("Link"))
	if m == nil {
		return "", nil
	}
	u, err := c.base.Parse(m[1])
	if err != nil || u.Host != c.base.Host || u.Scheme != c.base.Scheme {
		return "", fmt.Errorf("%w: the next page of a listing lies elsewhere: %.200q", ErrInvalid, m[1])
	}
	return u.String(), nil
}
