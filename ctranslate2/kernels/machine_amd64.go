package kernels

func sumMemory(b []byte) uint64 {
	if hasAVX512VNNI() {
		return readMemory(ptr(b), len(b))
	}
	return sumMemoryGeneric(b)
}

// peakOperations runs n rounds of independent products in registers and returns
// how many operations a round has.
func peakOperations(n int) float64 {
	if Active() != AVX512VNNI {
		return 0
	}
	peakS8(n)
	return 24 * 64 * 2 // instructions, bytes, a product and a sum
}
