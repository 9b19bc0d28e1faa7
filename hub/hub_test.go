package hub_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

const repo = "org/name"

var ctx = context.Background()

// noise is content that nothing else has.
func noise(n int, seed uint64) []byte {
	data := make([]byte, n)
	_, _ = rand.NewChaCha8(sha256.Sum256(fmt.Append(nil, seed))).Read(data)
	return data
}

// models is a repository as the service's are.
func models() map[string][]byte {
	return map[string][]byte{
		"README.md":                       []byte("# Models\n"),
		"empty.txt":                       {},
		"translation/nllb/model.bin":      noise(700_000, 1),
		"translation/nllb/config.json":    []byte("{}\n"),
		"tokenizer/spm.model":             noise(50_000, 2),
		"language_detection/lid 176%.bin": noise(30_000, 3),
	}
}

// client returns a client of s that retries soon.
func client(t *testing.T, s *hubtest.Server, change ...func(*hub.Options)) *hub.Client {
	t.Helper()
	o := hub.Options{Endpoint: s.URL, CacheDir: filepath.Join(t.TempDir(), "hub"), Backoff: time.Millisecond, Timeout: 2 * time.Second}
	for _, c := range change {
		c(&o)
	}
	c, err := hub.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// at sets a client's cache.
func at(dir string) func(*hub.Options) { return func(o *hub.Options) { o.CacheDir = dir } }

func download(t *testing.T, c *hub.Client, revision string, allow ...string) hub.Snapshot {
	t.Helper()
	s, err := c.Download(ctx, repo, revision, allow...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// holds checks that a snapshot has these files.
func holds(t *testing.T, s hub.Snapshot, files map[string][]byte) {
	t.Helper()
	if len(s.Files) != len(files) {
		t.Errorf("%d files, want %d", len(s.Files), len(files))
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(s.Dir, name))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes, want %d; %v", name, len(got), len(want), err)
		}
	}
}

// count is how many requests the paths of which contain part were made.
func count(s *hubtest.Server, part string) int {
	n := 0
	for _, r := range s.Requests() {
		if strings.Contains(r.Path, part) {
			n++
		}
	}
	return n
}

// partials lists what is left of unfinished downloads.
func partials(t *testing.T, c *hub.Client) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(c.Cache(), "*/blobs/*.incomplete"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestDownload(t *testing.T) {
	s := hubtest.New(t)
	s.PageSize = 4
	sha := s.Commit(repo, "main", models())
	c := client(t, s)
	snapshot := download(t, c, "main")
	holds(t, snapshot, models())
	if snapshot.Commit != sha || snapshot.Dir != filepath.Join(c.Cache(), "models--org--name", "snapshots", sha) {
		t.Errorf("%+v", snapshot)
	}
	ref, err := os.ReadFile(filepath.Join(c.Cache(), "models--org--name", "refs", "main"))
	if err != nil || string(ref) != sha {
		t.Errorf("the reference is %q, %v", ref, err)
	}
	target, err := os.Readlink(filepath.Join(snapshot.Dir, "translation/nllb/model.bin"))
	if want := fmt.Sprintf("../../../../blobs/%x", sha256.Sum256(models()["translation/nllb/model.bin"])); err != nil || target != want {
		t.Errorf("the link is %q, want %q; %v", target, want, err)
	}
	if count(s, "/tree/") != 2 || count(s, "/storage/") != 3 || len(partials(t, c)) != 0 {
		t.Errorf("%+v", s.Requests())
	}
	for _, r := range s.Requests() {
		if strings.Contains(r.Path, "resolve") && !strings.Contains(r.Path, sha) {
			t.Errorf("not pinned to the commit: %s", r.Path)
		}
	}
	s.Forget()
	holds(t, download(t, c, sha), models())
	if n := len(s.Requests()); n != 0 {
		t.Errorf("%d requests for a commit that is there", n)
	}
}

// TestUnchanged asks one short question where nothing changed, and downloads
// only what changed where something did.
func TestUnchanged(t *testing.T) {
	s := hubtest.New(t)
	first := s.Commit(repo, "main", models())
	c := client(t, s)
	download(t, c, "main")
	s.Forget()
	if sha, err := c.Resolve(ctx, repo, "main"); err != nil || sha != first {
		t.Errorf("%s, %v", sha, err)
	}
	if r := s.Requests(); len(r) != 1 || r[0].Status != 304 {
		t.Errorf("%+v", r)
	}
	changed := models()
	changed["translation/nllb/config.json"] = []byte("{\"new\":1}")
	second := s.Commit(repo, "main", changed)
	s.Forget()
	holds(t, download(t, c, "main"), changed)
	if count(s, "/"+repo+"/resolve/") != 1 || count(s, "/storage/") != 0 {
		t.Errorf("%+v", s.Requests())
	}
	s.SetRef(repo, "main", first)
	s.Forget()
	if snapshot := download(t, c, "main"); snapshot.Commit != first || len(s.Requests()) != 1 {
		t.Errorf("back to %s by %d requests", snapshot.Commit, len(s.Requests()))
	}
	if sha, err := c.Resolve(ctx, repo, second); sha != second || err != nil {
		t.Error(sha, err)
	}
}

func TestPinnedWhileTheReferenceMoves(t *testing.T) {
	s := hubtest.New(t)
	first := s.Commit(repo, "main", models())
	changed := models()
	changed["README.md"] = []byte("# New\n")
	second := s.Commit(repo, "next", changed)
	s.Fault("/tree/", hubtest.Fault{Times: 1, Before: func() { s.SetRef(repo, "main", second) }})
	c := client(t, s)
	snapshot := download(t, c, "main")
	holds(t, snapshot, models())
	if snapshot.Commit != first {
		t.Errorf("%s, want %s", snapshot.Commit, first)
	}
	if snapshot = download(t, c, "main"); snapshot.Commit != second {
		t.Errorf("%s, want %s", snapshot.Commit, second)
	}
}

func TestPatterns(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", map[string][]byte{"a.bin": {1}, "a.BIN": {2}, "d/b.bin": {3}, "d/e/c.txt": {4}, "x[1].md": {5}, "y]z": {6}})
	for _, test := range []struct{ pattern, want string }{
		{"*.bin", "a.bin d/b.bin"}, {"d/", "d/b.bin d/e/c.txt"}, {"?.bin", "a.bin"}, {"[a-c].BIN", "a.BIN"},
		{"[!a]/*", "d/b.bin d/e/c.txt"}, {"x[[]1].md", "x[1].md"}, {"x[1].md", ""}, {"y[]]z", "y]z"}, {"a", ""}, {"[z-a]*", ""}, {"x[", ""}, {`\*`, ""},
	} {
		c := client(t, s)
		snapshot, err := c.Download(ctx, repo, "main", test.pattern)
		var got []string
		for _, f := range snapshot.Files {
			got = append(got, f.Path)
		}
		if strings.Join(got, " ") != test.want || (err != nil) != (test.want == "") || err != nil && !errors.Is(err, hub.ErrNotFound) {
			t.Errorf("%s: %q, want %q; %v", test.pattern, got, test.want, err)
		}
		if test.want == "" {
			continue
		}
		if _, err := c.Cached(repo, "main", test.pattern); err != nil {
			t.Errorf("%s: %v", test.pattern, err)
		}
		if _, err := c.Cached(repo, "main"); !errors.Is(err, hub.ErrIncomplete) {
			t.Errorf("%s: of all files: %v", test.pattern, err)
		}
	}
}

// TestSnapshotWithoutListing: what an older client or the download of a single
// file leaves is taken for a whole snapshot by nobody who could ask, and completed.
func TestSnapshotWithoutListing(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s)
	folder := filepath.Dir(filepath.Dir(download(t, c, "main").Dir))
	if err := errors.Join(os.RemoveAll(filepath.Join(folder, "trees")), os.Remove(filepath.Join(folder, "snapshots", sha, "README.md"))); err != nil {
		t.Fatal(err)
	}
	offline := client(t, s, at(c.Cache()), func(o *hub.Options) { o.Offline = true })
	for name, cached := range map[string]func(repo, revision string, allow ...string) (hub.Snapshot, error){"any": c.AnyCached, "offline": offline.Cached} {
		if part, err := cached(repo, "main"); err != nil || !part.Unlisted || part.Commit != sha || len(part.Files) != len(models())-1 {
			t.Errorf("%s: %+v, %v", name, part, err)
		}
	}
	if _, err := c.Cached(repo, "main"); !errors.Is(err, hub.ErrIncomplete) {
		t.Errorf("a part is taken for the whole: %v", err)
	}
	snapshot := download(t, c, "main")
	holds(t, snapshot, models())
	if again, err := c.Cached(repo, "main"); err != nil || again.Unlisted || snapshot.Unlisted {
		t.Errorf("%+v, %v", again, err)
	}
}

// TestToken sends the token to the Hub and to nobody else.
func TestToken(t *testing.T) {
	const token = "hf_verysecret"
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.RequireToken(repo, token)
	if _, err := client(t, s).Download(ctx, repo, "main"); !errors.Is(err, hub.ErrNotFound) && !errors.Is(err, hub.ErrUnauthorized) {
		t.Errorf("without a token: %v", err)
	}
	s.Forget()
	var logs bytes.Buffer
	var mu sync.Mutex
	log := slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) { mu.Lock(); defer mu.Unlock(); return logs.Write(p) }), &slog.HandlerOptions{Level: slog.LevelDebug}))
	with := func(o *hub.Options) { o.Token, o.Logger = token, log }
	s.Fault("storage/.*model.bin", hubtest.Fault{Times: 1, CutAfter: 1000})
	s.Fault("storage/.*spm", hubtest.Fault{Times: 1, Status: 403})
	s.Fault("resolve/.*README", hubtest.Fault{Times: 1, Status: 500})
	holds(t, download(t, client(t, s, with), "main"), models())
	for _, r := range s.Requests() {
		if want := map[string]string{"hub": "Bearer " + token}[r.Host]; r.Authorization != want {
			t.Errorf("%s %s: Authorization %q, want %q", r.Host, r.Path, r.Authorization, want)
		}
	}
	s.Fault("storage", hubtest.Fault{StallAfter: 5})
	_, err := client(t, s, with, func(o *hub.Options) { o.Timeout, o.Retries = 20*time.Millisecond, -1 }).Download(ctx, repo, "main")
	told := logs.String() + fmt.Sprint(err)
	if err == nil || !strings.Contains(told, "retry") || strings.Contains(told, "verysecret") || strings.Contains(told, "Signature") {
		t.Errorf("told: %s", told)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestErrors(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	for _, test := range []struct {
		path     string
		fault    hubtest.Fault
		want     error
		requests int // to that path
	}{
		{"/revision/", hubtest.Fault{Status: 404, Header: map[string]string{"X-Error-Code": "RevisionNotFound"}}, hub.ErrNotFound, 1},
		{"/revision/", hubtest.Fault{Status: 401}, hub.ErrUnauthorized, 1},
		{"/revision/", hubtest.Fault{Status: 403, Header: map[string]string{"X-Error-Code": "GatedRepo"}}, hub.ErrUnauthorized, 1},
		{"/revision/", hubtest.Fault{Status: 503}, hub.ErrUnavailable, 3},
		{"/tree/", hubtest.Fault{Status: 429}, hub.ErrUnavailable, 3},
		{"/tree/", hubtest.Fault{Status: 200, Body: "<html>"}, hub.ErrInvalid, 1},
		{"/tree/", hubtest.Fault{CutAfter: 10}, hub.ErrUnavailable, 3},
		{"/tree/", hubtest.Fault{StallAfter: 10}, hub.ErrUnavailable, 3},
		{"/resolve/", hubtest.Fault{Status: 302}, hub.ErrUnavailable, 3},
		{"/resolve/", hubtest.Fault{Status: 302, Header: map[string]string{"Location": "file:///etc/passwd"}}, hub.ErrUnavailable, 3},
		{"/storage/", hubtest.Fault{Status: 404}, hub.ErrUnavailable, 3},
		{"/storage/", hubtest.Fault{StallAfter: 10}, hub.ErrUnavailable, 3},
		{"/storage/", hubtest.Fault{CutAfter: 10}, hub.ErrUnavailable, 3},
		{"/storage/", hubtest.Fault{WrongBytes: true}, hub.ErrChecksum, 2},
		{"/resolve-cache/", hubtest.Fault{WrongBytes: true}, hub.ErrChecksum, 2},
		{"/storage/", hubtest.Fault{Status: 200, Body: "short"}, hub.ErrUnavailable, 3},
		{"/storage/", hubtest.Fault{Status: 200, Body: strings.Repeat("long", 300_000)}, hub.ErrChecksum, 2},
	} {
		s.Heal()
		s.Forget()
		s.Fault(test.path, test.fault)
		file := "translation/nllb/model.bin"
		if strings.Contains(test.path, "cache") {
			file = "README.md"
		}
		c := client(t, s, func(o *hub.Options) { o.Retries, o.Timeout = 2, 50*time.Millisecond })
		_, err := c.Download(ctx, repo, "main", file)
		if !errors.Is(err, test.want) || count(s, test.path) != test.requests {
			t.Errorf("%s %+v: %d requests, want %d; %v", test.path, test.fault, count(s, test.path), test.requests, err)
		}
		if _, err := c.Cached(repo, "main", file); err == nil {
			t.Errorf("%s %+v: it is in the cache", test.path, test.fault)
		}
		blobs, _ := filepath.Glob(filepath.Join(c.Cache(), "*/blobs/*"))
		if len(blobs) != len(partials(t, c)) {
			t.Errorf("%s %+v: %q", test.path, test.fault, blobs)
		}
		s.Heal()
		if _, err := c.Download(ctx, repo, sha, file); err != nil {
			t.Errorf("%s %+v: later: %v", test.path, test.fault, err)
		}
	}
}

// TestResume goes on where a transfer broke off, within a call and in a new one.
func TestResume(t *testing.T) {
	s := hubtest.New(t)
	files := map[string][]byte{"model.bin": noise(5<<20, 7), "plain.txt": noise(90_000, 8)}
	s.Commit(repo, "main", files)
	s.Fault("storage", hubtest.Fault{Times: 1, CutAfter: 3 << 20})
	s.Fault("resolve-cache", hubtest.Fault{Times: 1, CutAfter: 50_000})
	c := client(t, s)
	holds(t, download(t, c, "main"), files)
	for _, r := range s.Requests() {
		if r.Host == "storage" && r.Status == 206 && r.Range == fmt.Sprintf("bytes=%d-", 3<<20) {
			s.Heal()
		}
	}

	c = client(t, s, func(o *hub.Options) { o.Retries = -1 })
	for i := range 4 {
		s.Heal()
		s.Fault("storage", hubtest.Fault{Times: 1, CutAfter: 1 << 20})
		if _, err := c.Download(ctx, repo, "main"); !errors.Is(err, hub.ErrUnavailable) {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	s.Heal()
	s.Forget()
	holds(t, download(t, c, "main"), files)
	if last := lastOf(s, "storage"); last.Range != fmt.Sprintf("bytes=%d-", 4<<20) {
		t.Errorf("%+v", last)
	}

	c = client(t, s, func(o *hub.Options) { o.Retries = -1 })
	s.Fault("storage", hubtest.Fault{Times: 1, CutAfter: 1 << 20})
	s.Fault("storage", hubtest.Fault{Times: 1, IgnoreRange: true})
	if _, err := c.Download(ctx, repo, "main"); err == nil {
		t.Error("no error of a cut")
	}
	holds(t, download(t, c, "main"), files)
}

func lastOf(s *hubtest.Server, host string) (last hubtest.Request) {
	for _, r := range s.Requests() {
		if r.Host == host {
			last = r
		}
	}
	return last
}

// TestSpoiledPart starts afresh where what is there of a file is not of it.
func TestSpoiledPart(t *testing.T) {
	s := hubtest.New(t)
	files := map[string][]byte{"model.bin": noise(100_000, 7)}
	s.Commit(repo, "main", files)
	c := client(t, s)
	blob := filepath.Join(c.Cache(), "models--org--name", "blobs", fmt.Sprintf("%x.sema.incomplete", sha256.Sum256(files["model.bin"])))
	for _, n := range []int{10, 100_000, 200_000} {
		if err := errors.Join(os.RemoveAll(c.Cache()), os.MkdirAll(filepath.Dir(blob), 0o755), os.WriteFile(blob, make([]byte, n), 0o600)); err != nil {
			t.Fatal(err)
		}
		holds(t, download(t, c, "main"), files)
	}
}

// TestSteadyProgress has its retries anew each time it gets further.
func TestSteadyProgress(t *testing.T) {
	s := hubtest.New(t)
	files := map[string][]byte{"model.bin": noise(8<<20, 7)}
	s.Commit(repo, "main", files)
	s.Fault("storage", hubtest.Fault{CutAfter: 3 << 19})
	holds(t, download(t, client(t, s, func(o *hub.Options) { o.Retries = 1 }), "main"), files)
	if n := count(s, "storage"); n != 6 {
		t.Errorf("%d requests", n)
	}
}

func TestRetryAfter(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	for _, header := range []map[string]string{
		{"Retry-After": time.Now().Add(2 * time.Second).UTC().Format("Mon, 02 Jan 2006 15:04:05 GMT")}, {"Retry-After": "1"}, {"RateLimit": `"api";r=0;t=1`},
	} {
		s.Fault("revision", hubtest.Fault{Times: 1, Status: 429, Header: header})
		start := time.Now()
		if _, err := client(t, s).Resolve(ctx, repo, "main"); err != nil {
			t.Error(err)
		}
		if d := time.Since(start); d < 500*time.Millisecond || d > 3*time.Second {
			t.Errorf("%v: waited %s", header, d)
		}
	}
	s.Fault("revision", hubtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "9999"}})
	soon, cancel := context.WithTimeout(ctx, 50*time.Millisecond)
	defer cancel()
	if _, err := client(t, s).Resolve(soon, repo, "main"); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

func TestOffline(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s)
	download(t, c, "main")
	s.Forget()
	offline := client(t, s, at(c.Cache()), func(o *hub.Options) { o.Offline = true })
	holds(t, download(t, offline, "main"), models())
	if got, err := offline.Resolve(ctx, repo, "main"); got != sha || err != nil {
		t.Error(got, err)
	}
	if _, err := offline.Download(ctx, repo, "other"); !errors.Is(err, hub.ErrOffline) {
		t.Error(err)
	}
	if _, err := offline.Download(ctx, "org/other", "main"); !errors.Is(err, hub.ErrOffline) {
		t.Error(err)
	}
	if err := os.Remove(filepath.Join(c.Cache(), "models--org--name", "snapshots", sha, "README.md")); err != nil {
		t.Fatal(err)
	}
	if _, err := offline.Download(ctx, repo, "main"); !errors.Is(err, hub.ErrIncomplete) {
		t.Error(err)
	}
	// Older clients keep no listing.
	if err := os.RemoveAll(filepath.Join(c.Cache(), "models--org--name", "trees")); err != nil {
		t.Fatal(err)
	}
	if snapshot := download(t, offline, "main", "*.bin"); len(snapshot.Files) != 2 {
		t.Errorf("%+v", snapshot)
	}
	if len(s.Requests()) != 0 {
		t.Errorf("%+v", s.Requests())
	}
	holds(t, download(t, c, "main"), models())
}

// TestProgress never falls and ends at the total, whatever goes wrong.
func TestProgress(t *testing.T) {
	s := hubtest.New(t)
	files := models()
	files["again/model.bin"] = files["translation/nllb/model.bin"] // one blob, two files
	files["large.bin"] = noise(5<<20, 9)
	s.Commit(repo, "main", files)
	var last hub.Progress
	steps := 0
	c := client(t, s, func(o *hub.Options) {
		o.Progress = func(p hub.Progress) {
			if p.Done < last.Done || p.Downloaded < last.Downloaded || p.Done > p.Total || p.Repo != repo {
				t.Errorf("%+v after %+v", p, last)
			}
			last = p
			steps++
		}
	})
	s.Fault("storage/.*model.bin", hubtest.Fault{Times: 1, CutAfter: 300_000})
	s.Fault("storage/.*model.bin", hubtest.Fault{Times: 1, IgnoreRange: true, CutAfter: 200_000})
	s.Fault("storage/.*spm", hubtest.Fault{Times: 1, WrongBytes: true})
	s.Fault("storage/.*large", hubtest.Fault{Times: 1, CutAfter: 3_000_000})
	s.Fault("storage/.*large", hubtest.Fault{Times: 1, IgnoreRange: true, CutAfter: 2_500_000})
	holds(t, download(t, c, "main"), files)
	if last.Done != last.Total || last.Downloaded <= 700_000+50_000+30_000 || steps < 10 {
		t.Errorf("%d steps, %+v", steps, last)
	}
}

// TestOneCache has many clients download the same into one cache at once: each
// file comes once.
func TestOneCache(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("storage", hubtest.Fault{BytesPerSecond: 4 << 20})
	dir := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			snapshot, err := client(t, s, at(dir)).Download(ctx, repo, "main")
			if err != nil {
				t.Error(err)
				return
			}
			holds(t, snapshot, models())
		})
	}
	all.Wait()
	if n := count(s, "storage"); n != 3 {
		t.Errorf("%d transfers of 3 files", n)
	}
}

func TestCancel(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("storage", hubtest.Fault{StallAfter: 1000})
	soon, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	if _, err := client(t, s).Download(soon, repo, "main"); !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > time.Second {
		t.Errorf("after %s: %v", time.Since(start), err)
	}
}

func TestObserve(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("revision", hubtest.Fault{Times: 1, Status: 502})
	var mu sync.Mutex
	seen := map[int]int{}
	c := client(t, s, func(o *hub.Options) { o.Observe = func(status int) { mu.Lock(); defer mu.Unlock(); seen[status]++ } })
	download(t, c, "main")
	if seen[502] != 1 || seen[200] == 0 || seen[302] != 3 {
		t.Errorf("%v", seen)
	}
}

func ExampleClient_Download() {
	cache, err := os.MkdirTemp("", "hub")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(cache)
	c, err := hub.New(hub.Options{CacheDir: cache, Offline: true})
	if err != nil {
		panic(err)
	}
	_, err = c.Download(context.Background(), "org/name", "main", "*.bin", "*.json")
	fmt.Println(errors.Is(err, hub.ErrOffline))
	// Output: true
}
