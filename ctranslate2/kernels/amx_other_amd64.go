//go:build !linux

package kernels

// hasAMX reports false: only Linux is asked.
func hasAMX() bool { return false }
