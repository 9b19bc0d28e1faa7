package sentencepiece

import (
	"math"
	"slices"
)

const (
	// unknownPenalty is how far below the worst piece an unknown character scores.
	unknownPenalty = 10
	// maxPathScore is where path scores are moved back to zero, lest they lose
	// the precision that tells pieces apart in a long text.
	maxPathScore = 100_000
)

// unigram finds the segmentation with the highest sum of piece scores (Kudo,
// 2018) by a Viterbi search over the byte positions of the text. All sums are
// in float32 and in the reference's order, so that near ties fall the same way.
type unigram struct {
	vocabulary   *vocabulary
	scores       []float32 // by ID; NaN for an unused piece
	unknownScore float32
}

// pathNode is the best path that ends at a position of the text.
type pathNode struct {
	score float32
	id    int32 // of the last piece
	start int32 // where the last piece starts, -1 if no path is known
}

func newUnigram(v *vocabulary) *unigram {
	u := &unigram{vocabulary: v, scores: make([]float32, len(v.pieces))}
	lowest := float32(math.MaxFloat32)
	for id, p := range v.pieces {
		u.scores[id] = p.score
		switch p.kind {
		case kindNormal:
			lowest = min(lowest, p.score)
		case kindUserDefined:
			u.scores[id] = float32(0.1 * float64(len(p.text)-1))
		case kindUnused:
			u.scores[id] = float32(math.NaN())
		}
	}
	u.unknownScore = lowest - unknownPenalty
	return u
}

func (u *unigram) segment(text []byte, s *scratch) {
	nodes := slices.Grow(s.lattice[:0], len(text)+1)[:len(text)+1]
	s.lattice = nodes
	for i := range nodes {
		nodes[i] = pathNode{start: -1}
	}
	frontier := 0 // the furthest end of any path
	for start := 0; start < len(text); {
		if score := nodes[start].score; score < -maxPathScore || score > maxPathScore {
			rebase(nodes[start:frontier+1], score)
		}
		width := charLen(text[start:])
		frontier = max(frontier, u.extend(text, nodes, start, width))
		start += width
	}
	appendPath(nodes, s)
}

// extend offers every piece that starts at start to the paths where it ends,
// an unknown character of width bytes if no piece covers just that. It returns
// the furthest end.
func (u *unigram) extend(text []byte, nodes []pathNode, start, width int) int {
	trie := u.vocabulary.matchable
	base := nodes[start].score
	furthest, single := start, false
	node := int32(0)
	for end := start; end < len(text); {
		if node = trie.child(node, text[end]); node == noNode {
			break
		}
		end++
		id := trie.units[node].value
		if id < 0 || u.scores[id] != u.scores[id] {
			continue
		}
		nodes[end].offer(u.scores[id]+base, id, start)
		furthest = end
		single = single || end == start+width
	}
	if !single {
		nodes[start+width].offer(u.unknownScore+base, unknownID, start)
		furthest = max(furthest, start+width)
	}
	return furthest
}

// offer keeps the better path; the one found first if they are equal.
func (n *pathNode) offer(score float32, id int32, start int) {
	if n.start < 0 || score > n.score {
		*n = pathNode{score: score, id: id, start: int32(start)}
	}
}

// rebase subtracts offset from the score of the first node and of all others
// that a path has reached.
func rebase(nodes []pathNode, offset float32) {
	for i := range nodes {
		if i == 0 || nodes[i].start >= 0 {
			nodes[i].score -= offset
		}
	}
}

// appendPath writes the best path through the whole text to s.spans.
func appendPath(nodes []pathNode, s *scratch) {
	first := len(s.spans)
	for end := int32(len(nodes) - 1); end > 0; end = nodes[end].start {
		s.spans = append(s.spans, span{end: int(end), id: nodes[end].id})
	}
	slices.Reverse(s.spans[first:])
}
