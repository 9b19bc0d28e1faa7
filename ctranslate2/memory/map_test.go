package memory_test

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/memory"
)

// TestMap maps files of sizes around those of pages: the content is there, where
// huge pages can hold it, and what was mapped goes away.
func TestMap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	for _, n := range []int{1, 4096, 4097, memory.HugePage - 1, memory.HugePage, 2*memory.HugePage + 5} {
		want := bytes.Repeat([]byte("0123456789abcdefghi"), n/19+1)[:n]
		if err := os.WriteFile(path, want, 0o600); err != nil {
			t.Fatal(err)
		}
		got, unmap := mapped(t, path, n)
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes: others are mapped", n)
		}
		if at := uintptr(unsafe.Pointer(&got[0])); runtime.GOOS == "linux" && at%memory.HugePage != 0 {
			t.Errorf("%d bytes are mapped at %#x", n, at)
		}
		if err := unmap(); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
}

func mapped(t *testing.T, path string, n int) ([]byte, func() error) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, unmap, err := memory.Map(f, n)
	if err != nil {
		t.Fatal(err)
	}
	return got, unmap
}

// TestUnmapReturnsAddresses maps and unmaps more than there are mappings.
func TestUnmapReturnsAddresses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 70_000 { // vm.max_map_count is 65,530
		_, unmap := mapped(t, path, 3)
		if err := unmap(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestMapOfNoFile(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "closed"))
	if err != nil {
		t.Fatal(err)
	}
	f.Close()
	if _, _, err := memory.Map(f, 5); err == nil {
		t.Error("a closed file can be mapped")
	}
}
