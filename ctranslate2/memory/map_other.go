//go:build !unix

package memory

import (
	"io"
	"os"
)

// Map reads the first n bytes of a file: this system's mapping is not used.
func Map(f *os.File, n int) ([]byte, func() error, error) {
	data := make([]byte, n)
	_, err := io.ReadFull(f, data)
	return data, func() error { return nil }, err
}
