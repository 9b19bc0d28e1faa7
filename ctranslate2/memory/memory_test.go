package memory_test

import (
	"testing"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/memory"
)

// TestBuffer grows, shrinks and frees a buffer: what it gives must be as long as
// asked for, aligned, and writable to the end each time.
func TestBuffer(t *testing.T) {
	var b memory.Buffer
	use := func(n int) {
		t.Helper()
		got := b.Grow(n)
		if len(got) != n {
			t.Fatalf("%d bytes, not %d", len(got), n)
		}
		if n > 0 && uintptr(unsafe.Pointer(&got[0]))%64 != 0 {
			t.Fatalf("%d bytes at %p", n, &got[0])
		}
		for i := range got {
			got[i] = byte(i) | 1
		}
	}
	b.Shrink() // of nothing
	b.Free()
	for _, n := range []int{0, 1, 100, 100, 1 << 20, 3, 1<<20 + 1<<18} {
		use(n)
		b.Shrink()
		use(n)
	}
	b.Free()
	use(5000)
	b.Free()
	b.Free()
}

func TestFloats(t *testing.T) {
	var b memory.Buffer
	defer b.Free()
	f := b.Floats(1000)
	f[0], f[999] = 1, 2
	if g := b.Floats(1000); len(g) != 1000 || g[0] != 1 || g[999] != 2 {
		t.Errorf("the same buffer again: %d floats, %v and %v", len(g), g[0], g[999])
	}
}
