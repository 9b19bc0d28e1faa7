package memory_test

import (
	"bytes"
	"fmt"
	"os"
	"testing"

	"github.com/sematech/sema/ctranslate2/memory"
)

// resident returns how many bytes of the process are in memory.
func resident(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	var size, pages int
	if _, err := fmt.Fscan(bytes.NewReader(text), &size, &pages); err != nil {
		t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// TestShrinkAndFreeReturnMemory writes 64 MiB and wants most of it to be back
// with the system after Shrink, and after Free.
func TestShrinkAndFreeReturnMemory(t *testing.T) {
	const size = 64 << 20
	for name, giveBack := range map[string]func(*memory.Buffer){"Shrink": (*memory.Buffer).Shrink, "Free": (*memory.Buffer).Free} {
		var b memory.Buffer
		before := resident(t)
		clear(b.Grow(size))
		if used := resident(t) - before; used < size/2 {
			t.Errorf("%s: %d bytes written, %d resident", name, size, used)
		}
		giveBack(&b)
		if kept := resident(t) - before; kept > size/8 {
			t.Errorf("%s keeps %d of %d bytes", name, kept, size)
		}
		b.Free()
	}
}
