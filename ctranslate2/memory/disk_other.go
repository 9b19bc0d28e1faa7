//go:build !linux

package memory

import "errors"

// OnDisk fails: only on Linux is memory of a file without a name made.
func OnDisk(string, int) ([]byte, func() error, error) {
	return nil, nil, errors.ErrUnsupported
}
