package bench

import (
	"bufio"
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// bandwidthBytes is how much memory the measurement of the read bandwidth
// reads: far more than any cache holds.
const bandwidthBytes = 512 << 20

// measureMachine measures what the machine allows, in the same run.
func (r *Report) measureMachine(threads int) {
	e := kernels.NewExecutor(threads)
	defer e.Close()
	r.ReadBandwidth = kernels.ReadBandwidth(e, make([]byte, bandwidthBytes))
	r.PeakInt8 = kernels.PeakS8(e)
	if r.DecodeSecondsPerStep > 0 && r.ReadBandwidth > 0 {
		r.BandwidthFraction = float64(r.StepBytes) / r.DecodeSecondsPerStep / r.ReadBandwidth
	}
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
