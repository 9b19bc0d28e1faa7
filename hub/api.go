package hub

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"sync"
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
	resp, err := c.get(ctx, address, header)
	if err != nil {
		return "", fmt.Errorf("%w (revision %s of %s)", err, revision, repo)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusNotModified {
		return known, nil
	}
	var info struct {
		SHA string `json:"sha"`
	}
	if err := decode(resp, &info); err != nil {
		return "", fmt.Errorf("hub: revision %s of %s: %w", revision, repo, err)
	}
	if !IsCommit(info.SHA) {
		return "", fmt.Errorf("%w: the answer for revision %s of %s names no commit", ErrUnavailable, revision, repo)
	}
	c.etags.put(address, resp.Header.Get("ETag"), info.SHA)
	return info.SHA, nil
}

// decode reads a JSON answer.
func decode(resp *http.Response, v any) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return fmt.Errorf("%w: read the answer: %v", ErrUnavailable, err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("%w: the answer is larger than %d bytes", ErrUnavailable, maxAnswer)
	}
	if err := json.Unmarshal(data, v); err != nil {
		return fmt.Errorf("%w: the answer is not the JSON expected: %v", ErrUnavailable, err)
	}
	return nil
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
		resp, err := c.get(ctx, address, nil)
		if err != nil {
			return nil, fmt.Errorf("%w (files of %s at %s)", err, repo, commit)
		}
		var entries []treeEntry
		err = decode(resp, &entries)
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("hub: files of %s at %s: %w", repo, commit, err)
		}
		for _, e := range entries {
			if e.Type != "file" {
				continue
			}
			f, err := e.file()
			if err != nil {
				return nil, fmt.Errorf("hub: files of %s at %s: %w", repo, commit, err)
			}
			files = append(files, f)
		}
		if len(files) > maxFiles || page > maxFiles/100 {
			return nil, fmt.Errorf("hub: %s has more than %d files", repo, maxFiles)
		}
		if address, err = c.nextPage(resp.Header); err != nil {
			return nil, err
		}
	}
	return files, nil
}

var (
	sha1Pattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
	sha256Pattern = regexp.MustCompile(`^[0-9a-f]{64}$`)
)

// file checks what will become paths in the cache.
func (e treeEntry) file() (File, error) {
	f := File{Path: e.Path, Size: e.Size, BlobID: e.OID}
	if e.LFS != nil {
		f.SHA256, f.Size = strings.TrimPrefix(e.LFS.OID, "sha256:"), e.LFS.Size
		if !sha256Pattern.MatchString(f.SHA256) {
			return f, fmt.Errorf("%w: file %q has the LFS id %q, which is no sha256", ErrUnavailable, e.Path, e.LFS.OID)
		}
	}
	if !sha1Pattern.MatchString(f.BlobID) {
		return f, fmt.Errorf("%w: file %q has the id %q, which is no sha1", ErrUnavailable, e.Path, e.OID)
	}
	if !safePath(f.Path) || f.Size < 0 {
		return f, fmt.Errorf("%w: file name %q is not allowed", ErrUnavailable, e.Path)
	}
	return f, nil
}

// safePath reports whether a path of a repository stays within its folder.
func safePath(p string) bool {
	return p != "" && p == path.Clean(p) && !path.IsAbs(p) && p != ".." && !strings.HasPrefix(p, "../") &&
		!strings.ContainsAny(p, "\\\x00") && len(p) < 1024
}

var nextPattern = regexp.MustCompile(`<([^>]+)>;\s*rel="next"`)

// nextPage returns the address in a Link header, which must be on our host.
func (c *Client) nextPage(h http.Header) (string, error) {
	m := nextPattern.FindStringSubmatch(h.Get("Link"))
	if m == nil {
		return "", nil
	}
	u, err := c.base.Parse(m[1])
	if err != nil || u.Host != c.base.Host {
		return "", fmt.Errorf("%w: the next page of a listing lies elsewhere: %q", ErrUnavailable, m[1])
	}
	return u.String(), nil
}
