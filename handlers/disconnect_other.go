//go:build !linux

package handlers

import "syscall"

// hungUp peeks one byte: none and no error is the end of what a socket's peer sends.
func hungUp(fd int) bool {
	var one [1]byte
	n, _, err := syscall.Recvfrom(fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return n == 0 && err == nil || err == syscall.ECONNRESET
}
