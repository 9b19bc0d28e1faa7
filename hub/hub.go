// Package hub downloads model repositories from the Hugging Face Hub into the
// cache that Python's huggingface_hub uses, so that either finds what the other
// downloaded.
//
// Every download is pinned to a commit, verified against the checksum that the
// Hub states before it gets its final name, and resumed where it broke off.
// Facts of the protocol and of the cache's layout are huggingface_hub's
// (https://github.com/huggingface/huggingface_hub).
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

// Errors that callers decide on. They are wrapped with what happened to what.
var (
	// ErrNotFound: the repository, the revision or a file does not exist, or
	// the token does not allow to see it.
	ErrNotFound = errors.New("hub: not found")
	// ErrUnauthorized: the repository is private or gated and the token is
	// missing or not accepted.
	ErrUnauthorized = errors.New("hub: not authorized")
	// ErrUnavailable: the Hub could not be reached or failed, after retries.
	ErrUnavailable = errors.New("hub: unavailable")
	// ErrInvalid: the answer is none of the Hub's, or names files that no
	// repository may have. It is refused.
	ErrInvalid = errors.New("hub: invalid answer")
	// ErrOffline: the cache does not have it, and no request was made.
	ErrOffline = errors.New("hub: offline")
	// ErrIncomplete: the cache has a part of a snapshot only.
	ErrIncomplete = errors.New("hub: snapshot is incomplete")
	// ErrChecksum: the bytes received are not those that the Hub promised.
	ErrChecksum = errors.New("hub: checksum mismatch")
	// ErrNoSpace: the disk has no room for the download.
	ErrNoSpace = errors.New("hub: not enough disk space")
)

// DefaultEndpoint is the Hub's address.
const DefaultEndpoint = "https://huggingface.co"

// Options configure a Client.
type Options struct {
	Endpoint string // DefaultEndpoint if empty
	Token    string // sent to the endpoint's host only, never logged
	CacheDir string // the cache's root, see CacheDir
	Offline  bool   // make no request at all
	Workers  int    // files downloaded at once; 0: 8

	// Timeout bounds the waits for a connection and for an answer's header; the
	// wait for each next byte of its body is thrice as long. 0: 10 s.
	Timeout time.Duration
	// Retries of a failed request; 0: 5; negative: none. A transfer that gets
	// further before it breaks off again has them all anew.
	Retries int
	// Backoff is the wait before the first retry, doubled each time up to 8
	// times; 0: 1 s.
	Backoff time.Duration

	Progress func(Progress)   // called as bytes arrive, one call at a time
	Observe  func(status int) // called for each answer; 0 for none
	Logger   *slog.Logger     // nil: none
}

// Progress is how far a download is.
type Progress struct {
	Repo       string
	File       string // the file that made progress
	Done       int64  // bytes of all files that are here, the last of each maybe not on disk yet; never falls
	Total      int64  // bytes of all files
	Downloaded int64  // bytes received by this call
}

// A Client speaks to one Hub and one cache. It is safe to use from concurrent
// goroutines, and several processes may share a cache.
type Client struct {
	opts  Options
	base  *url.URL
	http  *http.Client
	etags etagCache
	away  atomic.Bool // the last request of the API failed after all its retries
}

// New returns a client. It makes no request.
func New(o Options) (*Client, error) {
	if o.Endpoint == "" {
		o.Endpoint = DefaultEndpoint
	}
	base, err := url.Parse(strings.TrimSuffix(o.Endpoint, "/"))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" {
		return nil, fmt.Errorf("hub: endpoint %q is not an http address", o.Endpoint)
	}
	if o.CacheDir == "" {
		return nil, errors.New("hub: no cache folder is set")
	}
	o.Workers = positive(o.Workers, 8)
	o.Timeout = positive(o.Timeout, 10*time.Second)
	o.Backoff = positive(o.Backoff, time.Second)
	if o.Retries == 0 {
		o.Retries = 5
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Observe == nil {
		o.Observe = func(int) {}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return &Client{opts: o, base: base, http: newHTTPClient(o)}, nil
}

func positive[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

// newHTTPClient never follows redirects by itself: the first answer carries
// headers that the last one lacks, and the token must not follow to another host.
func newHTTPClient(o Options) *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = (&net.Dialer{Timeout: o.Timeout, KeepAlive: 30 * time.Second}).DialContext
	t.TLSHandshakeTimeout = o.Timeout
	t.ResponseHeaderTimeout = o.Timeout
	t.MaxResponseHeaderBytes = 1 << 20
	t.MaxIdleConnsPerHost = o.Workers
	t.DisableCompression = true
	return &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

// Cache returns the folder of the cache.
func (c *Client) Cache() string { return c.opts.CacheDir }

// CacheDir returns the root of the cache that the environment names, by the
// rules of huggingface_hub: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE, HF_HOME/hub,
// XDG_CACHE_HOME/huggingface/hub, ~/.cache/huggingface/hub.
func CacheDir(getenv func(string) string) string {
	for _, name := range []string{"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"} {
		if dir := getenv(name); dir != "" {
			return expand(dir, getenv)
		}
	}
	return filepath.Join(Home(getenv), "hub")
}

// Home returns the folder of the Hub's files that are not snapshots.
func Home(getenv func(string) string) string {
	if dir := getenv("HF_HOME"); dir != "" {
		return expand(dir, getenv)
	}
	if cache := getenv("XDG_CACHE_HOME"); cache != "" {
		return filepath.Join(expand(cache, getenv), "huggingface")
	}
	return filepath.Join(userHome(getenv), ".cache", "huggingface")
}

// expand resolves a leading ~, which the Python client allows.
func expand(dir string, getenv func(string) string) string {
	if dir == "~" || strings.HasPrefix(dir, "~/") {
		return filepath.Join(userHome(getenv), dir[1:])
	}
	return dir
}

func userHome(getenv func(string) string) string {
	if home := getenv("HOME"); home != "" {
		return home
	}
	if home, err := os.UserHomeDir(); err == nil {
		return home
	}
	return os.TempDir()
}

// Offline reports whether the environment forbids requests, by HF_HUB_OFFLINE
// or, where that is not set, TRANSFORMERS_OFFLINE.
func Offline(getenv func(string) string) bool {
	switch strings.ToUpper(cmp.Or(getenv("HF_HUB_OFFLINE"), getenv("TRANSFORMERS_OFFLINE"))) {
	case "1", "ON", "YES", "TRUE", "T":
		return true
	}
	return false
}

// Token returns the access token that the environment names: HF_TOKEN, or the
// file at HF_TOKEN_PATH or HF_HOME/token; "" if there is none.
func Token(getenv func(string) string) string {
	if t := strings.TrimSpace(getenv("HF_TOKEN")); t != "" {
		return t
	}
	file := filepath.Join(Home(getenv), "token")
	if named := getenv("HF_TOKEN_PATH"); named != "" {
		file = expand(named, getenv)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(data))
}

var (
	repoPattern     = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,95}(/[A-Za-z0-9][A-Za-z0-9._-]{0,95})?$`)
	revisionPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/+-]{0,254}$`)
	commitPattern   = regexp.MustCompile(`^[0-9a-f]{40}$`)
)

// IsCommit reports whether a revision is a full commit, which never changes.
func IsCommit(revision string) bool { return commitPattern.MatchString(revision) }

// CheckRepo refuses what is no name of a repository, or would leave the cache's
// folder or the API's paths.
func CheckRepo(repo string) error {
	// "--" stands for "/" in the names of the cache.
	if !repoPattern.MatchString(repo) || strings.Contains(repo, "..") || strings.Contains(repo, "--") {
		return fmt.Errorf("hub: %q is not a repository name (owner/name)", repo)
	}
	return nil
}

// CheckRevision refuses what no revision is called, or would leave the cache's
// folder or the API's paths.
func CheckRevision(revision string) error {
	if !revisionPattern.MatchString(revision) || strings.Contains(revision, "..") || revision != path.Clean(revision) {
		return fmt.Errorf("hub: %q is not a revision (a branch, a tag or a commit)", revision)
	}
	return nil
}

func check(repo, revision string) error {
	if err := CheckRepo(repo); err != nil {
		return err
	}
	return CheckRevision(revision)
}

// Resolve returns the commit that a revision names now. A commit needs no
// request, nor does an answer that has not changed since the last one more than
// a short one (a conditional request).
func (c *Client) Resolve(ctx context.Context, repo, revision string) (string, error) {
	if err := check(repo, revision); err != nil {
		return "", err
	}
	if IsCommit(revision) {
		return revision, nil
	}
	if c.opts.Offline {
		return c.cachedCommit(repo, revision)
	}
	return c.revisionInfo(ctx, repo, revision)
}
