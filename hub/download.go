package hub

import (
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Download brings the files of a revision that match one of the patterns (all
// without patterns) into the cache and returns the snapshot. Files that the
// cache has cost no request. If it fails, what arrived is kept for the next
// attempt, under a name that nothing reads.
func (c *Client) Download(ctx context.Context, repo, revision string, allow ...string) (Snapshot, error) {
	commit, err := c.Resolve(ctx, repo, revision)
	if err != nil {
		return Snapshot{}, err
	}
	if s, err := c.Cached(repo, commit, allow...); err == nil && c.readTree(repo, commit) != nil {
		return s, c.writeRef(repo, revision, commit)
	} else if c.opts.Offline {
		return Snapshot{}, err
	}
	files := c.readTree(repo, commit)
	if files == nil {
		if files, err = c.list(ctx, repo, commit); err != nil {
			return Snapshot{}, err
		}
		c.tagCache()
		if err := c.writeTree(repo, commit, files); err != nil {
			return Snapshot{}, err
		}
	}
	files = filter(files, allow)
	if len(files) == 0 {
		return Snapshot{}, fmt.Errorf("%w: no file of %s at %s matches %s", ErrNotFound, repo, commit, strings.Join(allow, ", "))
	}
	d := &download{c: c, repo: repo, commit: commit}
	if err := d.all(ctx, files); err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Repo: repo, Commit: commit, Dir: c.snapshotDir(repo, commit), Files: files}
	if err := s.complete(); err != nil {
		return Snapshot{}, err
	}
	// The reference comes last: whoever reads it finds the files.
	return s, c.writeRef(repo, revision, commit)
}

// download is one call of Download.
type download struct {
	c            *Client
	repo, commit string
	total        int64
	done         atomic.Int64
	received     atomic.Int64
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
		workers.Add(1)
		go func() {
			defer workers.Done()
			for f := range queue {
				if err := d.file(ctx, f); err != nil {
					cancel(fmt.Errorf("%w (file %s of %s at %s)", err, f.Path, d.repo, d.commit))
					return
				}
			}
		}()
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
	for _, f := range files {
		d.total += f.Size
		if info, err := os.Stat(d.c.blobPath(d.repo, f)); err == nil && info.Size() == f.Size {
			continue
		}
		missing += f.Size
		if info, err := os.Stat(d.partial(f)); err == nil {
			missing -= min(info.Size(), f.Size)
		}
	}
	if missing == 0 {
		return nil
	}
	if err := os.MkdirAll(d.c.opts.CacheDir, 0o755); err != nil {
		return fmt.Errorf("hub: the cache folder can't be made: %w", err)
	}
	if free, ok := freeSpace(d.c.opts.CacheDir); ok && free < missing+spare {
		return fmt.Errorf("%w: %s at %s needs %d bytes more and %d to spare, %s has %d free: remove old snapshots or set another cache folder",
			ErrNoSpace, d.repo, d.commit, missing, spare, d.c.opts.CacheDir, free)
	}
	return nil
}

// partial is the name under which a blob arrives. Python's client has names of
// another form and leaves these alone.
func (d *download) partial(f File) string {
	return d.c.blobPath(d.repo, f) + ".sema.incomplete"
}

// file makes one file of the snapshot.
func (d *download) file(ctx context.Context, f File) error {
	blob := d.c.blobPath(d.repo, f)
	unlock, err := d.lock(ctx, f)
	if err != nil {
		return err
	}
	defer unlock()
	if info, err := os.Stat(blob); err == nil && info.Size() == f.Size {
		d.progress(f, f.Size, 0)
	} else {
		err := d.c.retry(ctx, func() (time.Duration, error) { return d.attempt(ctx, f) })
		if err != nil {
			return err
		}
		if err := os.Rename(d.partial(f), blob); err != nil {
			return err
		}
		syncDir(filepath.Dir(blob))
	}
	return d.c.link(d.repo, d.commit, f)
}

func (d *download) progress(f File, n, received int64) {
	d.c.opts.Progress(Progress{Repo: d.repo, File: f.Path, Done: d.done.Add(n), Total: d.total, Downloaded: d.received.Add(received)})
}

// lock takes the lock that Python's client takes for a blob.
func (d *download) lock(ctx context.Context, f File) (func(), error) {
	dir := filepath.Join(d.c.opts.CacheDir, ".locks", filepath.Base(d.c.repoDir(d.repo)))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(d.c.blobPath(d.repo, f)), 0o755); err != nil {
		return nil, err
	}
	return lockFile(ctx, filepath.Join(dir, f.etag()+".lock"))
}

// attempt receives what is missing of a blob and verifies it. A wrong checksum
// removes what was received, so that the next attempt starts afresh.
func (d *download) attempt(ctx context.Context, f File) (time.Duration, error) {
	out, err := os.OpenFile(d.partial(f), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return 0, err
	}
	defer out.Close()
	sum := newSum(f)
	have, err := io.Copy(sum, io.LimitReader(out, f.Size+1))
	if err != nil {
		return 0, err
	}
	if have > f.Size {
		have = 0
		sum = newSum(f)
	}
	d.progress(f, have, 0)
	have, wait, err := d.receive(ctx, f, out, sum, have)
	if err == nil {
		err = errors.Join(verify(f, sum, have), out.Sync())
	}
	if err != nil {
		d.progress(f, -have, 0)
		if errors.Is(err, ErrChecksum) {
			err = errors.Join(err, out.Truncate(0))
		}
		return wait, diskError(err)
	}
	return 0, nil
}

// newSum returns the hash that names f's blob.
func newSum(f File) hash.Hash {
	if f.SHA256 != "" {
		return sha256.New()
	}
	h := sha1.New()
	fmt.Fprintf(h, "blob %d\x00", f.Size)
	return h
}

func verify(f File, sum hash.Hash, n int64) error {
	if n != f.Size {
		return fmt.Errorf("%w: the transfer ended after %d of %d bytes", ErrUnavailable, n, f.Size)
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != f.etag() {
		return fmt.Errorf("%w: %s is %s, the Hub says %s", ErrChecksum, f.Path, got, f.etag())
	}
	return nil
}

// receive appends the bytes after have to out and sum, and returns how many
// there are then.
func (d *download) receive(ctx context.Context, f File, out *os.File, sum hash.Hash, have int64) (int64, time.Duration, error) {
	if have == f.Size {
		return have, 0, nil
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	header := http.Header{}
	if have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, wait, err := d.c.once(ctx, d.address(f), header)
	if err != nil {
		return have, wait, err
	}
	defer resp.Body.Close()
	if have > 0 && !continues(resp, have) {
		sum.Reset()
		if f.SHA256 == "" {
			fmt.Fprintf(sum, "blob %d\x00", f.Size)
		}
		d.progress(f, -have, 0)
		have = 0
	}
	if err := out.Truncate(have); err != nil {
		return have, 0, err
	}
	if _, err := out.Seek(have, io.SeekStart); err != nil {
		return have, 0, err
	}
	have, err = d.copy(ctx, cancel, f, io.MultiWriter(out, sum), resp.Body, have)
	return have, 0, err
}

// address is pinned to the commit: a branch may move while we download.
func (d *download) address(f File) string {
	parts := strings.Split(f.Path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return fmt.Sprintf("%s/%s/resolve/%s/%s", d.c.base, d.repo, d.commit, strings.Join(parts, "/"))
}

// continues reports whether the answer to a Range request goes on from have. A
// server may send the whole file instead.
func continues(resp *http.Response, have int64) bool {
	return resp.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))
}

var errStalled = fmt.Errorf("%w: the transfer stalled", ErrUnavailable)

// copy receives the rest of a file. A body that stays silent is given up.
func (d *download) copy(ctx context.Context, cancel context.CancelCauseFunc, f File, w io.Writer, body io.Reader, have int64) (int64, error) {
	silence := 3 * d.c.opts.Timeout
	watchdog := time.AfterFunc(silence, func() { cancel(errStalled) })
	defer watchdog.Stop()
	buf := make([]byte, 256<<10)
	for {
		n, err := body.Read(buf)
		watchdog.Reset(silence)
		if have+int64(n) > f.Size {
			return have, fmt.Errorf("%w: more than %d bytes arrive for %s", ErrChecksum, f.Size, f.Path)
		}
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return have, err
			}
			have += int64(n)
			d.progress(f, int64(n), int64(n))
		}
		switch {
		case err == io.EOF:
			return have, nil
		case err != nil:
			return have, interrupted(ctx, err)
		}
	}
}

func interrupted(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("%w: the transfer broke off: %v", ErrUnavailable, withoutAddress(err))
}
