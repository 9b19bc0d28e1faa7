package hub_test

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

// python runs a script with the real client of the Hub and returns what it
// prints. SEMA_PYTHON names the interpreter that has huggingface_hub.
func python(t *testing.T, cache, script string, env ...string) (string, bool) {
	t.Helper()
	program := cmp.Or(os.Getenv("SEMA_PYTHON"), "python3")
	if exec.Command(program, "-c", "import huggingface_hub").Run() != nil {
		return "", false
	}
	cmd := exec.Command(program, "-c", script)
	cmd.Env = append(os.Environ(), append(env, "HF_HUB_CACHE="+cache, "HF_HOME="+filepath.Dir(cache), "HF_HUB_DISABLE_PROGRESS_BARS=1", "HF_HUB_DISABLE_TELEMETRY=1", "HF_HUB_DISABLE_XET=1")...)
	out, err := cmd.Output()
	if err != nil {
		detail := ""
		if exit, ok := err.(*exec.ExitError); ok {
			detail = string(exit.Stderr)
		}
		t.Errorf("%v\n%s\n%s", err, out, detail)
	}
	return strings.TrimSpace(string(out)), true
}

const scan = `
from huggingface_hub import scan_cache_dir
info = scan_cache_dir()
for w in info.warnings: print(w)
`

// pythonScan has the real client look for what is wrong with a cache.
func pythonScan(t *testing.T, cache string) {
	t.Helper()
	if out, ok := python(t, cache, scan); ok && out != "" {
		t.Errorf("scan_cache_dir: %s", out)
	}
}

func needPython(t *testing.T) {
	t.Helper()
	if _, ok := python(t, t.TempDir(), ""); !ok {
		t.Skip("the Python package huggingface_hub is not installed (pip install huggingface_hub, and name the interpreter in SEMA_PYTHON)")
	}
}

// TestPythonUsesOurs has the real client find what we downloaded.
func TestPythonUsesOurs(t *testing.T) {
	needPython(t)
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s)
	snapshot := download(t, c, "main")
	s.Forget()
	out, _ := python(t, c.Cache(), `
from huggingface_hub import snapshot_download, hf_hub_download, try_to_load_from_cache
print(snapshot_download("org/name", local_files_only=True))
print(snapshot_download("org/name", revision="`+sha+`", local_files_only=True))
print(hf_hub_download("org/name", "translation/nllb/model.bin", local_files_only=True))
print(try_to_load_from_cache("org/name", "README.md"))
`, "HF_ENDPOINT="+s.URL)
	want := []string{snapshot.Dir, snapshot.Dir, filepath.Join(snapshot.Dir, "translation/nllb/model.bin"), filepath.Join(snapshot.Dir, "README.md")}
	if got := strings.Split(out, "\n"); !slices.Equal(got, want) || len(s.Requests()) != 0 {
		t.Errorf("%q, want %q; %d requests", got, want, len(s.Requests()))
	}
	// Online it asks what the reference names, and downloads nothing.
	out, _ = python(t, c.Cache(), `
from huggingface_hub import snapshot_download
print(snapshot_download("org/name"))
`, "HF_ENDPOINT="+s.URL)
	if out != snapshot.Dir || count(s, "/tree/") != 0 || count(s, "/storage/") != 0 {
		t.Errorf("%q, %+v", out, s.Requests())
	}
	pythonScan(t, c.Cache())
	if removed, err := c.Prune(repo, 0); err != nil || len(removed) != 0 {
		t.Errorf("%q, %v", removed, err)
	}
}

// TestPythonsParts has the real client find neither a snapshot nor anything
// wrong where our download broke off.
func TestPythonsParts(t *testing.T) {
	needPython(t)
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("storage/.*model.bin", hubtest.Fault{CutAfter: 1000})
	c := client(t, s, func(o *hub.Options) { o.Retries = -1 })
	if _, err := c.Download(ctx, repo, "main"); err == nil {
		t.Fatal("no error")
	}
	pythonScan(t, c.Cache())
	s.Heal()
	out, _ := python(t, c.Cache(), `
from huggingface_hub import snapshot_download
try:
    print("found", snapshot_download("org/name", local_files_only=True))
except Exception as e:
    print(type(e).__name__)
print(snapshot_download("org/name"))
`, "HF_ENDPOINT="+s.URL)
	if got := strings.Split(out, "\n"); len(got) != 2 || got[0] != "LocalEntryNotFoundError" {
		t.Errorf("%q", out)
	}
	s.Forget()
	holds(t, download(t, c, "main"), models())
	if len(s.Requests()) != 1 {
		t.Errorf("%+v", s.Requests())
	}
}

// TestWeUsePythons uses what the real client downloaded, without a request.
func TestWeUsePythons(t *testing.T) {
	needPython(t)
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s)
	out, _ := python(t, c.Cache(), `
from huggingface_hub import snapshot_download
print(snapshot_download("org/name"))
`, "HF_ENDPOINT="+s.URL)
	s.Forget()
	for name, c := range map[string]*hub.Client{"offline": client(t, s, at(c.Cache()), func(o *hub.Options) { o.Offline = true }), "online": c} {
		for _, revision := range []string{sha, "main"} {
			if name == "online" && revision == "main" {
				continue
			}
			snapshot := download(t, c, revision)
			holds(t, snapshot, models())
			if snapshot.Dir != out {
				t.Errorf("%s: %s, want %s", name, snapshot.Dir, out)
			}
		}
	}
	if len(s.Requests()) != 0 {
		t.Errorf("%+v", s.Requests())
	}
	// A new commit: only what changed comes, whoever downloaded the rest.
	changed := models()
	changed["README.md"] = []byte("# New\n")
	s.Commit(repo, "main", changed)
	holds(t, download(t, c, "main"), changed)
	if count(s, "/storage/") != 0 {
		t.Errorf("%+v", s.Requests())
	}
	pythonScan(t, c.Cache())
}

// TestPythonAtOnce downloads by both clients into one cache at once: each file
// comes once.
func TestPythonAtOnce(t *testing.T) {
	needPython(t)
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("storage", hubtest.Fault{BytesPerSecond: 500_000})
	c := client(t, s)
	done := make(chan string)
	go func() {
		out, _ := python(t, c.Cache(), `
from huggingface_hub import snapshot_download
print(snapshot_download("org/name"))
`, "HF_ENDPOINT="+s.URL)
		done <- out
	}()
	for range 20_000 { // until it is in the middle of its download
		if count(s, "/storage/") > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	snapshot := download(t, c, "main")
	holds(t, snapshot, models())
	if out := <-done; out != snapshot.Dir {
		t.Errorf("Python has %q, we have %q", out, snapshot.Dir)
	}
	sent := 0
	for _, r := range s.Requests() {
		if r.Host == "storage" && r.Method == "GET" {
			sent++
		}
	}
	if sent != 3 {
		t.Errorf("%d transfers of 3 files", sent)
	}
	pythonScan(t, c.Cache())
}
