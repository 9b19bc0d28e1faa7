// Package hubtest runs a Hugging Face Hub for tests: real HTTP on loopback, with
// repositories, commits, LFS files on a second host, and faults on demand. It
// answers as the Hub does as far as clients of model repositories see it.
package hubtest

import (
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"sync"
	"testing"
)

// A Server is a Hub. Its methods may be called while clients use it.
type Server struct {
	URL        string // the Hub's address, for HF_ENDPOINT
	StorageURL string // the other host, to which LFS files redirect
	PageSize   int    // entries of a page of a listing; set it before use; 0: 1000

	closed chan struct{} // stalled answers end when the server does

	mu       sync.Mutex
	repos    map[string]*repository
	faults   []*fault
	requests []*Request
	commits  int
}

type repository struct {
	token   string // that requests must carry; "": public
	refs    map[string]string
	commits map[string]map[string]entry // commit → path → file
}

// entry is a file of a commit.
type entry struct {
	data   []byte
	blobID string // git's sha1 of the content, or of the LFS pointer
	sha256 string // of a file in LFS, else ""
}

// etag is what the Hub calls the file's content.
func (e entry) etag() string {
	if e.sha256 != "" {
		return e.sha256
	}
	return e.blobID
}

// New starts a Hub, which ends with the test.
func New(t testing.TB) *Server {
	s := &Server{closed: make(chan struct{}), repos: map[string]*repository{}}
	api := httptest.NewServer(s.recorded("hub", s.serveHub))
	storage := httptest.NewServer(s.recorded("storage", s.serveStorage))
	s.URL, s.StorageURL = api.URL, storage.URL
	t.Cleanup(func() {
		close(s.closed)
		for _, server := range []*httptest.Server{api, storage} {
			server.CloseClientConnections()
			server.Close()
		}
	})
	return s
}

// inLFS are the kinds of files that the Hub keeps in LFS.
var inLFS = []string{".bin", ".ftz", ".gz", ".model", ".safetensors"}

// Commit makes a commit of files, path → content, points ref at it and returns
// its sha. Paths that end in .bin, .model, .ftz, … are in LFS. The repository is
// made if there is none.
func (s *Server) Commit(repo, ref string, files map[string][]byte) (sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repo]
	if r == nil {
		r = &repository{refs: map[string]string{}, commits: map[string]map[string]entry{}}
		s.repos[repo] = r
	}
	s.commits++
	tree := map[string]entry{}
	for name, data := range files {
		tree[name] = newEntry(name, data)
	}
	sum := sha1.Sum(fmt.Appendf(nil, "commit %d of %s", s.commits, repo))
	sha = hex.EncodeToString(sum[:])
	r.commits[sha], r.refs[ref] = tree, sha
	return sha
}

func newEntry(name string, data []byte) entry {
	if !slices.Contains(inLFS, path.Ext(name)) {
		return entry{data: data, blobID: Name(data, false)}
	}
	e := entry{data: data, sha256: Name(data, true)}
	e.blobID = blobID(fmt.Appendf(nil, "version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", e.sha256, len(data)))
	return e
}

// Name is what the Hub and the caches of its clients call some content: the
// sha256 of that of a file in LFS, else git's name of a blob.
func Name(data []byte, lfs bool) string {
	if lfs {
		sum := sha256.Sum256(data)
		return hex.EncodeToString(sum[:])
	}
	return blobID(data)
}

// blobID is git's name of a blob.
func blobID(data []byte) string {
	sum := sha1.Sum(append(fmt.Appendf(nil, "blob %d\x00", len(data)), data...))
	return hex.EncodeToString(sum[:])
}

// SetRef points a branch or a tag at a commit.
func (s *Server) SetRef(repo, ref, sha string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].refs[ref] = sha
}

// RequireToken makes a repository private.
func (s *Server) RequireToken(repo, token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.repos[repo].token = token
}

// lookUp finds a commit by a revision: a branch, a tag or a sha.
func (s *Server) lookUp(repo, revision, authorization string) (sha string, files map[string]entry, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[repo]
	if r == nil || r.token != "" && authorization != "Bearer "+r.token {
		return "", nil, "RepoNotFound"
	}
	sha = revision
	if named, ok := r.refs[revision]; ok {
		sha = named
	}
	files, ok := r.commits[sha]
	if !ok {
		return "", nil, "RevisionNotFound"
	}
	return sha, maps.Clone(files), ""
}

// Request is a request that the Hub, or its storage, got.
type Request struct {
	Host          string // "hub" or "storage"
	Method        string
	Path          string // as it came, escaped
	Authorization string
	Range         string
	IfNoneMatch   string
	Status        int // of the answer; 0: not yet, or cut off before it
}

// Requests returns the requests so far, in the order of their beginnings.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var requests []Request
	for _, r := range s.requests {
		requests = append(requests, *r)
	}
	return requests
}

// Forget forgets the requests so far.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

// recorded notes each request and applies the faults that match its path.
func (s *Server) recorded(host string, serve http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		note := &Request{
			Host: host, Method: r.Method, Path: r.URL.EscapedPath(),
			Authorization: r.Header.Get("Authorization"), Range: r.Header.Get("Range"), IfNoneMatch: r.Header.Get("If-None-Match"),
		}
		s.mu.Lock()
		s.requests = append(s.requests, note)
		s.mu.Unlock()
		answer := &writer{ResponseWriter: w, request: r, closed: s.closed, begun: func(status int) {
			s.mu.Lock()
			defer s.mu.Unlock()
			note.Status = status
		}}
		if f, ok := s.take(note.Path); ok && answer.apply(f) {
			return
		}
		serve(answer, r)
	})
}
