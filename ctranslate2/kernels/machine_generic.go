package kernels

import "encoding/binary"

// sumMemoryGeneric reads b.
func sumMemoryGeneric(b []byte) uint64 {
	var s [4]uint64
	for ; len(b) >= 32; b = b[32:] {
		s[0] += binary.LittleEndian.Uint64(b)
		s[1] += binary.LittleEndian.Uint64(b[8:])
		s[2] += binary.LittleEndian.Uint64(b[16:])
		s[3] += binary.LittleEndian.Uint64(b[24:])
	}
	return s[0] + s[1] + s[2] + s[3]
}
