package kernels

import (
	"syscall"

	"golang.org/x/sys/cpu"
)

// What arch_prctl(2) calls a request for the right to use tile registers, which
// Linux (5.16) saves only for processes that ask for it.
const (
	requestPermission = 0x1023 // ARCH_REQ_XCOMP_PERM
	tileData          = 18     // XFEATURE_XTILEDATA
)

// hasAMX reports whether the processor has AMX for int8, and the system grants it.
func hasAMX() bool {
	if !cpu.X86.HasAMXTile || !cpu.X86.HasAMXInt8 {
		return false
	}
	_, _, errno := syscall.RawSyscall(syscall.SYS_ARCH_PRCTL, requestPermission, tileData, 0)
	return errno == 0
}
