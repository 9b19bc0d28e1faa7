package hubtest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// serveHub answers the requests to the Hub's own host.
func (s *Server) serveHub(w http.ResponseWriter, r *http.Request) {
	p := r.URL.EscapedPath()
	if rest, ok := strings.CutPrefix(p, "/api/resolve-cache/models/"); ok {
		s.servePlain(w, r, rest)
		return
	}
	if repo, revision, ok := cut(strings.TrimPrefix(p, "/api/models/"), "/revision/"); ok {
		s.serveInfo(w, r, repo, revision)
		return
	}
	if repo, revision, ok := cut(strings.TrimPrefix(p, "/api/models/"), "/tree/"); ok {
		s.serveTree(w, r, repo, revision)
		return
	}
	if repo, rest, ok := cut(strings.TrimPrefix(p, "/"), "/resolve/"); ok {
		revision, file, _ := strings.Cut(rest, "/")
		s.serveResolve(w, r, repo, unescape(revision), unescape(file))
		return
	}
	if repo, ok := strings.CutPrefix(p, "/api/models/"); ok {
		s.serveInfo(w, r, unescape(repo), "main")
		return
	}
	http.NotFound(w, r)
}

func cut(p, at string) (before, after string, ok bool) {
	before, after, ok = strings.Cut(p, at)
	return unescape(before), unescape(after), ok
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// find answers with an error if there is no such revision.
func (s *Server) find(w http.ResponseWriter, r *http.Request, repo, revision string) (sha string, files map[string]entry, ok bool) {
	sha, files, code := s.lookUp(repo, revision, r.Header.Get("Authorization"))
	switch code {
	case "":
		return sha, files, true
	case "RepoNotFound": // the Hub does not tell strangers what is private and what is missing
		fail(w, http.StatusUnauthorized, code)
	default:
		fail(w, http.StatusNotFound, code)
	}
	return "", nil, false
}

func fail(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Error-Code", code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	fmt.Fprintf(w, `{"error":%q}`, code)
}

type sibling struct {
	Name string `json:"rfilename"`
}

// serveInfo answers what a revision is, or that it is what the client knows.
func (s *Server) serveInfo(w http.ResponseWriter, r *http.Request, repo, revision string) {
	sha, files, ok := s.find(w, r, repo, revision)
	if !ok {
		return
	}
	siblings := []sibling{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		siblings = append(siblings, sibling{name})
	}
	etag := `W/"` + sha[:20] + `"`
	w.Header().Set("ETag", etag)
	if r.Header.Get("If-None-Match") == etag {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, map[string]any{
		"_id": "0", "id": repo, "modelId": repo, "sha": sha, "siblings": siblings, "private": false, "gated": false,
		"disabled": false, "downloads": 0, "likes": 0, "tags": []string{}, "lastModified": "2026-01-01T00:00:00.000Z",
	})
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(v)
}

type treeEntry struct {
	Type string     `json:"type"`
	OID  string     `json:"oid"`
	Size int        `json:"size"`
	Path string     `json:"path"`
	LFS  *lfsObject `json:"lfs,omitempty"`
}

type lfsObject struct {
	OID         string `json:"oid"`
	Size        int    `json:"size"`
	PointerSize int    `json:"pointerSize"`
}

// serveTree answers a page of a listing.
func (s *Server) serveTree(w http.ResponseWriter, r *http.Request, repo, revision string) {
	_, files, ok := s.find(w, r, repo, revision)
	if !ok {
		return
	}
	names := slices.Sorted(maps.Keys(files))
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	size := s.PageSize
	if size == 0 {
		size = 1000
	}
	to := min(from+size, len(names))
	page := []treeEntry{}
	for _, name := range names[min(from, to):to] {
		f := files[name]
		e := treeEntry{Type: "file", OID: f.blobID, Size: len(f.data), Path: name}
		if f.sha256 != "" {
			e.LFS = &lfsObject{f.sha256, len(f.data), 130}
		}
		page = append(page, e)
	}
	if to < len(names) {
		q := r.URL.Query()
		q.Set("cursor", strconv.Itoa(to))
		w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next"`, s.URL, r.URL.EscapedPath(), q.Encode()))
	}
	writeJSON(w, page)
}

// serveResolve says where a file's bytes are.
func (s *Server) serveResolve(w http.ResponseWriter, r *http.Request, repo, revision, file string) {
	sha, files, ok := s.find(w, r, repo, revision)
	if !ok {
		return
	}
	w.Header().Set("X-Repo-Commit", sha)
	f, ok := files[file]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound")
		return
	}
	if f.sha256 == "" {
		w.Header().Set("Location", "/api/resolve-cache/models/"+repo+"/"+sha+"/"+url.PathEscape(file))
		w.WriteHeader(http.StatusTemporaryRedirect)
		return
	}
	w.Header().Set("X-Linked-ETag", `"`+f.sha256+`"`)
	w.Header().Set("X-Linked-Size", strconv.Itoa(len(f.data)))
	w.Header().Set("Location", s.StorageURL+"/storage/"+repo+"/"+f.sha256+"/"+url.PathEscape(file)+"?Signature=secret")
	w.WriteHeader(http.StatusFound)
}

// servePlain answers with a file that is not in LFS.
func (s *Server) servePlain(w http.ResponseWriter, r *http.Request, rest string) {
	parts := strings.Split(rest, "/")
	if len(parts) < 3 {
		http.NotFound(w, r)
		return
	}
	n := len(parts)
	sha, files, ok := s.find(w, r, strings.Join(parts[:n-2], "/"), parts[n-2])
	if !ok {
		return
	}
	f, ok := files[unescape(parts[n-1])]
	if !ok {
		fail(w, http.StatusNotFound, "EntryNotFound")
		return
	}
	w.Header().Set("X-Repo-Commit", sha)
	w.Header().Set("ETag", `"`+f.etag()+`"`)
	serveBytes(w, r, f.data)
}

// serveStorage answers the requests to the other host. Its ETag is not the
// content's sha256, and it refuses a token that it should not have got.
func (s *Server) serveStorage(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" || r.URL.Query().Get("Signature") != "secret" {
		http.Error(w, "only one auth mechanism allowed", http.StatusBadRequest)
		return
	}
	parts := strings.Split(strings.TrimPrefix(r.URL.EscapedPath(), "/storage/"), "/")
	data, ok := s.stored(parts)
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("ETag", `"md5-of-`+parts[len(parts)-2][:8]+`"`)
	serveBytes(w, r, data)
}

// stored finds REPO/SHA256/FILE in the repository's commits.
func (s *Server) stored(parts []string) ([]byte, bool) {
	n := len(parts)
	if n < 3 {
		return nil, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.repos[strings.Join(parts[:n-2], "/")]
	if r == nil {
		return nil, false
	}
	for _, files := range r.commits {
		if f, ok := files[unescape(parts[n-1])]; ok && f.sha256 == parts[n-2] {
			return f.data, true
		}
	}
	return nil, false
}

// serveBytes answers with data or the part of it that is asked for.
func serveBytes(w http.ResponseWriter, r *http.Request, data []byte) {
	w.Header().Set("Content-Type", "application/octet-stream")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
}
