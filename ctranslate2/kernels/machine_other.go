//go:build !amd64

package kernels

func sumMemory(b []byte) uint64 { return sumMemoryGeneric(b) }

func peakOperations(int) float64 { return 0 }
