package memory_test

import (
	"bytes"
	"os"
	"testing"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/memory"
)

// TestOnDisk writes memory of a file: it reads back, starts where a huge page could, is
// not the process's own, and leaves no name behind.
func TestOnDisk(t *testing.T) {
	const size = 4<<20 + 5
	dir := t.TempDir()
	b, release, err := memory.OnDisk(dir, size)
	if err != nil {
		t.Skipf("the folder of temporary files is no disk's: %v", err)
	}
	if len(b) != size || uintptr(unsafe.Pointer(&b[0]))%memory.HugePage != 0 {
		t.Errorf("%d bytes at %p", len(b), &b[0])
	}
	if !bytes.Equal(b, make([]byte, size)) {
		t.Error("not all bytes are zero")
	}
	before := anonymous(t)
	for i := range b {
		b[i] = byte(i)
	}
	for i := range b {
		if b[i] != byte(i) {
			t.Fatalf("byte %d is %d", i, b[i])
		}
	}
	if grown := anonymous(t) - before; grown > size/2 {
		t.Errorf("%d bytes are the process's own", grown)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left in the folder: %v, %v", left, err)
	}
	for range 2 {
		if err := release(); err != nil {
			t.Error(err)
		}
	}
}

// anonymous returns how many bytes in memory are the process's own.
func anonymous(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := bytes.Cut(text, []byte("RssAnon:"))
	kib := 0
	for _, c := range bytes.TrimSpace(rest) {
		if c < '0' || c > '9' {
			break
		}
		kib = 10*kib + int(c-'0')
	}
	return kib << 10
}

func TestOnDiskRefuses(t *testing.T) {
	folders := map[string]int{"/proc": 1 << 20, t.TempDir(): 1 << 60, t.TempDir() + "/none": 1}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		folders["/dev/shm"] = 1 << 20
	}
	for dir, size := range folders {
		if _, _, err := memory.OnDisk(dir, size); err == nil {
			t.Errorf("%d bytes in %s", size, dir)
		}
	}
}
