package sentencepiece

import (
	"bytes"
	"math"
	"strings"
)

// maxSplitDepth bounds how often an unused piece is split again, as in the
// reference.
const maxSplitDepth = 100

// bpe merges, again and again, the adjacent pair of symbols that makes the
// piece with the highest score, the leftmost among equals (Sennrich et al.,
// 2016). A symbol remembers its node in the trie of pieces, so looking up a
// pair is a walk over the bytes of the right one only.
type bpe struct {
	vocabulary *vocabulary
	ranks      []uint32 // by ID, ascending as scores descend
	hasUnused  bool
	// No merge crosses from other text into a space, or out of one: there a
	// text can be cut and its parts merged by themselves.
	cutBefore, cutAfter bool
}

// symbol is a node of the doubly linked list of what is left to merge. Links
// are indexes into scratch.symbols, -1 at the ends.
type symbol struct {
	start, size int32 // in bytes of the text; size 0 once merged into the left one
	prev, next  int32
	node        int32 // where its bytes lead in the trie of pieces, or noNode
	frozen      bool  // a user-defined symbol, never merged
}

// merge is a candidate: the symbol left with the one after it. It is stale when
// the two no longer have size bytes together.
type merge struct {
	priority uint64 // rank<<32 | left: smaller goes first
	node     int32  // of the merged symbol
	size     int32
}

func (m merge) left() int32 { return int32(uint32(m.priority)) }

func newBPE(v *vocabulary) *bpe {
	b := &bpe{vocabulary: v, ranks: make([]uint32, len(v.pieces)), hasUnused: v.has(kindUnused)}
	// Which split an unused piece gets depends on merges anywhere in the text.
	b.cutBefore, b.cutAfter = !b.hasUnused, !b.hasUnused
	for id, p := range v.pieces {
		b.ranks[id] = descendingRank(p.score)
		if p.kind == kindNormal {
			into, outOf := spaceTransitions(p.text)
			b.cutBefore = b.cutBefore && !into
			b.cutAfter = b.cutAfter && !outOf
		}
	}
	return b
}

// descendingRank maps scores to integers in the opposite order. Positive zero
// precedes negative zero.
func descendingRank(score float32) uint32 {
	bits := math.Float32bits(score)
	if bits>>31 == 1 {
		return bits
	}
	return ^(bits | 1<<31)
}

// spaceTransitions reports whether text passes from another character into a
// space, and out of one.
func spaceTransitions(text string) (into, outOf bool) {
	for i := range len(text) {
		if strings.HasPrefix(text[i:], space) {
			after := text[i+len(space):]
			into = into || i > 0 && !strings.HasSuffix(text[:i], space)
			outOf = outOf || after != "" && !strings.HasPrefix(after, space)
		}
	}
	return into, outOf
}

func (b *bpe) segment(text []byte, s *scratch) {
	s.symbols = s.symbols[:0]
	for start := 0; start < len(text); {
		if len(s.symbols) > 0 && b.canCut(text, start) {
			b.mergeSymbols(text, s)
			s.symbols = s.symbols[:0]
		}
		size, frozen := b.vocabulary.symbolLen(text[start:])
		i := int32(len(s.symbols))
		s.symbols = append(s.symbols, symbol{
			start: int32(start), size: int32(size),
			prev: i - 1, next: i + 1,
			node:   walk(b.vocabulary.matchable, 0, text[start:start+size]),
			frozen: frozen,
		})
		start += size
	}
	b.mergeSymbols(text, s)
}

// canCut reports whether no piece covers the bytes on both sides of i.
func (b *bpe) canCut(text []byte, i int) bool {
	switch {
	case b.cutBefore && text[i] == space[0]:
		return bytes.HasPrefix(text[i:], []byte(space)) && !bytes.HasSuffix(text[:i], []byte(space))
	case b.cutAfter && text[i-1] == space[len(space)-1]:
		return bytes.HasSuffix(text[:i], []byte(space)) && !bytes.HasPrefix(text[i:], []byte(space))
	}
	return false
}

// mergeSymbols merges s.symbols, at least one, and appends the result to
// s.spans.
func (b *bpe) mergeSymbols(text []byte, s *scratch) {
	symbols := s.symbols
	symbols[len(symbols)-1].next = -1
	s.merges = s.merges[:0]
	for left := range int32(len(symbols) - 1) {
		b.propose(text, s, left, left+1)
	}
	for len(s.merges) > 0 {
		m := s.merges.pop()
		left := &symbols[m.left()]
		if left.size == 0 || left.next < 0 || left.size+symbols[left.next].size != m.size {
			continue
		}
		right := &symbols[left.next]
		left.size, left.node, left.next = m.size, m.node, right.next
		right.size = 0
		if right.next >= 0 {
			symbols[right.next].prev = m.left()
			b.propose(text, s, m.left(), right.next)
		}
		if left.prev >= 0 {
			b.propose(text, s, left.prev, m.left())
		}
	}
	for i := int32(0); i >= 0; i = symbols[i].next {
		b.emit(text, s, &symbols[i])
	}
	clear(s.splits)
}

// propose adds the candidate of two adjacent symbols if they make a piece.
func (b *bpe) propose(text []byte, s *scratch, left, right int32) {
	l, r := &s.symbols[left], &s.symbols[right]
	if l.frozen || r.frozen || l.node == noNode {
		return
	}
	trie := b.vocabulary.matchable
	node := walk(trie, l.node, text[r.start:r.start+r.size])
	if node == noNode {
		return
	}
	id := trie.units[node].value
	if id < 0 {
		return
	}
	s.merges.push(merge{
		priority: uint64(b.ranks[id])<<32 | uint64(left),
		node:     node,
		size:     l.size + r.size,
	})
	if b.hasUnused && b.vocabulary.pieces[id].kind == kindUnused {
		s.splits[id] = l.size
	}
}

func (b *bpe) emit(text []byte, s *scratch, sym *symbol) {
	id := int32(unknownID)
	if sym.node != noNode {
		id = b.vocabulary.matchable.units[sym.node].value
	}
	end := int(sym.start + sym.size)
	if b.hasUnused {
		b.split(text[:end], int(sym.start), id, 0, s)
		return
	}
	s.spans = append(s.spans, span{end: end, id: id})
}

// split emits the piece text[start:], or if it is unused the two pieces that it
// was last proposed from, and so on.
func (b *bpe) split(text []byte, start int, id int32, depth int, s *scratch) {
	if depth > maxSplitDepth || id < 0 || b.vocabulary.pieces[id].kind != kindUnused {
		s.spans = append(s.spans, span{end: len(text), id: id})
		return
	}
	size, found := s.splits[id]
	if !found {
		s.spans = append(s.spans, span{end: len(text), id: unknownID})
		return
	}
	middle := start + int(size)
	trie := b.vocabulary.matchable
	b.split(text[:middle], start, lookup(trie, text[start:middle]), depth+1, s)
	b.split(text, middle, lookup(trie, text[middle:]), depth+1, s)
}

// mergeQueue is a binary heap with the smallest priority first.
type mergeQueue []merge

func (q *mergeQueue) push(m merge) {
	h := append(*q, m)
	i := len(h) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h[parent].priority <= m.priority {
			break
		}
		h[i] = h[parent]
		i = parent
	}
	h[i] = m
	*q = h
}

func (q *mergeQueue) pop() merge {
	h := *q
	first, last := h[0], h[len(h)-1]
	h = h[:len(h)-1]
	i := 0
	for child := 1; child < len(h); child = 2*i + 1 {
		if child+1 < len(h) && h[child+1].priority < h[child].priority {
			child++
		}
		if last.priority <= h[child].priority {
			break
		}
		h[i] = h[child]
		i = child
	}
	if len(h) > 0 {
		h[i] = last
	}
	*q = h
	return first
}
