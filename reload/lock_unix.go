//go:build unix

package reload

import (
	"os"
	"syscall"
)

// tryLock takes an exclusive lock that ends with the file or the process.
func tryLock(f *os.File) bool {
	return syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// isMine locks the file of a new private folder. It reports false if another
// process was faster, which then removes the folder, or has removed it already:
// a lock on a file that has no name any more guards nothing.
func isMine(f *os.File) bool {
	if !tryLock(f) {
		return false
	}
	mine, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Stat(f.Name())
	return err == nil && os.SameFile(mine, named)
}
