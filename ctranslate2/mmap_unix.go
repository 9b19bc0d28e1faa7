//go:build unix

package ctranslate2

import (
	"fmt"
	"os"
	"syscall"
)

// mapFile maps a file read-only. The returned function unmaps it.
func mapFile(path string) ([]byte, func() error, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 || info.Size() != int64(int(info.Size())) {
		return nil, nil, fmt.Errorf("%w: %s is not a file that can be mapped (%d bytes)", ErrInvalidModel, path, info.Size())
	}
	data, err := syscall.Mmap(int(f.Fd()), 0, int(info.Size()), syscall.PROT_READ, syscall.MAP_SHARED)
	if err != nil {
		return nil, nil, fmt.Errorf("ctranslate2: map %s: %w", path, err)
	}
	return data, func() error { return syscall.Munmap(data) }, nil
}
