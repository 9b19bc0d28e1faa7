package bench

import (
	"bytes"
	"cmp"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// bandwidthBytes is how much memory the measurement of the read bandwidth
// reads: far more than any cache holds.
const bandwidthBytes = 256 << 20

// machine measures what the machine allows.
type machine struct{ exec *kernels.Executor }

// bandwidth measures how fast memory is read now. On a shared machine that
// changes from one second to the next, so it is asked before and after each run.
func (m machine) bandwidth() float64 { return kernels.ReadBandwidth(m.exec, bandwidthBytes) }

func median[T any](all []T, of func(T) float64) float64 {
	values := make([]float64, len(all))
	for i, x := range all {
		values[i] = of(x)
	}
	slices.SortFunc(values, cmp.Compare)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// privateBytes returns the resident anonymous memory of the process, or 0
// where the system does not tell.
func privateBytes() int64 {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0
	}
	defer f.Close()
	return (&memoryStatus{file: f}).privateBytes()
}

// memoryStatus is an open /proc/self/status.
type memoryStatus struct {
	file *os.File
	text [4096]byte
}

func (s *memoryStatus) privateBytes() int64 {
	n, _ := s.file.ReadAt(s.text[:], 0)
	_, rest, _ := bytes.Cut(s.text[:n], []byte("RssAnon:"))
	var kib int64
	for _, c := range bytes.TrimLeft(rest, " \t") {
		if c < '0' || c > '9' {
			break
		}
		kib = 10*kib + int64(c-'0')
	}
	return kib << 10
}

// watchPrivateBytes samples privateBytes until the returned function is called,
// which returns the largest sample. The samples leave no garbage, which would
// count too.
func watchPrivateBytes() func() int64 {
	stop := make(chan struct{})
	var done sync.WaitGroup
	var peak int64
	done.Go(func() {
		f, err := os.Open("/proc/self/status")
		if err != nil {
			return
		}
		defer f.Close()
		status := &memoryStatus{file: f}
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, status.privateBytes())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	})
	return func() int64 {
		close(stop)
		done.Wait()
		return peak
	}
}
