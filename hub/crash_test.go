package hub_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

var kills = flag.Int("kills", 15, "how often to kill a download")

// TestMain downloads and ends where the test runs itself as another process.
func TestMain(m *testing.M) {
	endpoint := os.Getenv("HUB_TEST_DOWNLOAD")
	if endpoint == "" {
		os.Exit(m.Run())
	}
	c, err := hub.New(hub.Options{Endpoint: endpoint, CacheDir: os.Getenv("HF_HUB_CACHE"), Backoff: time.Millisecond})
	if err == nil {
		_, err = c.Download(context.Background(), repo, "main")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// process starts a download into dir by another process.
func process(t *testing.T, s *hubtest.Server, dir string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "HUB_TEST_DOWNLOAD="+s.URL, "HF_HUB_CACHE="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return cmd
}

// TestTwoProcesses download into one cache at once: each file comes once.
func TestTwoProcesses(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("storage", hubtest.Fault{BytesPerSecond: 2 << 20})
	dir := t.TempDir()
	a, b := process(t, s, dir), process(t, s, dir)
	if err := errors.Join(a.Wait(), b.Wait()); err != nil {
		t.Fatal(err)
	}
	holds(t, download(t, client(t, s, at(dir), func(o *hub.Options) { o.Offline = true }), "main"), models())
	if n := count(s, "storage"); n != 3 {
		t.Errorf("%d transfers of 3 files", n)
	}
}

// TestKill kills downloads at random points. What has its final name is whole,
// Python can use the cache, and in the end a download completes.
func TestKill(t *testing.T) {
	s := hubtest.New(t)
	s.Fault("storage", hubtest.Fault{BytesPerSecond: 3 << 20})
	dir := t.TempDir()
	c := client(t, s, at(dir))
	complete, part := 0, 0
	for i := range *kills {
		files := models()
		files["translation/nllb/model.bin"] = noise(700_000, uint64(1000+i/3)) // some go on where the last broke off
		if i%3 == 0 {
			s.Commit(repo, "main", files)
		}
		child := process(t, s, dir)
		time.Sleep(rand.N(200 * time.Millisecond))
		_ = child.Process.Kill()
		_ = child.Wait()
		part += min(1, len(partials(t, c)))
		checkNames(t, dir)
		if snapshot, err := c.Cached(repo, "main"); err == nil {
			complete++
			for _, f := range snapshot.Files {
				if info, err := os.Stat(filepath.Join(snapshot.Dir, f.Path)); err != nil || info.Size() != f.Size {
					t.Errorf("%s is not as it should be: %v", f.Path, err)
				}
			}
		}
		if i%3 == 2 {
			holds(t, download(t, c, "main"), files)
			if len(partials(t, c)) > 0 {
				t.Errorf("%q are left", partials(t, c))
			}
		}
		if i%10 == 9 || i == *kills-1 {
			pythonScan(t, dir)
		}
	}
	t.Logf("%d kills: %d left a part of a file, %d a complete snapshot", *kills, part, complete)
}

// checkNames checks that every blob is what its name says.
func checkNames(t *testing.T, dir string) {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "*/blobs/*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if strings.HasSuffix(name, ".sema.incomplete") {
			continue
		}
		if err != nil || filepath.Base(name) != hubtest.Name(data, len(filepath.Base(name)) == 64) {
			t.Errorf("%s has other content, of %d bytes; %v", filepath.Base(name), len(data), err)
		}
	}
	refs, _ := filepath.Glob(filepath.Join(dir, "*/refs/*"))
	for _, ref := range refs {
		if data, err := os.ReadFile(ref); err != nil || !hub.IsCommit(string(data)) {
			t.Errorf("%s is %q, %v", ref, data, err)
		}
	}
}
