//go:build unix

package kernels

import (
	"sync"
	"syscall"
	"testing"
	"unsafe"
)

// guards are memory between pages that can't be touched, given out in turn.
var guards struct {
	sync.Mutex
	arenas [][]byte
	next   int
}

const (
	guardArenas = 16
	guardSize   = 25 << 20
)

// fenced returns n elements that end at, or every other round begin at, a page
// that can't be touched. They hold what an earlier user left, and are good
// until 16 others have been asked for.
func fenced[T any](t testing.TB, n int) []T {
	t.Helper()
	guards.Lock()
	defer guards.Unlock()
	var zero T
	size, page := n*int(unsafe.Sizeof(zero)), syscall.Getpagesize()
	if size > guardSize {
		t.Fatalf("%d bytes are more than a fenced arena has", size)
	}
	if len(guards.arenas) < guardArenas {
		m, err := syscall.Mmap(-1, 0, guardSize+2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err == nil {
			err = syscall.Mprotect(m[:page], syscall.PROT_NONE)
		}
		if err == nil {
			err = syscall.Mprotect(m[page+guardSize:], syscall.PROT_NONE)
		}
		if err != nil {
			t.Fatal(err)
		}
		guards.arenas = append(guards.arenas, m[page:page+guardSize])
	}
	arena := guards.arenas[guards.next%len(guards.arenas)]
	at := guardSize - size
	if guards.next/guardArenas%2 == 1 {
		at = 0
	}
	guards.next++
	return unsafe.Slice((*T)(unsafe.Add(unsafe.Pointer(unsafe.SliceData(arena)), at)), n)
}
