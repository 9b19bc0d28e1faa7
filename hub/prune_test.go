package hub_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

// age makes all files of a cache look old, but for those being written this
// moment, which can't be, and gives snapshots the order of commits.
func age(t *testing.T, c *hub.Client, commits ...string) {
	t.Helper()
	long := time.Now().Add(-48 * time.Hour)
	err := filepath.WalkDir(c.Cache(), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Type()&os.ModeSymlink == 0 && filepath.Ext(path) != ".tmp" {
			err = os.Chtimes(path, long, long)
		}
		if errors.Is(err, os.ErrNotExist) { // others use the cache
			return nil
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for i, commit := range commits {
		when := long.Add(time.Duration(i) * time.Minute)
		if err := os.Chtimes(filepath.Join(c.Cache(), "models--org--name", "snapshots", commit), when, when); err != nil {
			t.Fatal(err)
		}
	}
}

// history downloads n commits that share a file.
func history(t *testing.T, s *hubtest.Server, c *hub.Client, n int) (commits []string) {
	t.Helper()
	for i := range n {
		s.Commit(repo, "main", map[string][]byte{"shared.bin": noise(1000, 0), "own.bin": noise(1000, uint64(i+1))})
		commits = append(commits, download(t, c, "main").Commit)
	}
	age(t, c, commits...)
	return commits
}

func blobs(t *testing.T, c *hub.Client) int {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(c.Cache(), "*/blobs/*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

func TestPrune(t *testing.T) {
	s := hubtest.New(t)
	c := client(t, s)
	commits := history(t, s, c, 6)
	other := client(t, s, at(c.Cache()))
	release, err := other.Hold(ctx, repo, commits[0])
	if err != nil {
		t.Fatal(err)
	}
	again, err := c.Hold(ctx, repo, commits[0]) // many may hold one
	if err != nil {
		t.Fatal(err)
	}
	again()
	removed, err := c.Prune(repo, 2, commits[1])
	slices.Sort(removed)
	want := []string{commits[2], commits[3]}
	slices.Sort(want)
	if err != nil || !slices.Equal(removed, want) {
		t.Errorf("removed %q, want %q; %v", removed, want, err)
	}
	if n := blobs(t, c); n != 5 {
		t.Errorf("%d blobs are left, want 5", n)
	}
	for _, i := range []int{0, 1, 4, 5} {
		if _, err := c.Cached(repo, commits[i]); err != nil {
			t.Errorf("commit %d: %v", i, err)
		}
	}
	release()
	if removed, err := c.Prune(repo, 0); err != nil || len(removed) != 3 {
		t.Errorf("removed %q, %v", removed, err)
	}
	if _, err := c.Cached(repo, "main"); err != nil || blobs(t, c) != 2 {
		t.Errorf("the reference's snapshot: %v, %d blobs", err, blobs(t, c))
	}
	holds(t, download(t, c, commits[3]), map[string][]byte{"shared.bin": noise(1000, 0), "own.bin": noise(1000, 4)})
	if removed, err := c.Prune("org/unknown", 0); err != nil || len(removed) != 0 {
		t.Errorf("of a repository that is not there: %q, %v", removed, err)
	}
}

// TestPruneSparesWhatIsNew leaves blobs alone that another process may be about
// to link, and a failed download does not count as a snapshot.
func TestPruneSparesWhatIsNew(t *testing.T) {
	s := hubtest.New(t)
	c := client(t, s)
	commits := history(t, s, c, 3)
	fresh := filepath.Join(c.Cache(), "models--org--name", "blobs", fmt.Sprintf("%040d", 7))
	stale := filepath.Join(c.Cache(), "models--org--name", "123.tmp")
	for _, file := range []string{fresh, stale} {
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	long := time.Now().Add(-2 * time.Hour)
	if err := os.Chtimes(stale, long, long); err != nil {
		t.Fatal(err)
	}
	s.Commit(repo, "main", map[string][]byte{"own.bin": noise(1000, 9)})
	s.Fault("storage", hubtest.Fault{Status: 404})
	failing := client(t, s, at(c.Cache()), func(o *hub.Options) { o.Retries = -1 })
	if _, err := failing.Download(ctx, repo, "main"); err == nil {
		t.Fatal("no error")
	}
	removed, err := c.Prune(repo, 2)
	if err != nil || !slices.Equal(removed, commits[:1]) {
		t.Errorf("removed %q, want %q; %v", removed, commits[:1], err)
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(stale); err == nil {
		t.Error("what a crash left is still there")
	}
	s.Heal()
	holds(t, download(t, c, "main"), map[string][]byte{"own.bin": noise(1000, 9)})
}

// TestPruneWhileDownloading prunes all the time while others download: no
// snapshot ever lacks a file.
func TestPruneWhileDownloading(t *testing.T) {
	s := hubtest.New(t)
	c := client(t, s)
	commits := history(t, s, c, 8)
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() {
			for n := range 10 {
				commit := commits[(i*3+n)%len(commits)]
				release, err := c.Hold(ctx, repo, commit)
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := c.Download(ctx, repo, commit); err != nil {
					t.Error(err)
				}
				if _, err := c.Cached(repo, commit); err != nil {
					t.Error(err)
				}
				release()
			}
		})
	}
	ended := make(chan struct{})
	go func() { workers.Wait(); close(ended) }()
	for {
		select {
		case <-ended:
			return
		default:
			if _, err := client(t, s, at(c.Cache())).Prune(repo, 1); err != nil {
				t.Error(err)
			}
			age(t, c)
		}
	}
}
