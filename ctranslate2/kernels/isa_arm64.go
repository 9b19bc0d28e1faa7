package kernels

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// machineTiers is NEON, with or without the dot product of bytes.
func machineTiers() []tier {
	if cpu.ARM64.HasASIMDDP {
		return []tier{{NEON, neonS8, neonF32}}
	}
	return []tier{{NEON, neonMulS8, neonF32}}
}

// spinPause waits for a moment.
func spinPause() { runtime.KeepAlive(nil) }

// fetch does nothing: it would ask for the lines of n bytes.
func fetch(*byte, int) {}
