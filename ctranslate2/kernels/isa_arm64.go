package kernels

import "runtime"

func machineTiers() []tier { return []tier{{NEON, genericS8, neonF32}} }

// spinPause waits for a moment.
func spinPause() { runtime.KeepAlive(nil) }
