package hub

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Prune removes old snapshots of a repository from the cache: all but the keep
// newest, those that a reference names, those in use here and those that any
// process holds (see Hold). Blobs that no snapshot needs any more go too. It
// returns the commits removed.
func (c *Client) Prune(repo string, keep int, inUse ...string) ([]string, error) {
	if err := check(repo, "main"); err != nil {
		return nil, err
	}
	dir := c.repoDir(repo)
	protected := append(referenced(filepath.Join(dir, "refs")), inUse...)
	var removed []string
	var errs []error
	for _, s := range newestFirst(filepath.Join(dir, "snapshots")) {
		if keep > 0 && !s.empty {
			keep--
			continue
		}
		if slices.Contains(protected, s.commit) || s.empty && time.Since(s.changed) < orphanAge {
			continue
		}
		ok, err := c.remove(repo, s.commit)
		if ok {
			removed = append(removed, s.commit)
		}
		errs = append(errs, err)
	}
	if len(removed) > 0 {
		errs = append(errs, c.removeOrphans(repo))
	}
	return removed, errors.Join(errs...)
}

// remove removes a snapshot that nobody holds.
func (c *Client) remove(repo, commit string) (bool, error) {
	if err := os.MkdirAll(c.locksDir(repo), 0o755); err != nil {
		return false, err
	}
	release, err := tryLock(c.holdPath(repo, commit), exclusive)
	if err != nil || release == nil {
		return false, err
	}
	defer release()
	err = errors.Join(
		os.RemoveAll(c.snapshotDir(repo, commit)),
		ignoreMissing(os.Remove(c.treePath(repo, commit))),
		os.RemoveAll(filepath.Join(c.repoDir(repo), ".no_exist", commit)),
	)
	return err == nil, err
}

func ignoreMissing(err error) error {
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// kept is a snapshot's folder.
type kept struct {
	commit  string
	changed time.Time
	empty   bool // a download that brought nothing does not count
}

func newestFirst(dir string) []kept {
	entries, _ := os.ReadDir(dir)
	var snapshots []kept
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !e.IsDir() || !IsCommit(e.Name()) {
			continue
		}
		files, _ := os.ReadDir(filepath.Join(dir, e.Name()))
		snapshots = append(snapshots, kept{e.Name(), info.ModTime(), len(files) == 0})
	}
	slices.SortFunc(snapshots, func(a, b kept) int { return b.changed.Compare(a.changed) })
	return snapshots
}

// referenced lists the commits that references name.
func referenced(dir string) []string {
	var commits []string
	_ = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			data, _ := os.ReadFile(path)
			commits = append(commits, strings.TrimSpace(string(data)))
		}
		return nil
	})
	return commits
}

// orphanAge is how old what nothing names must be to be removed: another
// process may be about to use it.
const orphanAge = time.Hour

// removeOrphans removes the blobs that no snapshot links to, and what crashes
// left behind.
func (c *Client) removeOrphans(repo string) error {
	linked, err := linkedBlobs(filepath.Join(c.repoDir(repo), "snapshots"))
	if err != nil {
		return err
	}
	blobs := filepath.Join(c.repoDir(repo), "blobs")
	orphans := old(blobs, func(name string) bool { return !linked[name] })
	var errs []error
	for some := range slices.Chunk(orphans, 100) {
		errs = append(errs, c.removeLocked(repo, blobs, some))
	}
	for _, name := range old(c.repoDir(repo), func(name string) bool { return strings.HasSuffix(name, tmpSuffix) }) {
		errs = append(errs, ignoreMissing(os.Remove(filepath.Join(c.repoDir(repo), name))))
	}
	return errors.Join(errs...)
}

// old lists the files of a folder that nobody wrote to for a while.
func old(dir string, want func(name string) bool) []string {
	entries, _ := os.ReadDir(dir)
	var names []string
	for _, e := range entries {
		info, err := e.Info()
		if err == nil && !e.IsDir() && want(e.Name()) && time.Since(info.ModTime()) >= orphanAge {
			names = append(names, e.Name())
		}
	}
	return names
}

// removeLocked removes blobs that no snapshot links to. With their locks, looks
// again: whoever makes a link has the blob's lock.
func (c *Client) removeLocked(repo, blobs string, names []string) error {
	var free []string
	for _, name := range names {
		etag, _, _ := strings.Cut(name, ".")
		if release, err := tryLock(filepath.Join(c.locksDir(repo), etag+".lock"), exclusive); err == nil && release != nil {
			defer release()
			free = append(free, name)
		}
	}
	linked, err := linkedBlobs(filepath.Join(c.repoDir(repo), "snapshots"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range free {
		if !linked[name] {
			errs = append(errs, ignoreMissing(os.Remove(filepath.Join(blobs, name))))
		}
	}
	return errors.Join(errs...)
}

// linkedBlobs returns the names of the blobs that snapshots link to.
func linkedBlobs(snapshots string) (map[string]bool, error) {
	linked := map[string]bool{}
	err := filepath.WalkDir(snapshots, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.Type()&os.ModeSymlink == 0 {
			return ignoreMissing(err)
		}
		target, err := os.Readlink(path)
		linked[filepath.Base(target)] = true
		return ignoreMissing(err)
	})
	return linked, err
}
