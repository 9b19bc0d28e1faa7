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
	"strings"
)

// transfer is a blob on its way. Its first have bytes are in out and in sum.
type transfer struct {
	d    *download
	f    File
	out  *os.File
	sum  hash.Hash
	have int64
	best int64 // the most that ever was received: progress never falls
}

// open takes up a transfer where an earlier one broke off.
func (d *download) open(ctx context.Context, f File) (*transfer, error) {
	out, err := os.OpenFile(d.partial(f), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, fmt.Errorf("hub: %w", diskError(err))
	}
	t := &transfer{d: d, f: f, out: out}
	t.reset()
	t.have, err = io.Copy(t.sum, io.LimitReader(contextReader{ctx, out}, f.Size+1))
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("hub: read what is there of %s: %w", f.Path, err)
	}
	if t.have > f.Size { // it is of another file
		t.reset()
	}
	t.tell(0, 0)
	return t, nil
}

// contextReader reads a file that may be large until the context ends.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (c contextReader) Read(p []byte) (int, error) {
	if c.ctx.Err() != nil {
		return 0, context.Cause(c.ctx)
	}
	return c.r.Read(p)
}

// reset starts afresh. The hash is the one that names the blob: sha256 for a
// file in LFS, else git's sha1.
func (t *transfer) reset() {
	t.have = 0
	if t.f.SHA256 != "" {
		t.sum = sha256.New()
		return
	}
	t.sum = sha1.New()
	fmt.Fprintf(t.sum, "blob %d\x00", t.f.Size)
}

// tell tells how far the transfer is: of what was received last, some bytes are not
// in out yet.
func (t *transfer) tell(pending, received int) {
	advance := max(0, min(t.have+int64(pending), t.f.Size)-t.best)
	t.best += advance
	t.d.progress(t.f, advance, int64(received))
}

// step is how much further a transfer must get for its retries to begin anew.
const step = 1 << 20

// attempt receives what is missing of a blob and verifies it. After a wrong
// checksum the next attempt starts afresh.
func (t *transfer) attempt(ctx context.Context) outcome {
	before := t.best
	o := t.receive(ctx)
	o.advanced = t.best-before >= step
	if o.err == nil {
		o.err = errors.Join(t.verify(), t.out.Sync())
	}
	if errors.Is(o.err, ErrChecksum) {
		t.reset()
		o.err = errors.Join(o.err, t.out.Truncate(0))
	}
	o.err = diskError(o.err)
	return o
}

func (t *transfer) verify() error {
	if t.have != t.f.Size {
		return fmt.Errorf("%w: the transfer ended after %d of %d bytes", ErrUnavailable, t.have, t.f.Size)
	}
	if got := hex.EncodeToString(t.sum.Sum(nil)); got != t.f.etag() {
		return fmt.Errorf("%w: %s is %s, the Hub says %s", ErrChecksum, t.f.Path, got, t.f.etag())
	}
	return nil
}

// receive appends the bytes that are missing.
func (t *transfer) receive(ctx context.Context) outcome {
	if t.have == t.f.Size {
		return outcome{}
	}
	header := http.Header{}
	if t.have > 0 {
		header.Set("Range", fmt.Sprintf("bytes=%d-", t.have))
	}
	resp, wait, err := t.d.c.once(ctx, t.address(), header)
	if err != nil {
		return outcome{err: err, wait: wait}
	}
	defer resp.Body.Close()
	if t.have > 0 && !continues(resp, t.have) {
		t.reset()
	}
	if err := t.out.Truncate(t.have); err != nil {
		return outcome{err: err}
	}
	if _, err := t.out.Seek(t.have, io.SeekStart); err != nil {
		return outcome{err: err}
	}
	return outcome{err: t.copy(resp.Body)}
}

// address is pinned to the commit: a branch may move while we download.
func (t *transfer) address() string {
	parts := strings.Split(t.f.Path, "/")
	for i := range parts {
		parts[i] = url.PathEscape(parts[i])
	}
	return fmt.Sprintf("%s/%s/resolve/%s/%s", t.d.c.base, t.d.repo, t.d.commit, strings.Join(parts, "/"))
}

// continues reports whether the answer to a Range request goes on from have. A
// server may send the whole file instead.
func continues(resp *http.Response, have int64) bool {
	return resp.StatusCode == http.StatusPartialContent &&
		strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have))
}

// writeBytes is how much is written at a time, from a multiple of it on: file
// systems keep such pieces in huge pages, where they are, which models are read
// faster from.
const writeBytes = 2 << 20

// copy receives the rest of a file.
func (t *transfer) copy(body io.Reader) error {
	buf := make([]byte, min(writeBytes, t.f.Size+1))
	for {
		n, err := t.fill(buf[:min(writeBytes-t.have%writeBytes, int64(len(buf)))], body)
		if t.have+int64(n) > t.f.Size {
			return fmt.Errorf("%w: more than %d bytes arrive for %s", ErrChecksum, t.f.Size, t.f.Path)
		}
		if n > 0 {
			if _, err := t.out.Write(buf[:n]); err != nil {
				return fmt.Errorf("hub: write %s: %w", t.f.Path, err)
			}
			t.sum.Write(buf[:n])
			t.have += int64(n)
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// fill reads until buf is full or body ends, and tells of what arrives. It returns
// how much did.
func (t *transfer) fill(buf []byte, body io.Reader) (n int, err error) {
	for n < len(buf) && err == nil {
		var more int
		more, err = body.Read(buf[n:])
		if n += more; more > 0 {
			t.tell(n, more)
		}
	}
	return n, err
}
