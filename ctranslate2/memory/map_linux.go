package memory

import (
	"os"
	"sync"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Map maps the first n bytes of a file, to be read only, and returns how to unmap
// them; a second time it does nothing. They start where a huge page could: with file systems that keep what was
// written or read in large pieces in huge pages (ext4 since Linux 6.16, XFS since
// 5.18), the mapping is of these, and reads faster.
func Map(f *os.File, n int) ([]byte, func() error, error) {
	size := uintptr(n) + HugePage
	region, err := unix.MmapPtr(-1, 0, nil, size, unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE|noReserve)
	if err != nil {
		return nil, nil, err
	}
	start := unsafe.Add(region, -uintptr(region)%HugePage)
	if _, err := unix.MmapPtr(int(f.Fd()), 0, start, uintptr(n), unix.PROT_READ, unix.MAP_SHARED|unix.MAP_FIXED); err != nil {
		return nil, nil, err // the region stays reserved: what was there may have gone, and be another's by now
	}
	data := unsafe.Slice((*byte)(start), n)
	AdviseHuge(data, true)
	return data, sync.OnceValue(func() error { return unix.MunmapPtr(region, size) }), nil
}
