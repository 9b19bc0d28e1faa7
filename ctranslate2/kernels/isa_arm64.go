package kernels

import (
	"runtime"

	"golang.org/x/sys/cpu"
)

// machineTiers is NEON, with the bytes multiplied in plain Go where the
// processor lacks their dot product.
func machineTiers() []tier {
	s8 := genericS8
	if cpu.ARM64.HasASIMDDP {
		s8 = neonS8
	}
	return []tier{{NEON, s8, neonF32}}
}

// spinPause waits for a moment.
func spinPause() { runtime.KeepAlive(nil) }
