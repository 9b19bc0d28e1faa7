package ctranslate2

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// TestNormalizedBytes: rows that are normalized and quantized at once are those
// that are normalized and then quantized, to the bit.
func TestNormalizedBytes(t *testing.T) {
	const d = 96
	r := rand.New(rand.NewPCG(1, 2))
	floats := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(r.NormFloat64())
		}
		return x
	}
	w := &workspace{exec: kernels.NewExecutor(2)}
	defer w.exec.Close()
	defer w.q.Free()
	for _, n := range []*layerNorm{{gamma: floats(d), beta: floats(d), epsilon: 1e-5}, {gamma: floats(d), epsilon: 1e-6}} {
		for _, truncate := range []bool{false, true} {
			for _, m := range []int{1, normRows - 1, normRows, normRows + 1, 3*normRows + 1} {
				x := floats(m * d)
				in := w.normalized(n, x, m, d, &dense{weights: &weights{s8: &kernels.S8Weights{}}, truncate: truncate})
				got, scales := slices.Clone(in.quantize(w.exec, nil).Data), slices.Clone(in.q.InvScale)
				w.norm(n, x, m, d)
				var want kernels.QuantizedRows
				w.exec.Quantize(&want, x, d, m, d, truncate)
				for i := range m {
					row := i * want.Stride
					if !slices.Equal(got[row:row+d], want.Data[row:row+d]) || scales[i] != want.InvScale[i] {
						t.Fatalf("row %d of %d, truncate %t: %v of scale %v, want %v of %v", i, m, truncate, got[row:row+d], scales[i], want.Data[row:row+d], want.InvScale[i])
					}
				}
				want.Free()
			}
		}
	}
}
