package hub_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

// disk mounts a disk of that many bytes, if this process may.
func disk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("a small disk can't be mounted (needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// usable checks that the first commit is still there and served.
func usable(t *testing.T, c *hub.Client, sha string) {
	t.Helper()
	snapshot, err := c.Cached(repo, "main")
	if err != nil || snapshot.Commit != sha {
		t.Errorf("%s, want %s; %v", snapshot.Commit, sha, err)
	}
	pythonScan(t, c.Cache())
}

// TestNoRoom refuses a download before it begins.
func TestNoRoom(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s, at(filepath.Join(disk(t, "size=72m"), "hub")))
	download(t, c, "main")
	s.Commit(repo, "main", map[string][]byte{"model.bin": noise(10<<20, 9)})
	s.Forget()
	if _, err := c.Download(ctx, repo, "main"); !errors.Is(err, hub.ErrNoSpace) || count(s, "resolve") != 0 {
		t.Errorf("%v after %d requests for files", err, count(s, "resolve"))
	}
	usable(t, c, sha)
}

// TestDiskFills has someone else fill the disk in the middle of a download.
func TestDiskFills(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	dir := disk(t, "size=96m")
	var once sync.Once
	ballast := filepath.Join(dir, "ballast")
	fill := func(p hub.Progress) {
		if p.Downloaded < 4<<20 {
			return
		}
		once.Do(func() {
			f, err := os.Create(ballast)
			if err != nil {
				t.Error(err)
				return
			}
			defer f.Close()
			for err == nil {
				_, err = f.Write(make([]byte, 64<<10))
			}
		})
	}
	c := client(t, s, at(filepath.Join(dir, "hub")), func(o *hub.Options) { o.Progress = fill })
	download(t, c, "main")
	files := map[string][]byte{"model.bin": noise(12<<20, 9), "config.json": []byte("{}")}
	s.Commit(repo, "main", files)
	if _, err := c.Download(ctx, repo, "main"); !errors.Is(err, hub.ErrNoSpace) {
		t.Errorf("%v", err)
	}
	usable(t, c, sha)
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	s.Forget()
	holds(t, download(t, c, "main"), files)
	if r := lastOf(s, "storage"); r.Range == "" {
		t.Errorf("the download did not go on: %+v", r)
	}
}

// TestNoNames has a disk on which no file can be made any more.
func TestNoNames(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s, at(filepath.Join(disk(t, "size=96m,nr_inodes=60"), "hub")))
	download(t, c, "main")
	files := map[string][]byte{}
	for _, r := range "abcdefghijklmnopqrstuvwxyz" {
		files[string(r)+".txt"] = []byte(string(r))
	}
	s.Commit(repo, "main", files)
	if _, err := c.Download(ctx, repo, "main"); !errors.Is(err, hub.ErrNoSpace) {
		t.Errorf("%v", err)
	}
	usable(t, c, sha)
}

// TestHoldEndsWithItsContext has someone who never lets go of a snapshot.
func TestHoldEndsWithItsContext(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	c := client(t, s)
	locks := filepath.Join(c.Cache(), ".locks", "models--org--name")
	if err := os.MkdirAll(locks, 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(locks, sha+".snapshot.lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	within, cancel := context.WithTimeout(ctx, 100*time.Millisecond)
	defer cancel()
	ended := make(chan error, 1)
	go func() { _, err := c.Download(within, repo, sha); ended <- err }()
	select {
	case err := <-ended:
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("the download waits though its context has ended")
	}
}
