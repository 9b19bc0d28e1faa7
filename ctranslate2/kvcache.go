package ctranslate2

import (
	"fmt"
	"sync"
)

// pageSlots is how many positions one page of the cache holds.
const pageSlots = 8

// kvLayout says where a key or a value lies within a page: a page holds, for
// pageSlots positions, [layer][key, value][head][slot][dHead] floats.
type kvLayout struct{ layers, heads, dHead int }

func (l kvLayout) pageFloats() int { return l.layers * 2 * l.heads * pageSlots * l.dHead }

// base returns the offset, within a page, of slot 0 of a head's keys
// (which = 0) or values (which = 1).
func (l kvLayout) base(layer, which, head int) int {
	return ((layer*2+which)*l.heads + head) * pageSlots * l.dHead
}

// kvArena is the memory of all keys and values of a translator: pages out of
// one reservation, which the system commits when they are first written.
// Its size bounds the memory of all requests together.
type kvArena struct {
	kvLayout
	memory []byte
	floats []float32

	mu       sync.Mutex
	free     []int32 // page numbers, used last first
	pages    int     // of the reservation
	fresh    int     // pages from here on were never used
	reserved int     // pages promised to admitted sequences
}

// newKVArena reserves an arena of about budget bytes, and at least one page.
func newKVArena(l kvLayout, budget int) (*kvArena, error) {
	page := 4 * l.pageFloats()
	pages := max(1, min(budget/page, (1<<31-1)/l.pageFloats())) // offsets are int32
	memory, err := reserve(pages * page)
	if err != nil {
		return nil, fmt.Errorf("ctranslate2: reserve %d bytes for keys and values: %w", pages*page, err)
	}
	adviseHuge(memory)
	return &kvArena{kvLayout: l, memory: memory, floats: view[float32](memory), pages: pages}, nil
}

func (a *kvArena) close() error { return unreserve(a.memory) }

// promise sets n pages aside. It reports false if they are not there now.
func (a *kvArena) promise(n int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.reserved+n > a.pages {
		return false
	}
	a.reserved += n
	return true
}

func (a *kvArena) unpromise(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.reserved -= n
}

// page takes a page. The caller holds a promise for it.
func (a *kvArena) page() int32 {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.free); n > 0 {
		p := a.free[n-1]
		a.free = a.free[:n-1]
		return p
	}
	a.fresh++
	return int32(a.fresh - 1)
}

func (a *kvArena) release(pages []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free = append(a.free, pages...)
}

// trim gives the memory of all pages back to the system. It is called when no
// sequence runs.
func (a *kvArena) trim() {
	a.mu.Lock()
	defer a.mu.Unlock()
	decommit(a.memory[:a.fresh*4*a.pageFloats()])
	a.free, a.fresh = a.free[:0], 0
}

// storeTask writes the keys and values kv [len(slots)][ld], of which 2·heads·dHead
// are used, of a layer to their slots, in blocks of storeRows.
type storeTask struct {
	arena *kvArena
	layer int
	kv    []float32
	ld    int
	slots []int32
}

const storeRows = 8

// Do writes block i.
func (t *storeTask) Do(_, i int) {
	a := t.arena
	for r := i * storeRows; r < min((i+1)*storeRows, len(t.slots)); r++ {
		kv, at := t.kv[r*t.ld:], int(t.slots[r])+a.base(t.layer, 0, 0)
		for h := range 2 * a.heads {
			copy(a.floats[at+h*pageSlots*a.dHead:][:a.dHead], kv[h*a.dHead:(h+1)*a.dHead])
		}
	}
}

// store writes the keys and values kv of a layer, ld apart, to w.slots.
func (w *decoderWorkspace) store(layer int, kv []float32, ld int) {
	w.storing = storeTask{w.arena, layer, kv, ld, w.slots}
	w.exec.Parallel((len(w.slots)+storeRows-1)/storeRows, &w.storing)
}

// kvSlots is a growing row of slots of an arena.
type kvSlots struct {
	arena *kvArena
	pages []int32
	used  int
}

// next returns the offset in the arena of a new slot. Adding base of a layer
// and head gives the place of its key or value.
func (s *kvSlots) next() int32 {
	if s.used == len(s.pages)*pageSlots {
		s.pages = append(s.pages, s.arena.page())
	}
	page, slot := s.pages[s.used/pageSlots], s.used%pageSlots
	s.used++
	return page*int32(s.arena.pageFloats()) + int32(slot*s.arena.dHead)
}

func (s *kvSlots) release() {
	s.arena.release(s.pages)
	s.pages, s.used = nil, 0
}

// pagesFor returns how many pages n slots take.
func pagesFor(n int) int { return (n + pageSlots - 1) / pageSlots }
