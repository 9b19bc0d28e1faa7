package kernels

import (
	"time"

	"github.com/sematech/sema/ctranslate2/memory"
)

// ReadBandwidth returns how many bytes a second all threads of e together read
// from memory: the best of several passes over n bytes, which should be much more
// than the caches hold, in huge pages where there are, and in each order that some
// processor reads fastest in. It returns 0 if the system has no room for them.
func ReadBandwidth(e *Executor, n int) float64 {
	buf, err := memory.Reserve(n)
	if err != nil {
		return 0
	}
	defer memory.Release(buf)
	memory.AdviseHuge(buf, true)
	for i := range buf {
		buf[i] = byte(i)
	}
	t := &readTask{buf: buf, sums: make([]uint64, (n+readPiece-1)/readPiece)}
	best := 0.0
	for range 4 {
		for _, t.read = range memoryReaders() {
			start := time.Now()
			e.Parallel(len(t.sums), t)
			best = max(best, float64(n)/time.Since(start).Seconds())
		}
	}
	return best
}

// A memoryReader reads memory in an order of its own.
type memoryReader func([]byte) uint64

// readPiece is how much a thread reads at a time.
const readPiece = 4 << 20

type readTask struct {
	buf  []byte
	sums []uint64
	read memoryReader
}

func (t *readTask) Do(_, i int) {
	t.sums[i] = t.read(t.buf[i*readPiece : min((i+1)*readPiece, len(t.buf))])
}

// PeakS8 returns how many int8 multiplications and additions a second all
// threads of e together do in registers; 0 where the tier has no measure.
func PeakS8(e *Executor) float64 {
	const rounds, pieces = 2_000_000, 32
	operations := peakOperations(1)
	if operations == 0 {
		return 0
	}
	t := peakTask(rounds / pieces)
	best := 0.0
	for range 3 {
		start := time.Now()
		e.Parallel(pieces, &t)
		best = max(best, operations*rounds/time.Since(start).Seconds())
	}
	return best
}

type peakTask int

func (t *peakTask) Do(_, _ int) { peakOperations(int(*t)) }
