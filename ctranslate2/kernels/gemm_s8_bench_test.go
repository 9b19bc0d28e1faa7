package kernels

import (
	"fmt"
	"testing"

	"github.com/sematech/sema/ctranslate2/memory"
)

// BenchmarkLinearS8 multiplies by the matrices of a distilled NLLB model, from
// weights so many that the caches do not hold them. GB/s are of weights read,
// GOPS of products and sums. They lie in small pages, unlike a model's: BenchmarkPlacement
// has both.
func BenchmarkLinearS8(b *testing.B) {
	defer Use("")
	for _, isa := range Available() {
		if isa == Generic {
			continue
		}
		for _, s := range [][2]int{{1024, 1024}, {4096, 1024}, {1024, 4096}, {2048, 2048}, {2048, 8192}, {256206, 1024}} {
			for _, m := range []int{1, 4, 5, 6, 8, 12, 16, 32, 64, 96, 128, 256, 512} {
				b.Run(fmt.Sprintf("%v/%dx%d/m%d", isa, s[0], s[1], m), func(b *testing.B) { benchmarkLinearS8(b, isa, m, s[0], s[1]) })
			}
		}
	}
}

func benchmarkLinearS8(b *testing.B, isa ISA, m, n, k int) {
	if err := Use(isa.String()); err != nil {
		b.Fatal(err)
	}
	e := NewExecutor(DefaultThreads())
	defer e.Close()
	var all []*S8Weights
	for size := 0; size < 64<<20; size += n * k {
		data, scale := make([]int8, n*k), make([]float32, n)
		for i := range data {
			data[i] = int8(i%255 - 127)
		}
		for i := range scale {
			scale[i] = 1000
		}
		all = append(all, NewS8Weights(data, n, k, scale))
	}
	e.Compensate(all...)
	var q QuantizedRows
	defer q.Free()
	dst := make([]float32, m*n)
	e.Quantize(&q, make([]float32, m*k), k, m, k, false)
	next := 0
	for b.Loop() {
		if n > 100_000 { // a vocabulary's products are never stored
			e.LinearS8To(discard{}, &q, all[next%len(all)], nil)
		} else {
			e.LinearS8(dst, n, &q, all[next%len(all)], nil)
		}
		next++
	}
	perSecond := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(perSecond*float64(n*k)/1e9, "GB/s")
	b.ReportMetric(perSecond*float64(2*m*n*k)/1e9, "GOPS")
}

// BenchmarkPlacement multiplies by weights that lie in small and in huge pages, and
// at the start of a line and five bytes behind it, as a model's may.
func BenchmarkPlacement(b *testing.B) {
	for _, huge := range []bool{false, true} {
		room, err := memory.Reserve(200 << 20)
		if err != nil {
			b.Fatal(err)
		}
		memory.AdviseHuge(room, huge)
		for i := range room {
			room[i] = byte(i % 255)
		}
		for _, offset := range []int{0, 5} {
			for _, s := range [][2]int{{4096, 1024}, {1024, 4096}} {
				for _, m := range []int{1, 4, 16} {
					name := fmt.Sprintf("huge=%t/offset=%d/%dx%d/m%d", huge, offset, s[0], s[1], m)
					b.Run(name, func(b *testing.B) { benchmarkPlacement(b, room[offset:], m, s[0], s[1]) })
				}
			}
		}
		_ = memory.Release(room)
	}
}

func benchmarkPlacement(b *testing.B, room []byte, m, n, k int) {
	e := NewExecutor(DefaultThreads())
	defer e.Close()
	scale := make([]float32, n)
	for i := range scale {
		scale[i] = 1000
	}
	var all []*S8Weights
	for ; len(room) >= n*k; room = room[n*k:] {
		all = append(all, NewS8Weights(int8s(room[:n*k]), n, k, scale))
	}
	e.Compensate(all...)
	var q QuantizedRows
	defer q.Free()
	dst := make([]float32, m*n)
	e.Quantize(&q, make([]float32, m*k), k, m, k, false)
	for i := 0; b.Loop(); i++ {
		e.LinearS8(dst, n, &q, all[i%len(all)], nil)
	}
}

type discard struct{}

func (discard) Columns(int, int, int, []float32, int) {}
