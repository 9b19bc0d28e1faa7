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
	switch Active() {
	case AMX:
		tilePeak(tileConfig(tileLines), n)
		return 4 * tileLines * tileLines * tileLine * 2 // instructions, products of lines, bytes, a product and a sum
	case AVX512VNNI:
		peakS8(n)
		return 24 * 64 * 2 // instructions, bytes, a product and a sum
	}
	return 0
}
