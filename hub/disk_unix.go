//go:build unix

package hub

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

type lockKind int

const (
	exclusive lockKind = syscall.LOCK_EX
	shared    lockKind = syscall.LOCK_SH
)

// lockFile takes a flock, the kind that huggingface_hub takes, as soon as
// whoever has it releases it.
func lockFile(ctx context.Context, path string, kind lockKind) (release func(), err error) {
	for {
		release, err := tryLock(path, kind)
		if err != nil || release != nil {
			return release, err
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// tryLock takes a flock, or returns nil if someone else has it. The Python
// client removes a lock's file when it releases it: a lock on a file that has no
// name any more guards nothing and is taken again.
func tryLock(path string, kind lockKind) (release func(), err error) {
	for {
		f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o664)
		if err != nil {
			return nil, fmt.Errorf("hub: lock: %w", diskError(err))
		}
		err = syscall.Flock(int(f.Fd()), int(kind)|syscall.LOCK_NB)
		if err == nil && named(f, path) {
			return func() { f.Close() }, nil
		}
		f.Close()
		switch {
		case errors.Is(err, syscall.EWOULDBLOCK):
			return nil, nil
		case err != nil && !errors.Is(err, syscall.EINTR):
			return nil, fmt.Errorf("hub: lock %s: %w: the cache must be on a file system that has locks", path, err)
		}
	}
}

// named reports whether path still names f.
func named(f *os.File, path string) bool {
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	theirs, err := os.Stat(path)
	return err == nil && os.SameFile(mine, theirs)
}

// freeSpace returns the bytes that we may still write below dir.
func freeSpace(dir string) (int64, bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return 0, false
	}
	return int64(s.Bavail) * int64(s.Bsize), true
}

// diskError marks a write that failed for want of room.
func diskError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w: %v", ErrNoSpace, err)
	}
	return err
}

// syncDir makes a rename last through a crash, as far as the system allows.
func syncDir(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = f.Sync()
		f.Close()
	}
}
