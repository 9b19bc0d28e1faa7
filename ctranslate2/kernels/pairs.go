package kernels

// Products of pairs: with x and h in two halves each, x·h = Σ (x₁+h₂)·(x₂+h₁) - Σ x₁·x₂
// - Σ h₁·h₂, which is half as many multiplications; the last sums are of one row
// and of one column (Winograd, "A new algorithm for inner product", 1968). Levels
// of four bits leave room for the additions in bytes. Processors that add in more
// places than they multiply in are kept busy in all of them where one half of the
// products is of pairs and the other is not.

const (
	// pairRows is the least number of rows for which multiplications, not memory,
	// take the time.
	pairRows = 5
	// pairMost is the largest activation that, with a level added, is a signed byte.
	pairMost = 112
	// pairSpill bounds what a row's larger activations may be over it in all: their
	// products are bounded by the largest level, so that more are set aside.
	pairSpill = 128
)

// pairable reports whether the products of all rows may be of pairs.
func (t *screenTask) pairable() bool {
	if !active.s8.coarse.pairsPay || t.a.Rows < pairRows {
		return false
	}
	for r := range t.a.Rows {
		if spill(t.signed[r*t.lds:][:t.c.depth]) > pairSpill {
			return false
		}
	}
	return true
}

// spill is how much is cut off activations by pairMost.
func spill(a []int8) int {
	sum := 0
	for _, x := range a {
		sum += max(int(x)-pairMost, 0)
	}
	return sum
}

// pairRow prepares row r for products of pairs: the first of every four groups of
// four becomes unsigned, and makes pairs with the second. What is cut off counts
// in the row's bounds, with the largest level.
func (t *screenTask) pairRow(r int) {
	a := t.signed[r*t.lds:][:t.c.depth]
	t.rows[r].shift -= float32(15 * spill(a))
	sum := 0
	for k := range a {
		a[k] = min(a[k], pairMost)
	}
	for k := 0; k < len(a); k += 16 {
		for i := k; i < k+4; i++ {
			x, y := int(a[i])+128, int(a[i+4])
			sum += x * y
			a[i] = int8(x)
		}
	}
	t.sums = append(t.sums, int32(sum))
}
