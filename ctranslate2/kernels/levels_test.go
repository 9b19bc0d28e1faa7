package kernels

import (
	"math/rand/v2"
	"testing"

	"github.com/sematech/sema/ctranslate2/memory"
)

// TestLevels holds products of levels to their definition.
func TestLevels(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		r := rand.New(rand.NewPCG(5, 9))
		e := NewExecutor(1)
		defer e.Close()
		for _, k := range []int{3, 64, 100, 128, 256, 768, 2048} {
			const n = 4*coarseColumns + 8 // of the longest rows more than one call takes
			c := forms["int8"](NewS8Weights(anyBytes(r, n*k), n, k, positive(r, n))).coarsen(e, nil, plain)
			for _, m := range []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 16, 17, 23, 24, 25, 32, 33, 43} {
				testLevels(t, r, c, m)
			}
		}
	})
}

// testLevels multiplies m rows by all panels but the first.
func testLevels(t *testing.T, r *rand.Rand, c *CoarseWeights, m int) {
	t.Helper()
	panels := coarsePanels(c.n)
	columns := (panels - 1) * coarseColumns
	lda, ldc := c.depth+64, columns+5
	a, dots := inGuarded(t, anyBytes(r, (m-1)*lda+c.depth)), inGuarded(t, make([]int32, (m-1)*ldc+columns))
	narrow := dots[:len(dots)-coarseColumns+1] // the room is what counts
	rows := active.s8.coarse.arrange(new(memory.Buffer), a, lda, m, c.depth)
	rows.data = inGuarded(t, rows.data)
	active.s8.coarse.dots(narrow, ldc, rows, c.panels(1, panels), c.depth)
	for i := range m {
		for j := range columns {
			panel := c.panel(1 + j/coarseColumns)
			if want := levelProduct(a[i*lda:][:c.depth], panel, j%coarseColumns); dots[i*ldc+j] != want {
				t.Fatalf("%d rows of %d: product %d, %d is %d, want %d", m, c.k, i, j, dots[i*ldc+j], want)
			}
		}
	}
}

// levelProduct is the product of a row and the levels of column j of a panel.
func levelProduct(a []int8, panel []byte, j int) int32 {
	sum := int32(0)
	for k, x := range a {
		level := panel[k/4*64+j%16*4+k%4]
		sum += int32(x) * int32(level>>(j/16*4)&15)
	}
	return sum
}

// TestPairs holds products of pairs to products of levels, which are the same but
// for what is cut off.
func TestPairs(t *testing.T) {
	withCoarse(t, func(t *testing.T) {
		kernels := active.s8.coarse
		if kernels.pairs == nil { // the tier has none
			return
		}
		r := rand.New(rand.NewPCG(4, 9))
		e := NewExecutor(1)
		defer e.Close()
		for _, k := range []int{1, 4, 5, 32, 391, 1024, coarseDepth} {
			c := forms["int8"](NewS8Weights(anyBytes(r, 40*k), 40, k, positive(r, 40))).coarsen(e, nil, plain)
			for m := 1; m <= 19; m++ {
				task := screenTask{c: c, lds: c.depth + 64, signed: anyBytes(r, m*(c.depth+64)), rows: make([]screenRow, m)}
				for i := range task.signed {
					task.signed[i] = min(task.signed[i], pairMost)
				}
				const ldc = coarseColumns + 5
				want, got := make([]int32, m*ldc), inGuarded(t, make([]int32, m*ldc))
				kernels.dots(want, ldc, kernels.arrange(&task.groups, task.signed, task.lds, m, c.depth), c.panel(1), c.depth)
				for i := range m {
					task.pairRow(i)
				}
				kernels.pairs(got, ldc, inGuarded(t, task.signed), task.lds, m, inGuarded(t, task.sums), c.panel(1), c.depth)
				for i := range want {
					if got[i] != want[i] {
						t.Fatalf("%d rows of %d: product %d is %d, want %d", m, k, i, got[i], want[i])
					}
				}
			}
		}
	})
}

// BenchmarkLevels multiplies 16 rows by levels that lie in the cache, as products
// and as products of pairs.
func BenchmarkLevels(b *testing.B) {
	const n, k, m = 256, 1024, 16
	kernels := active.s8.coarse
	if kernels == nil {
		b.Skip("this tier has no coarse weights")
	}
	r := rand.New(rand.NewPCG(1, 1))
	e := NewExecutor(1)
	defer e.Close()
	task := screenTask{c: forms["int8"](trained(r, n, k, 0)).coarsen(e, nil, plain), lds: k + 64, signed: anyBytes(r, m*(k+64)), rows: make([]screenRow, m)}
	task.level = kernels.arrange(&task.groups, task.signed, task.lds, m, k)
	dst := make([]int32, m*chunkStride)
	run := func(b *testing.B) {
		for b.Loop() {
			task.dots(dst, 0, m, 0, n)
		}
		b.ReportMetric(2*n*k*m*float64(b.N)/b.Elapsed().Seconds()/1e9, "GOPS")
	}
	b.Run("products", run)
	if kernels.pairs != nil {
		for i := range m {
			task.pairRow(i)
		}
		b.Run("pairs", run)
	}
}
