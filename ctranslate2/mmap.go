package ctranslate2

import (
	"fmt"
	"os"

	"github.com/sematech/sema/ctranslate2/memory"
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
	data, unmap, err := memory.Map(f, int(info.Size()))
	if err != nil {
		return nil, nil, fmt.Errorf("ctranslate2: map %s: %w", path, err)
	}
	return data, unmap, nil
}
