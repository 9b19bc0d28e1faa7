package memory

import (
	"os"

	"golang.org/x/sys/unix"
)

// Map maps the first n bytes of a file, to be read only, and returns how to unmap
// them; a second time it does nothing. They start where a huge page could: with file systems that keep what was
// written or read in large pieces in huge pages (ext4 since Linux 6.16, XFS since
// 5.18), the mapping is of these, and reads faster.
func Map(f *os.File, n int) ([]byte, func() error, error) {
	return mapHuge(f, n, unix.PROT_READ)
}
