//go:build unix && !linux

package memory

const noReserve = 0

// Decommit does nothing: outside Linux the advice does not free memory at once,
// and what is reused is overwritten anyway.
func Decommit([]byte) {}

// AdviseHuge does nothing.
func AdviseHuge([]byte, bool) {}
