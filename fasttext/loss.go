package fasttext

import "math"

// The losses, numbered as they are stored.
const (
	lossHS      = 1 // hierarchical softmax
	lossNS      = 2 // negative sampling
	lossSoftmax = 3
	lossOVA     = 4 // one versus all

	supervised = 3 // the model that classifies
)

// node is a node of the Huffman tree of hierarchical softmax: leaves are labels.
type node struct {
	left, right int32 // -1 for a leaf
	count       int64
}

// huffman builds the tree from label counts, which fall in the file's order.
func huffman(counts []int64) []node {
	n := len(counts)
	tree := make([]node, 2*n-1)
	for i := range tree {
		tree[i] = node{-1, -1, 1e15}
	}
	for i, c := range counts {
		tree[i].count = c
	}
	leaf, inner := n-1, n
	next := func(limit int) int32 {
		if leaf >= 0 && (inner >= limit || tree[leaf].count < tree[inner].count) {
			leaf--
			return int32(leaf + 1)
		}
		inner++
		return int32(inner - 1)
	}
	for i := n; i < len(tree); i++ {
		tree[i].left = next(i)
		tree[i].right = next(i)
		tree[i].count = tree[tree[i].left].count + tree[tree[i].right].count
	}
	return tree
}

// sigmoids is the reference's table of σ in [-8, 8].
var sigmoids = func() (t [513]float32) {
	for i := range t {
		x := float32(i*2*8)/512 - 8
		t[i] = float32(1 / (1 + float64(float32(math.Exp(float64(-x))))))
	}
	return t
}()

func sigmoid(x float32) float32 {
	switch {
	case x < -8:
		return 0
	case x > 8:
		return 1
	case x != x:
		return 0
	}
	return sigmoids[int((x+8)*512/8/2)]
}

// logOf is the reference's log, which never sees 0.
func logOf(x float32) float32 { return float32(math.Log(float64(x) + 1e-5)) }

// search finds the best labels of a hidden vector.
type search struct {
	m *Model
	s *scratch
	k int
}

// tree searches the Huffman tree depth first, with a stack of its own: a tree
// may be as deep as there are labels.
func (f search) tree(threshold float32) {
	n := len(f.m.counts)
	limit := logOf(threshold)
	stack := append(f.s.stack[:0], visit{int32(len(f.m.tree) - 1), 0})
	for len(stack) > 0 {
		v := stack[len(stack)-1]
		stack = stack[:len(stack)-1]
		if v.score < limit || f.s.best.full(f.k) && v.score < f.s.best[0].score {
			continue
		}
		t := &f.m.tree[v.node]
		if t.left < 0 {
			f.s.best.push(ranked{v.score, v.node}, f.k)
			continue
		}
		x := f.m.output.dot(f.s.hidden, int(v.node)-n)
		x = float32(1. / float64(1+float32(math.Exp(float64(-x)))))
		stack = append(stack, visit{t.right, v.score + logOf(x)}, visit{t.left, v.score + logOf(float32(1.0-float64(x)))})
	}
	f.s.stack = stack
}

// visit is a node of the tree with the log probability of the way to it.
type visit struct {
	node  int32
	score float32
}

// flat scores all labels.
func (f search) flat(threshold float32) {
	scores := f.s.scores[:0]
	for i := range f.m.counts {
		scores = append(scores, f.m.output.dot(f.s.hidden, i))
	}
	f.s.scores = scores
	if f.m.loss == lossSoftmax {
		softmax(scores)
	} else {
		for i, x := range scores {
			scores[i] = sigmoid(x)
		}
	}
	for i, v := range scores {
		if v < threshold {
			continue
		}
		if s := logOf(v); !f.s.best.full(f.k) || s >= f.s.best[0].score {
			f.s.best.push(ranked{s, int32(i)}, f.k)
		}
	}
}

func softmax(x []float32) {
	top := x[0]
	for _, v := range x {
		top = max(top, v)
	}
	var sum float32
	for i, v := range x {
		x[i] = float32(math.Exp(float64(v - top)))
		sum += x[i]
	}
	for i := range x {
		x[i] /= sum
	}
}
