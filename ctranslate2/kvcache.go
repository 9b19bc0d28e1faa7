package ctranslate2

import (
	"fmt"
	"sync"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// pageSlots is how many positions one page of the cache holds: the more, the less
// often reading goes to another place, and the more of the last page is left over.
const pageSlots = 2

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
	reservation []byte
	memory      []byte // of the pages, from the start of a huge page on
	floats      []float32

	mu       sync.Mutex
	free     []int32 // page numbers, used last first
	pages    int     // of the reservation
	fresh    int     // pages from here on were never used
	advised  int     // bytes of memory that advice was given for
	reserved int     // pages promised to admitted sequences
}

// newKVArena reserves an arena of about budget bytes, and at least one page.
func newKVArena(l kvLayout, budget int) (*kvArena, error) {
	page := 4 * l.pageFloats()
	pages := max(1, min(budget/page, (1<<31-1)/l.pageFloats())) // offsets are int32
	all, err := memory.Reserve(pages*page + memory.HugePage)
	if err != nil {
		return nil, fmt.Errorf("ctranslate2: reserve %d bytes for keys and values: %w", pages*page, err)
	}
	aligned := all[-uintptr(unsafe.Pointer(unsafe.SliceData(all)))%memory.HugePage:][:pages*page]
	return &kvArena{kvLayout: l, reservation: all, memory: aligned, floats: view[float32](aligned), pages: pages}, nil
}

func (a *kvArena) close() error { return memory.Release(a.reservation) }

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
	a.advise()
	return int32(a.fresh - 1)
}

// advise asks for huge pages for what the fresh pages reach into. All pages that
// were used before are in use. Where those that are promised don't fill a huge
// page, small ones are asked for: a sequence costs what it uses.
func (a *kvArena) advise() {
	page := 4 * a.pageFloats()
	for ; a.advised < a.fresh*page; a.advised += memory.HugePage {
		memory.AdviseHuge(a.memory[a.advised:min(a.advised+memory.HugePage, len(a.memory))], a.advised+memory.HugePage <= a.reserved*page)
	}
}

func (a *kvArena) release(pages []int32) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.free = append(a.free, pages...)
}

// trim gives the memory of pages that were used, but for the first bytes, some
// huge pages, back to the system. It is called when no page is in use.
func (a *kvArena) trim(kept int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	page := 4 * a.pageFloats()
	if a.advised <= kept {
		return
	}
	memory.Decommit(a.memory[kept:min(a.advised, len(a.memory))])
	a.free, a.fresh, a.advised = a.free[:0], kept/page, kept
	for p := a.fresh - 1; p >= 0; p-- {
		a.free = append(a.free, int32(p))
	}
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

// storeAhead is how many heads further on memory is fetched while one is written.
const storeAhead = 8

// Do writes block i. Its slots were not used for long: they are fetched before they are
// written, since writes wait for memory one after the other.
func (t *storeTask) Do(_, i int) {
	heads := 2 * t.arena.heads
	from, to := i*storeRows*heads, min((i+1)*storeRows, len(t.slots))*heads
	for j := from - storeAhead; j < to; j++ {
		if next := j + storeAhead; next < to {
			kernels.Fetch(t.place(next/heads, next%heads))
		}
		if j >= from {
			copy(t.place(j/heads, j%heads), t.kv[j/heads*t.ld+j%heads*t.arena.dHead:])
		}
	}
}

// place is where the key of a head of row r lies, or if h counts on its value.
func (t *storeTask) place(r, h int) []float32 {
	a := t.arena
	return a.floats[int(t.slots[r])+a.base(t.layer, 0, h):][:a.dHead]
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
