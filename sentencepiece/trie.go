package sentencepiece

// noNode is what a step in a trie gives when nothing continues that way.
const noNode = -1

// trie maps byte strings to non-negative IDs. It is a double array (Aoe, 1989):
// the child of node n along label c lies at units[n].base ^ c, if the check
// there names n. Bases are in range by construction, so a step needs no test
// of its own. The root is node 0.
type trie struct {
	units []trieUnit
}

type trieUnit struct {
	base  int32 // combined with a label gives a child
	check int32 // the parent, or slotFree or slotRoot
	value int32 // the ID of the key that ends here, or -1
}

const (
	slotFree = -1
	slotRoot = -2

	// trieBlock is the number of labels; a base and its children share a block.
	trieBlock = 256
	// maxPlacements bounds the search for room among the free slots.
	maxPlacements = 64
)

// child steps from node along label; noNode if no key goes there.
func (t *trie) child(node int32, label byte) int32 {
	next := t.units[node].base ^ int32(label)
	if t.units[next].check != node {
		return noNode
	}
	return next
}

// walk follows text from node, noNode if it leaves the trie.
func walk[T string | []byte](t *trie, node int32, text T) int32 {
	for i := 0; i < len(text) && node != noNode; i++ {
		node = t.child(node, text[i])
	}
	return node
}

// lookup returns the ID of the key that equals text, or -1.
func lookup[T string | []byte](t *trie, text T) int32 {
	node := walk(t, 0, text)
	if node == noNode {
		return -1
	}
	return t.units[node].value
}

// longestPrefix returns the length of the longest key that text starts with,
// 0 if there is none.
func longestPrefix[T string | []byte](t *trie, text T) int {
	longest := 0
	node := int32(0)
	for i := 0; i < len(text); i++ {
		if node = t.child(node, text[i]); node == noNode {
			break
		}
		if t.units[node].value >= 0 {
			longest = i + 1
		}
	}
	return longest
}

// trieBuilder places nodes depth first. The free slots form a circular list
// through next and prev, so that the densest fit is found first.
type trieBuilder struct {
	trie
	keys       []string // sorted and distinct
	ids        []int32  // parallel to keys
	next, prev []int32  // neighbours of a free slot in the list
	free       int32    // first slot of the list, or -1
}

// newTrie builds a trie of keys, which are sorted, distinct and not empty.
func newTrie(keys []string, ids []int32) *trie {
	b := &trieBuilder{keys: keys, ids: ids, free: -1}
	b.grow()
	b.take(0, slotRoot)
	b.build(0, 0, len(keys), 0)
	return &b.trie
}

// build adds the keys lo to hi, which share their first depth bytes and lead to
// node.
func (b *trieBuilder) build(node int32, lo, hi, depth int) {
	if lo < hi && len(b.keys[lo]) == depth {
		b.units[node].value = b.ids[lo]
		lo++
	}
	if lo == hi {
		return
	}
	labels := make([]byte, 0, 8)
	for i := lo; i < hi; i++ {
		if c := b.keys[i][depth]; len(labels) == 0 || labels[len(labels)-1] != c {
			labels = append(labels, c)
		}
	}
	base := b.place(labels)
	b.units[node].base = base
	for _, c := range labels {
		b.take(base^int32(c), node)
	}
	for _, c := range labels {
		end := lo
		for end < hi && b.keys[end][depth] == c {
			end++
		}
		b.build(base^int32(c), lo, end, depth+1)
		lo = end
	}
}

// place finds a base with room for labels.
func (b *trieBuilder) place(labels []byte) int32 {
	slot := b.free
	for try := 0; slot >= 0 && try < maxPlacements; try++ {
		base := slot ^ int32(labels[0])
		if b.fits(base, labels[1:]) {
			return base
		}
		if slot = b.next[slot]; slot == b.free {
			break
		}
	}
	base := int32(len(b.units))
	b.grow()
	return base
}

func (b *trieBuilder) fits(base int32, labels []byte) bool {
	for _, c := range labels {
		if b.units[base^int32(c)].check != slotFree {
			return false
		}
	}
	return true
}

// grow adds a block of free slots, first in the list: a block with much room is
// the best place for the nodes that follow.
func (b *trieBuilder) grow() {
	first := int32(len(b.units))
	last := first + trieBlock - 1
	for slot := first; slot <= last; slot++ {
		b.units = append(b.units, trieUnit{check: slotFree, value: -1})
		b.next = append(b.next, slot+1)
		b.prev = append(b.prev, slot-1)
	}
	b.next[last], b.prev[first] = first, last
	if b.free >= 0 {
		tail := b.prev[b.free]
		b.next[last], b.prev[b.free] = b.free, last
		b.next[tail], b.prev[first] = first, tail
	}
	b.free = first
}

// take gives a free slot to a child of parent.
func (b *trieBuilder) take(slot, parent int32) {
	b.units[slot].check = parent
	next, prev := b.next[slot], b.prev[slot]
	if next == slot {
		b.free = -1
		return
	}
	b.next[prev], b.prev[next] = next, prev
	if b.free == slot {
		b.free = next
	}
}
