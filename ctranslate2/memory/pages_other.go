//go:build !unix

package memory

// pageBytes is enough for memory to be aligned as pages are.
const pageBytes = 64 << 10

// Reserve returns n bytes of the Go heap.
func Reserve(n int) ([]byte, error) { return make([]byte, max(n, pageBytes))[:n], nil }

// Release leaves b to the garbage collector, Decommit and AdviseHuge do nothing.
func Release([]byte) error    { return nil }
func Decommit([]byte)         {}
func AdviseHuge([]byte, bool) {}
