// Package memory holds memory outside the Go heap, which goes back to the system
// when it is not needed, not at some later garbage collection.
package memory

import "unsafe"

// HugePage is the size of the system's large pages. Memory in them is read faster
// and committed whole. What is written to a file in pieces of so much, from a
// multiple of it on, can be kept in them and mapped.
const HugePage = 2 << 20

// Buffer is memory that is grown once and used again and again. The zero value is
// ready for use. Its memory is the system's: Free must follow.
type Buffer struct{ bytes []byte }

// Grow returns the first n bytes, aligned to a page, whose content is undefined.
// What it returned before is gone.
func (b *Buffer) Grow(n int) []byte {
	if len(b.bytes) < n {
		b.Free()
		b.bytes = allocate(n + n/4)
	}
	return b.bytes[:n]
}

// Floats returns the first n float32, as Grow does.
func (b *Buffer) Floats(n int) []float32 {
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b.Grow(4*n)))), n)
}

// allocate returns n bytes that need not be zero. It panics if the system has
// none, as make would.
func allocate(n int) []byte {
	memory, err := Reserve(n)
	if err != nil {
		panic("ctranslate2: " + err.Error())
	}
	return memory
}

// Shrink gives what b holds back to the system. What is used again comes back
// page by page.
func (b *Buffer) Shrink() {
	if b.bytes != nil {
		Decommit(b.bytes)
	}
}

// Free ends the use of b's memory. b itself is as new.
func (b *Buffer) Free() {
	if b.bytes != nil {
		_ = Release(b.bytes)
	}
	*b = Buffer{}
}
