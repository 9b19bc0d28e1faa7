package memory

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Nameless opens a new file of n bytes that has no name, in the folder dir, which goes
// away when it is closed and no longer mapped. All of its room on the disk is taken at
// once, and leave bytes must stay free beside it. It fails where dir lies in memory itself
// (below an overlay, that is not seen).
func Nameless(dir string, n, leave int64) (*os.File, error) {
	f, err := nameless(dir)
	if err != nil {
		return nil, err
	}
	if err := takeRoom(f, n, leave); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), f.Close())
	}
	return f, nil
}

func nameless(dir string) (*os.File, error) {
	if f, err := os.OpenFile(dir, unix.O_TMPFILE|os.O_RDWR, 0o600); err == nil {
		return f, nil
	}
	return unnamed(dir)
}

// unnamed is nameless for file systems without such files: there is a name for a moment.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "weights-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// takeRoom takes n bytes of the disk for f, if it is a disk's and leave more stay free.
func takeRoom(f *os.File, n, leave int64) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return err
	}
	if kind := uint32(fs.Type); kind == unix.TMPFS_MAGIC || kind == unix.RAMFS_MAGIC {
		return errors.New("it is a folder in memory")
	}
	if free := fs.Bavail * uint64(fs.Frsize); free < uint64(n)+uint64(leave) {
		return fmt.Errorf("%d bytes are free, %d are needed and %d must stay free", free, n, leave)
	}
	for {
		if err := unix.Fallocate(int(f.Fd()), 0, 0, n); err != unix.EINTR {
			return err
		}
	}
}
