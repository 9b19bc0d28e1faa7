//go:build unix && !linux

package ctranslate2

const mapNoReserve = 0

// madviseDontNeed does nothing: outside Linux the advice does not free memory
// at once, and what is reused is overwritten anyway.
func madviseDontNeed([]byte) error { return nil }

func adviseHuge([]byte) {}
