package hub

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Download brings the files of a revision that match one of the patterns (all
// without patterns) into the cache and returns the snapshot. Files that the
// cache has cost no request. If it fails, what arrived is kept for the next
// attempt, under a name that nothing reads.
func (c *Client) Download(ctx context.Context, repo, revision string, allow ...string) (Snapshot, error) {
	if c.opts.Offline {
		return c.Cached(repo, revision, allow...)
	}
	commit, err := c.Resolve(ctx, repo, revision)
	if err != nil {
		return Snapshot{}, err
	}
	release, err := c.Hold(ctx, repo, commit)
	if err != nil {
		return Snapshot{}, err
	}
	defer release()
	files, err := c.files(ctx, repo, commit)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Repo: repo, Commit: commit, Dir: c.snapshotDir(repo, commit), Files: filter(files, allow)}
	if len(s.Files) == 0 {
		return Snapshot{}, fmt.Errorf("%w: %s at %s has %d files, none that matches %q", ErrNotFound, repo, commit, len(files), allow)
	}
	if s.complete() != nil {
		d := &download{c: c, repo: repo, commit: commit}
		if err := d.all(ctx, s.Files); err != nil {
			return Snapshot{}, err
		}
		if err := s.complete(); err != nil {
			return Snapshot{}, err
		}
	}
	// The reference comes last: whoever reads it finds the files.
	return s, c.writeRef(repo, revision, commit)
}

// files lists a commit's files, and keeps the listing in the cache.
func (c *Client) files(ctx context.Context, repo, commit string) ([]File, error) {
	if files := c.readTree(repo, commit); files != nil {
		return files, nil
	}
	files, err := c.list(ctx, repo, commit)
	if err != nil {
		return nil, err
	}
	// The Python client takes a repository without snapshots for a broken one.
	if err := os.MkdirAll(c.snapshotDir(repo, commit), 0o755); err != nil {
		return nil, fmt.Errorf("hub: make the snapshot's folder: %w", diskError(err))
	}
	c.tagCache()
	return files, c.writeTree(repo, commit, files)
}

// download is one call of Download.
type download struct {
	c            *Client
	repo, commit string

	mu sync.Mutex
	at Progress
}

// all downloads files with some workers. The first error stops the others.
func (d *download) all(ctx context.Context, files []File) error {
	if err := d.preflight(files); err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	queue := make(chan File)
	var workers sync.WaitGroup
	for range min(d.c.opts.Workers, len(files)) {
		workers.Go(func() {
			for f := range queue {
				if err := d.file(ctx, f); err != nil {
					cancel(fmt.Errorf("%w (file %s of %s at %s)", err, f.Path, d.repo, d.commit))
					return
				}
			}
		})
	}
feed:
	for _, f := range files {
		select {
		case queue <- f:
		case <-ctx.Done():
			break feed
		}
	}
	close(queue)
	workers.Wait()
	return context.Cause(ctx)
}

// spare is disk space that a download leaves free.
const spare = 64 << 20

// preflight refuses a download that the disk has no room for.
func (d *download) preflight(files []File) error {
	var missing int64
	seen := map[string]bool{}
	d.at.Repo = d.repo
	for _, f := range files {
		d.at.Total += f.Size
		if seen[f.etag()] || d.has(f) {
			continue
		}
		seen[f.etag()] = true
		missing += f.Size
		if info, err := os.Stat(d.partial(f)); err == nil {
			missing -= min(info.Size(), f.Size)
		}
	}
	if free, ok := freeSpace(d.c.opts.CacheDir); ok && missing > 0 && free < missing+spare {
		return fmt.Errorf("%w: %s at %s needs %d bytes more and %d to spare, %s has %d free: remove old snapshots or set another cache folder",
			ErrNoSpace, d.repo, d.commit, missing, spare, d.c.opts.CacheDir, free)
	}
	return nil
}

// has reports whether the cache has a file's blob.
func (d *download) has(f File) bool {
	info, err := os.Stat(d.c.blobPath(d.repo, f))
	return err == nil && info.Size() == f.Size
}

// partial is the name under which a blob arrives. Python's client has names of
// another form and leaves these alone.
func (d *download) partial(f File) string {
	return d.c.blobPath(d.repo, f) + ".sema.incomplete"
}

// file makes one file of the snapshot.
func (d *download) file(ctx context.Context, f File) error {
	unlock, err := d.lock(ctx, f)
	if err != nil {
		return err
	}
	defer unlock()
	if d.has(f) {
		d.progress(f, f.Size, 0)
	} else if err := d.fetch(ctx, f); err != nil {
		return err
	}
	return d.c.link(d.repo, d.commit, f)
}

// fetch downloads a blob and gives it its name once it is verified.
func (d *download) fetch(ctx context.Context, f File) error {
	t, err := d.open(ctx, f)
	if err != nil {
		return err
	}
	defer t.out.Close()
	if err := d.c.retry(ctx, func() outcome { return t.attempt(ctx) }); err != nil {
		return err
	}
	blob := d.c.blobPath(d.repo, f)
	if err := os.Rename(d.partial(f), blob); err != nil {
		return fmt.Errorf("hub: %w", diskError(err))
	}
	syncDir(filepath.Dir(blob))
	return nil
}

// progress tells that n more bytes of a file are here, and how many were received.
func (d *download) progress(f File, n, received int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at.File = f.Path
	d.at.Done += n
	d.at.Downloaded += received
	d.c.opts.Progress(d.at)
}

// lock takes the lock that Python's client takes for a blob.
func (d *download) lock(ctx context.Context, f File) (func(), error) {
	for _, dir := range []string{d.c.locksDir(d.repo), filepath.Dir(d.c.blobPath(d.repo, f))} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, fmt.Errorf("hub: %w", diskError(err))
		}
	}
	return lockFile(ctx, filepath.Join(d.c.locksDir(d.repo), f.etag()+".lock"), exclusive)
}
