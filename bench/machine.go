package bench

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
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
// Its memory does not count as the runtime's.
func (m machine) bandwidth() float64 {
	b := kernels.ReadBandwidth(m.exec, make([]byte, bandwidthBytes))
	debug.FreeOSMemory()
	return b
}

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
	for s := bufio.NewScanner(f); s.Scan(); {
		if rest, ok := strings.CutPrefix(s.Text(), "RssAnon:"); ok {
			var kib int64
			fmt.Sscan(rest, &kib)
			return kib << 10
		}
	}
	return 0
}

// watchPrivateBytes samples privateBytes until the returned function is called,
// which returns the largest sample.
func watchPrivateBytes() func() int64 {
	stop := make(chan struct{})
	var done sync.WaitGroup
	var peak int64
	done.Add(1)
	go func() {
		defer done.Done()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			peak = max(peak, privateBytes())
			select {
			case <-tick.C:
			case <-stop:
				return
			}
		}
	}()
	return func() int64 {
		close(stop)
		done.Wait()
		return peak
	}
}
