package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Prune removes old snapshots of a repository from the cache: all but the keep
// newest, those that a reference names and those in use. Blobs that no snapshot
// needs any more go too. It returns the commits removed.
func (c *Client) Prune(repo string, keep int, inUse ...string) ([]string, error) {
	if err := check(repo, "main"); err != nil {
		return nil, err
	}
	dir := c.repoDir(repo)
	commits := newestFirst(filepath.Join(dir, "snapshots"))
	protected := append(referenced(filepath.Join(dir, "refs")), inUse...)
	var removed []string
	var errs []error
	for i, commit := range commits {
		if i < keep || slices.Contains(protected, commit) {
			continue
		}
		err := errors.Join(os.RemoveAll(c.snapshotDir(repo, commit)), ignoreMissing(os.Remove(c.treePath(repo, commit))))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		removed = append(removed, commit)
	}
	if len(removed) > 0 {
		errs = append(errs, removeOrphans(dir))
	}
	return removed, errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// newestFirst lists the commits that have a snapshot.
func newestFirst(dir string) []string {
	entries, _ := os.ReadDir(dir)
	when := map[string]time.Time{}
	var commits []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && e.IsDir() && IsCommit(e.Name()) {
			when[e.Name()] = info.ModTime()
			commits = append(commits, e.Name())
		}
	}
	slices.SortFunc(commits, func(a, b string) int { return when[b].Compare(when[a]) })
	return commits
}

// referenced lists the commits that references name.
func referenced(dir string) []string {
	var commits []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			data, _ := os.ReadFile(path)
			commits = append(commits, string(data))
		}
		return nil
	})
	return commits
}

// orphanAge is how old a blob must be to be removed: one that was just
// downloaded may not be linked yet.
const orphanAge = time.Hour

// removeOrphans removes the blobs that no snapshot links to.
func removeOrphans(repoDir string) error {
	linked := map[string]bool{}
	err := filepath.WalkDir(filepath.Join(repoDir, "snapshots"), func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink == 0 {
			return err
		}
		target, err := os.Readlink(path)
		linked[filepath.Base(target)] = true
		return err
	})
	if err != nil {
		return err
	}
	blobs := filepath.Join(repoDir, "blobs")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return ignoreMissing(err)
	}
	var errs []error
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || linked[e.Name()] || time.Since(info.ModTime()) < orphanAge {
			continue
		}
		errs = append(errs, ignoreMissing(os.Remove(filepath.Join(blobs, e.Name()))))
	}
	return errors.Join(errs...)
}
