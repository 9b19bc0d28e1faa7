package kernels

func memoryReaders() []memoryReader {
	if hasAVX512VNNI() {
		return []memoryReader{readInOrder, readInStripes}
	}
	return []memoryReader{sumMemoryGeneric}
}

func readInOrder(b []byte) uint64 { return readMemory(ptr(b), len(b)) }

// readInStripes reads an eighth of b in each of eight places, by turns.
func readInStripes(b []byte) uint64 { return readStripes(ptr(b), len(b)/8, len(b)/8) }

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
