package kernels

import (
	"cmp"
	"math"
	"slices"
	"sync/atomic"
)

// Bounds on the roundings of a product and of its estimate, relative and
// absolute: several times what float32 loses.
const (
	screenSlack = 2e-6
	screenLeast = 1e-25
)

// screenRow is what the bounds of a row of activations need.
type screenRow struct {
	shift   float32 // 7.5·Σ a, which levels are off by
	inverse float32 // 1/scale
	reach   float32 // ‖a‖·inverse, rounded up
}

// screenTask finds the columns with the largest products.
type screenTask struct {
	e      *Executor
	a      *QuantizedRows
	c      *CoarseS8
	bias   []float32
	skip   [][]int32
	signed []int8 // [Rows][lds]
	lds    int    // not all rows in the same sets of the cache
	rows   []screenRow
	lower  []float32 // [thread][Rows] what the largest product is at least
	upper  []float32 // [Rows][blocks·16] what every 16th column of a block is at most
	picked [][]int32 // [thread] bounds that the largest product may have
	best   []Candidate
	failed atomic.Bool
	next   atomic.Int64
	memory []byte
}

// screenChunk is how many columns a thread takes at a time. Of each screenBlock
// of them every 16th shares a bound.
const (
	screenChunk = 2048
	screenBlock = 128
)

// bounds is how many bounds the columns of a row have.
func (t *screenTask) bounds() int { return (t.c.w.N + screenBlock - 1) / screenBlock * 16 }

// ArgMaxS8 finds, for each row of a, the largest of a·wᵀ + bias and its
// first column, passing over NaN and over the sorted columns in skip. It reads
// the coarse weights, and the weights of those columns that may be the largest:
// the results are those of LinearS8. It reports false, and best means nothing,
// where too many may be for this to pay, or the numbers are beyond its bounds.
func (e *Executor) ArgMaxS8(best []Candidate, a *QuantizedRows, c *CoarseS8, bias []float32, skip [][]int32) bool {
	t := &e.screen
	t.e, t.a, t.c, t.bias, t.skip, t.best = e, a, c, bias, skip, best
	defer func() { t.a, t.c, t.bias, t.skip, t.best = nil, nil, nil, nil, nil }()
	if !t.prepare() {
		return false
	}
	e.Parallel(e.threads, t)
	t.failed.Store(false)
	e.Parallel(a.Rows, (*settleTask)(t))
	return !t.failed.Load()
}

// prepare makes signed rows and what their bounds need. It reports false if
// their numbers are out of the range that the bounds are good for.
func (t *screenTask) prepare() bool {
	m, k := t.a.Rows, t.a.K
	t.lds = t.c.depth + 64
	t.signed = int8s(grow(&t.memory, m*t.lds))
	t.rows = slices.Grow(t.rows[:0], m)[:m]
	for r := range m {
		inverse := t.a.InvScale[r]
		if !(inverse > 1e-15 && inverse < 1e15) {
			return false
		}
		sum, squares := 0, 0
		signed := t.signed[r*t.lds:][:t.lds]
		clear(signed[k:])
		for i, v := range t.a.Data[r*t.a.Stride:][:k] {
			x := int(v) - 128
			signed[i] = int8(x)
			sum += x
			squares += x * x
		}
		t.rows[r] = screenRow{7.5 * float32(sum), inverse, float32(math.Sqrt(float64(squares)) * float64(inverse) * (1 + 1e-6))}
	}
	for _, b := range t.bias {
		if !(math.Abs(float64(b)) < 1e15) {
			return false
		}
	}
	t.lower = slices.Grow(t.lower[:0], m*t.e.threads)[:m*t.e.threads]
	for i := range t.lower {
		t.lower[i] = float32(math.Inf(-1))
	}
	t.upper = slices.Grow(t.upper[:0], m*t.bounds())[:m*t.bounds()]
	for len(t.picked) < t.e.threads {
		t.picked = append(t.picked, nil)
	}
	t.next.Store(0)
	return true
}

// Do screens chunks until none is left.
func (t *screenTask) Do(thread, _ int) {
	n := t.c.w.N
	for {
		n0 := int(t.next.Add(screenChunk)) - screenChunk
		if n0 >= n {
			return
		}
		t.chunk(thread, n0, min(n0+screenChunk, n))
	}
}

// chunk screens columns n0..n1 for every row.
func (t *screenTask) chunk(thread, n0, n1 int) {
	m := t.a.Rows
	const ldc = screenChunk + 16
	dots := int32s(t.e.Scratch(thread, 4*m*ldc))
	for n := n0; n < n1; n += coarseColumns {
		active.s8.coarse.dots(dots[n-n0:], ldc, t.signed, t.lds, m, t.c.panel(n/coarseColumns), t.c.depth)
	}
	for r := range m {
		t.bound(thread, r, n0, dots[r*ldc:][:n1-n0])
	}
}

// leftOut is a product of levels far below what there can be.
const leftOut = math.MinInt32

// bound turns the products of levels of row r, columns n0.., into bounds.
func (t *screenTask) bound(thread, r, n0 int, dots []int32) {
	n1 := n0 + len(dots)
	if t.skip != nil {
		i, _ := slices.BinarySearch(t.skip[r], int32(n0))
		for ; i < len(t.skip[r]) && int(t.skip[r][i]) < n1; i++ {
			dots[int(t.skip[r][i])-n0] = leftOut
		}
	}
	var bias []float32
	if t.bias != nil {
		bias = t.bias[n0:n1]
	}
	lower := active.s8.coarse.bounds(t.upper[r*t.bounds()+n0/screenBlock*16:], dots, t.c.factor[n0:n1], t.c.radius[n0:n1], bias, &t.rows[r])
	t.lower[thread*t.a.Rows+r] = max(t.lower[thread*t.a.Rows+r], lower)
}

// settleTask settles rows once all columns are screened.
type settleTask screenTask

func (t *settleTask) Do(thread, r int) {
	if !t.failed.Load() && !(*screenTask)(t).settle(thread, r, &t.best[r]) {
		t.failed.Store(true)
	}
}

// settle computes the columns of row r that may be the largest, and passes over
// those that can't be larger than the best so far: the likeliest one comes first
// and leaves few others.
func (t *screenTask) settle(thread, r int, best *Candidate) bool {
	lower := float32(math.Inf(-1))
	for i := range t.e.threads {
		lower = max(lower, t.lower[i*t.a.Rows+r])
	}
	upper := t.upper[r*t.bounds() : (r+1)*t.bounds()]
	likeliest, _ := ArgMax(upper)
	if likeliest < 0 {
		return false
	}
	*best = Candidate{Index: -1, Score: float32(math.Inf(-1))}
	t.share(r, likeliest, best)
	picked, ok := pick(t.picked[thread][:0], upper, max(lower, best.Score))
	t.picked[thread] = picked
	for _, i := range picked {
		if !ok || upper[i] < best.Score {
			break
		}
		if int(i) != likeliest {
			t.share(r, int(i), best)
		}
	}
	return ok && best.Index >= 0 && best.Score >= lower
}

// maxPicked is how many bounds of a row are worth a second look.
const maxPicked = 256

// pick lists the bounds that reach a threshold, the largest first, and reports
// false if they are too many.
func pick(picked []int32, upper []float32, threshold float32) ([]int32, bool) {
	below := math.Nextafter32(threshold, float32(math.Inf(-1)))
	for i := 0; ; i++ {
		if i = active.f32.above(upper, i, below); i == len(upper) {
			break
		}
		if len(picked) == maxPicked {
			return picked, false
		}
		picked = append(picked, int32(i))
	}
	slices.SortFunc(picked, func(a, b int32) int { return cmp.Compare(upper[b], upper[a]) })
	return picked, true
}

// share computes the columns that share bound i of row r.
func (t *screenTask) share(r, i int, best *Candidate) {
	first := i/16*screenBlock + i%16
	for n := first; n < min(first+screenBlock, t.c.w.N); n += 16 {
		if t.skip != nil {
			if _, skip := slices.BinarySearch(t.skip[r], int32(n)); skip {
				continue
			}
		}
		if y := t.e.DotS8(t.a, r, t.c.w, n, t.bias); y > best.Score || y == best.Score && int32(n) < best.Index {
			*best = Candidate{int32(n), y}
		}
	}
}
