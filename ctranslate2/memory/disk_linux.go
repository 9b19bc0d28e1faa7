package memory

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// OnDisk returns n bytes of zeros that are a file's without a name, in the folder dir,
// and how to release them; a second time that does nothing. The system can write them
// out and take their memory back, as it can a mapped file's. They start where a huge page
// could. All of the room on the disk is taken at once, and as much must be free beside
// it. It fails where dir lies in memory itself.
func OnDisk(dir string, n int) ([]byte, func() error, error) {
	f, err := nameless(dir)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	if err := hasRoom(f, n); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, int64(n)); err != nil {
		return nil, nil, fmt.Errorf("%s: %w", dir, err)
	}
	return mapHuge(f, n, unix.PROT_READ|unix.PROT_WRITE)
}

// nameless opens a new file of no name.
func nameless(dir string) (*os.File, error) {
	if fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_RDWR|unix.O_CLOEXEC, 0o600); err == nil {
		return os.NewFile(uintptr(fd), dir), nil
	}
	f, err := os.CreateTemp(dir, "weights-*") // file systems without such files
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// hasRoom returns an error unless f is a file of a disk with room for n bytes, and as
// many again.
func hasRoom(f *os.File, n int) error {
	var fs unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &fs); err != nil {
		return err
	}
	if fs.Type == unix.TMPFS_MAGIC || fs.Type == unix.RAMFS_MAGIC {
		return errors.New("it is a folder in memory")
	}
	if free := fs.Bavail * uint64(fs.Bsize); free/2 < uint64(n) {
		return fmt.Errorf("%d bytes are free, %d are needed", free, 2*n)
	}
	return nil
}

// mapHuge maps the first n bytes of a file where a huge page could start, and returns
// how to unmap them, which a second time does nothing.
func mapHuge(f *os.File, n, protection int) ([]byte, func() error, error) {
	size := uintptr(n) + HugePage
	region, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|noReserve)
	if err != nil {
		return nil, nil, err
	}
	start := unsafe.Add(region, -uintptr(region)%HugePage)
	if _, err := unix.MmapPtr(int(f.Fd()), 0, start, uintptr(n), protection, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return nil, nil, err // the region stays reserved: what was there may have gone, and be another's by now
	}
	data := unsafe.Slice((*byte)(start), n)
	AdviseHuge(data, true)
	return data, sync.OnceValue(func() error { return unix.MunmapPtr(region, size) }), nil
}
