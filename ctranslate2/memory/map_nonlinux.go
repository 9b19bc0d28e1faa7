//go:build unix && !linux

package memory

import (
	"os"
	"syscall"
)

// Map maps the first n bytes of a file, to be read only, and returns how to unmap
// them.
func Map(f *os.File, n int) ([]byte, func() error, error) {
	data, err := syscall.Mmap(int(f.Fd()), 0, n, syscall.PROT_READ, syscall.MAP_SHARED)
	return data, func() error { return syscall.Munmap(data) }, err
}
