//go:build unix

package memory

import "syscall"

// Reserve returns n bytes of zeroed private memory outside the Go heap, which
// the system commits page by page when they are first written.
func Reserve(n int) ([]byte, error) {
	return syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE|noReserve)
}

// Release returns the memory of Reserve to the system.
func Release(b []byte) error { return syscall.Munmap(b) }
