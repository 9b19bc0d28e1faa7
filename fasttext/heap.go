package fasttext

// ranked is a label with its log probability.
type ranked struct {
	score float32
	label int32
}

// ranking is a heap with the worst on top. Among equal scores the order of the
// reference's heap decides who stays and who comes first, so its sifting is
// that of the C++ standard library of GNU: down to a leaf, then up.
type ranking []ranked

func (h ranking) full(k int) bool { return len(h) == k }

// push adds r and drops the worst of more than k.
func (h *ranking) push(r ranked, k int) {
	*h = append(*h, r)
	h.up(len(*h)-1, 0, r)
	if len(*h) > k {
		h.pop(len(*h))
		*h = (*h)[:len(*h)-1]
	}
}

// up moves r from hole towards top.
func (h ranking) up(hole, top int, r ranked) {
	for hole > top {
		parent := (hole - 1) / 2
		if !(h[parent].score > r.score) {
			break
		}
		h[hole] = h[parent]
		hole = parent
	}
	h[hole] = r
}

// pop moves the top of the first n to their end.
func (h ranking) pop(n int) {
	if n < 2 {
		return
	}
	r := h[n-1]
	h[n-1] = h[0]
	n--
	hole, child := 0, 0
	for child < (n-1)/2 {
		child = 2 * (child + 1)
		if h[child].score > h[child-1].score {
			child--
		}
		h[hole] = h[child]
		hole = child
	}
	if n&1 == 0 && child == (n-2)/2 {
		child = 2 * (child + 1)
		h[hole] = h[child-1]
		hole = child - 1
	}
	h.up(hole, 0, r)
}

// sort leaves the best first.
func (h ranking) sort() {
	for n := len(h); n > 1; n-- {
		h.pop(n)
	}
}
