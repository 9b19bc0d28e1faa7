package ctranslate2

import (
	"testing"

	"github.com/sematech/sema/ctranslate2/memory"
)

// TestArenaAfterTrim takes pages, trims the arena to some huge pages and takes
// them again: each must be another page, within the arena and writable, and what
// was kept must be what is given first.
func TestArenaAfterTrim(t *testing.T) {
	layout := kvLayout{layers: 3, heads: 5, dHead: 24} // pages that straddle huge ones
	a, err := newKVArena(layout, 9*memory.HugePage)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if !a.promise(a.pages) || a.promise(1) {
		t.Fatal("an arena must promise its pages, and no more")
	}
	take := func(kept int) []int32 {
		t.Helper()
		seen := make([]bool, a.pages)
		var pages []int32
		for i := range a.pages {
			p := a.page()
			if p < 0 || int(p) >= a.pages || seen[p] {
				t.Fatalf("page %d of %d is given again, or does not exist", p, a.pages)
			}
			if inKept := (int(p)+1)*4*a.pageFloats() <= kept; i < kept/(4*a.pageFloats()) && !inKept {
				t.Fatalf("page %d is given before those that were kept", p)
			}
			seen[p] = true
			first := int(p) * a.pageFloats()
			a.floats[first], a.floats[first+a.pageFloats()-1] = float32(p), float32(p)
			pages = append(pages, p)
		}
		for _, p := range pages {
			if first := int(p) * a.pageFloats(); a.floats[first] != float32(p) || a.floats[first+a.pageFloats()-1] != float32(p) {
				t.Fatalf("page %d overlaps another", p)
			}
		}
		return pages
	}
	a.release(take(0))
	for _, kept := range []int{20 * memory.HugePage, 9 * memory.HugePage, 4 * memory.HugePage, memory.HugePage, 0} {
		a.trim(kept)
		a.release(take(min(kept, len(a.memory))))
	}
}
