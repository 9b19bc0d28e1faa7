//go:build !unix

package ctranslate2

import "os"

// mapFile reads the file: this system's mapping is not used.
func mapFile(path string) ([]byte, func() error, error) {
	data, err := os.ReadFile(path)
	return data, func() error { return nil }, err
}
