package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/demo"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// wantFinding checks that one finding of a topic has this level and says this.
func wantFinding(t *testing.T, findings []finding, level, topic, says string) {
	t.Helper()
	for _, f := range findings {
		if f.Level == level && f.Topic == topic && strings.Contains(f.Says, says) {
			if (level == "problem" || level == "warning") && f.Change == "" {
				t.Errorf("nothing to change: %+v", f)
			}
			return
		}
	}
	t.Errorf("no %s of %s with %q in %+v", level, topic, says, findings)
}

// fakeHub answers with one status and notes what it was asked.
func fakeHub(t *testing.T, status int) (url string, asked func() []*http.Request) {
	t.Helper()
	var requests []*http.Request
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		requests = append(requests, r)
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	return server.URL, func() []*http.Request { return requests }
}

// cacheOf lays the demo out as a Hub cache with one snapshot of o/n.
func cacheOf(t *testing.T) string {
	t.Helper()
	cache := t.TempDir()
	repo := filepath.Join(cache, "models--o--n")
	snapshot := filepath.Join(repo, "snapshots", commit)
	if err := os.CopyFS(snapshot, demo.Models()); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(repo, "refs", "main"), commit)
	write(t, filepath.Join(snapshot, "README.md"), "---\nlanguage: sw\nlicense: apache-2.0\n---\n# A model\n")
	return cache
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDoctorOfACachedModel(t *testing.T) {
	hub, asked := fakeHub(t, 200)
	findings := examine(t.Context(), []string{"HF_ENDPOINT=" + hub, "HF_TOKEN=hf_secret", "MODEL_REPO=o/n", "MODEL_CACHE_DIR=" + cacheOf(t), "INTRA_THREADS=1"})
	wantFinding(t, findings, "ok", "configuration", "nothing")
	wantFinding(t, findings, "ok", "processor", "")
	wantFinding(t, findings, "ok", "cache", commit[:12])
	wantFinding(t, findings, "ok", "hub", "o/n at main is there")
	wantFinding(t, findings, "ok", "disk", "free")
	wantFinding(t, findings, "note", "speed", "tokens a second")
	if r := asked(); len(r) != 1 || r[0].Method != "HEAD" || r[0].URL.Path != "/api/models/o/n/revision/main" || r[0].Header.Get("Authorization") != "Bearer hf_secret" {
		t.Errorf("the Hub was asked %v", r)
	}
	for _, f := range findings {
		if f.Level == "problem" || f.Level == "warning" && f.Topic != "processor" && f.Topic != "memory" {
			t.Errorf("%+v", f)
		}
	}
}

// TestDoctorOfAPart: what Python's client brought of a repository the service completes.
func TestDoctorOfAPart(t *testing.T) {
	hub, _ := fakeHub(t, 200)
	cache := cacheOf(t)
	models, err := filepath.Glob(filepath.Join(cache, "*/snapshots/*/*/*/model.bin"))
	if err != nil || len(models) != 1 || os.Remove(models[0]) != nil {
		t.Fatal(models, err)
	}
	findings := examine(t.Context(), []string{"HF_ENDPOINT=" + hub, "MODEL_REPO=o/n", "MODEL_CACHE_DIR=" + cache})
	wantFinding(t, findings, "warning", "cache", "not complete")
	wantFinding(t, findings, "note", "models", "the first start downloads")
	for _, f := range findings {
		if f.Level == "problem" {
			t.Errorf("%+v", f)
		}
	}
}

func TestDoctorOfAPrivateRepository(t *testing.T) {
	hub, _ := fakeHub(t, 401)
	environ := []string{"HF_ENDPOINT=" + hub, "HF_TOKEN=hf_secret", "MODEL_REPO=o/n", "MODEL_CACHE_DIR=" + t.TempDir()}
	findings := examine(t.Context(), environ)
	wantFinding(t, findings, "warning", "hub", "with this HF_TOKEN")
	wantFinding(t, findings, "warning", "models", "demo")
	wantFinding(t, findings, "ok", "licence", "MIT")
	findings = examine(t.Context(), append(environ, "DEMO_FALLBACK=false"))
	wantFinding(t, findings, "problem", "models", "no models to serve")
	if strings.Contains(asJSON(t, findings), "hf_secret") {
		t.Error("the token is shown")
	}
}

func TestDoctorOffline(t *testing.T) {
	hub, asked := fakeHub(t, 200)
	findings := examine(t.Context(), []string{"HF_ENDPOINT=" + hub, "HF_HUB_OFFLINE=true", "MODEL_REPO=o/n", "HF_HUB_CACHE=" + cacheOf(t)})
	wantFinding(t, findings, "note", "hub", "never asked")
	wantFinding(t, findings, "ok", "cache", "1 snapshot(s)")
	if len(asked()) > 0 {
		t.Error("the Hub was asked")
	}
}

// TestDoctorReachesTheHubAsTheServiceDoes: twins with SEMA_ win, and what Python's client reads counts where they are silent.
func TestDoctorReachesTheHubAsTheServiceDoes(t *testing.T) {
	home := t.TempDir()
	write(t, filepath.Join(home, "token"), "hf_of_the_file\n")
	for _, c := range []struct {
		environ []string
		token   string // that the Hub sees; "-": it is not asked
	}{
		{[]string{"HF_HUB_OFFLINE=true", "SEMA_HF_HUB_OFFLINE=false"}, ""},
		{[]string{"HF_HUB_OFFLINE=false", "SEMA_HF_HUB_OFFLINE=true"}, "-"},
		{[]string{"TRANSFORMERS_OFFLINE=1"}, "-"},
		{[]string{"TRANSFORMERS_OFFLINE=1", "SEMA_HF_HUB_OFFLINE=no"}, ""},
		{[]string{"SEMA_HF_HOME=" + home}, "Bearer hf_of_the_file"},
		{[]string{"HF_TOKEN_PATH=" + filepath.Join(home, "token")}, "Bearer hf_of_the_file"},
		{[]string{"SEMA_HF_HOME=" + home, "HF_TOKEN=a", "SEMA_HF_TOKEN=hf_of_ours"}, "Bearer hf_of_ours"},
	} {
		hub, asked := fakeHub(t, 200)
		examine(t.Context(), append(c.environ, "HF_ENDPOINT="+hub, "MODEL_REPO=o/n", "MODEL_CACHE_DIR="+t.TempDir(), "HOME="+t.TempDir()))
		got := "-"
		if r := asked(); len(r) > 0 {
			got = r[0].Header.Get("Authorization")
		}
		if got != c.token {
			t.Errorf("%v: the Hub saw %q, want %q", c.environ, got, c.token)
		}
	}
}

func TestDoctorWithoutTheHub(t *testing.T) {
	findings := examine(t.Context(), []string{"HF_ENDPOINT=http://user:hunter2@127.0.0.1:1", "HF_HOME=" + t.TempDir()})
	wantFinding(t, findings, "warning", "hub", "can't be reached")
	if strings.Contains(asJSON(t, findings), "hunter2") {
		t.Error("the password is shown")
	}
}

func TestDoctorOfAFolder(t *testing.T) {
	empty := t.TempDir()
	wantFinding(t, examine(t.Context(), []string{"MODEL_DIR=" + empty}), "problem", "models", "no folder with model.bin")
	broken := t.TempDir()
	if err := os.CopyFS(broken, demo.Models()); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(broken, func(path string, d fs.DirEntry, err error) error {
		if d.Name() == "model.bin" {
			return os.Truncate(path, 1000)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	wantFinding(t, examine(t.Context(), []string{"MODEL_DIR=" + broken}), "problem", "models", "can't be served")
}

// TestDoctorOfWhatServeRefuses: a service with one of these does not start, or never serves.
func TestDoctorOfWhatServeRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	environ := []string{"MODEL_DIR=demo/models", "PORT=0", "MODEL_COPY_DIR=" + t.TempDir()}
	for _, f := range examine(t.Context(), environ) {
		if f.Level == "problem" {
			t.Errorf("of a good configuration: %+v", f)
		}
	}
	for variable, finding := range map[string][2]string{
		"CANARY_FILE=/nope": {"configuration", "/nope"}, "HOST=nosuchhost.invalid": {"address", "nosuchhost.invalid"},
		"REDIS_URL=redis://localhost/nought": {"configuration", "REDIS_URL"}, "MODEL_COPY_DIR=/proc/nowhere": {"disk", "/proc"}, "MODEL_COPY_DIR=" + file: {"disk", file},
	} {
		wantFinding(t, examine(t.Context(), append(environ, variable)), "problem", finding[0], finding[1])
	}
	home := []string{"HF_HOME=" + t.TempDir(), "HF_HUB_OFFLINE=true", "MODEL_COPY_DIR=/proc/nowhere"}
	wantFinding(t, examine(t.Context(), home), "warning", "disk", "copies of weights")
	for _, f := range examine(t.Context(), append(home, "WEIGHT_COPIES=false")) {
		if strings.Contains(f.Says, "copies of weights") {
			t.Errorf("of copies that are not wanted: %+v", f)
		}
	}
	taken, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	_, port, _ := net.SplitHostPort(taken.Addr().String())
	wantFinding(t, examine(t.Context(), append(environ, "PORT="+port)), "note", "address", "in use")
}

func TestDoctorOfMistakes(t *testing.T) {
	findings := examine(t.Context(), []string{"PORT=x", "MAX_CHARACTERS=0", "HF_HUB_OFFLINE=true", "HF_HOME=" + t.TempDir()})
	wantFinding(t, findings, "problem", "configuration", "PORT")
	wantFinding(t, findings, "problem", "configuration", "MAX_CHARACTERS")
	wantFinding(t, findings, "ok", "processor", "")

	t.Cleanup(func() { _ = kernels.Use("") })
	findings = examine(t.Context(), []string{
		"SEMA_PROT=1", "SPACE_ID=a/b", "ADMIN_TOKEN=short", "WEBHOOK_SECRET=short", "WRITE_TIMEOUT=10s", "INTRA_THREADS=1000",
		"RATE_LIMIT_PER_MINUTE=9", "RATE_LIMIT_PER_HOUR=5", "CPU_ISA=abacus", "MODEL_DIR=" + t.TempDir(), "REDIS_URL=redis://u:hunter2@127.0.0.1:1/0",
	})
	for _, says := range []string{"SEMA_PROT", "proxy's address", "ADMIN_TOKEN has 5", "WEBHOOK_SECRET has 5", "WRITE_TIMEOUT", "RATE_LIMIT_PER_HOUR"} {
		wantFinding(t, findings, "warning", "configuration", says)
	}
	wantFinding(t, findings, "problem", "processor", "abacus")
	wantFinding(t, findings, "warning", "threads", "1000")
	wantFinding(t, findings, "warning", "redis", "does not answer")
	if strings.Contains(asJSON(t, findings), "hunter2") {
		t.Error("the password is shown")
	}
	if last := len(kernels.Available()) - 1; last > 0 {
		wantFinding(t, examine(t.Context(), []string{"CPU_ISA=generic", "MODEL_DIR=" + t.TempDir()}), "warning", "processor", "forces the generic kernels")
	}
}

func TestDoctorOfACacheThatCannotBeWritten(t *testing.T) {
	findings := examine(t.Context(), []string{"HF_ENDPOINT=http://127.0.0.1:1", "DEMO_FALLBACK=false", "MODEL_CACHE_DIR=/proc/nowhere"})
	wantFinding(t, findings, "problem", "disk", "can't be written")
}

func TestMemoryLimit(t *testing.T) {
	const gib = 1 << 30
	for name, test := range map[string]struct {
		files map[string]string
		limit int64
		whose string
	}{
		"nothing":     {nil, 0, ""},
		"machine":     {map[string]string{"/proc/meminfo": "MemTotal: 4194304 kB\n", "/proc/self/cgroup": "0::/a\n", "/sys/fs/cgroup/a/memory.max": "max\n"}, 4 * gib, "machine's memory"},
		"the group's": {map[string]string{"/proc/meminfo": "MemTotal: 4194304 kB\n", "/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/b/memory.max": "max\n", "/sys/fs/cgroup/a/memory.max": "1073741824\n"}, gib, "container's limit"},
		"version 1":   {map[string]string{"/proc/self/cgroup": "3:cpu:/a\n2:memory:/a\n", "/sys/fs/cgroup/memory/a/memory.limit_in_bytes": "2147483648\n", "/sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n"}, 2 * gib, "container's limit"},
	} {
		limit, whose := memoryLimit(func(name string) ([]byte, error) {
			if content, ok := test.files[name]; ok {
				return []byte(content), nil
			}
			return nil, os.ErrNotExist
		})
		if limit != test.limit || whose != test.whose {
			t.Errorf("%s: %d by %q, want %d by %q", name, limit, whose, test.limit, test.whose)
		}
	}
}

func TestDoctorOfHugePages(t *testing.T) {
	d := &doctor{}
	for _, modes := range []string{"always [madvise] never\n", "always madvise [never]\n"} {
		d.checkHugePages(func(string) ([]byte, error) { return []byte(modes), nil })
	}
	d.checkHugePages(func(string) ([]byte, error) { return nil, os.ErrNotExist })
	wantFinding(t, d.findings, "ok", "huge pages", "are read from them")
	wantFinding(t, d.findings, "note", "huge pages", "they are off")
	if len(d.findings) != 2 {
		t.Errorf("of a system without huge pages: %+v", d.findings)
	}
}

func TestDoctorOfMemory(t *testing.T) {
	limit, _ := memoryLimit(os.ReadFile)
	if limit == 0 {
		t.Skip("this system does not say how much memory there is")
	}
	d := &doctor{}
	d.checkMemory(foundModels{fsys: demo.Models(), bytes: limit})
	d.checkMemory(foundModels{fsys: demo.Models(), bytes: limit/2 - workBytes/4})
	wantFinding(t, d.findings, "problem", "memory", "would be stopped")
	wantFinding(t, d.findings, "warning", "memory", "two don't")
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	out, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestRunDoctor(t *testing.T) {
	for _, name := range []string{"MODEL_DIR", "SEMA_MODEL_DIR"} {
		t.Setenv(name, t.TempDir())
	}
	var out, errs bytes.Buffer
	std := stdio{strings.NewReader(""), &out, &errs}
	if err := runDoctor(context.Background(), nil, std); err == nil || !strings.Contains(out.String(), "→ correct MODEL_DIR") {
		t.Errorf("%v %s", err, out.String())
	}
	out.Reset()
	var report struct {
		Findings []finding
		Problems int
	}
	if err := runDoctor(context.Background(), []string{"--json"}, std); err == nil || json.Unmarshal(out.Bytes(), &report) != nil || report.Problems != 1 || len(report.Findings) < 4 {
		t.Errorf("%v %s", err, out.String())
	}
	t.Setenv("SEMA_MODEL_DIR", "demo/models")
	if err := runDoctor(context.Background(), nil, std); err != nil {
		t.Errorf("%v %s", err, out.String())
	}
	if err := runDoctor(context.Background(), []string{"extra"}, std); err == nil {
		t.Error("an argument is taken")
	}
}
