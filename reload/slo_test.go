package reload_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

const (
	sloClients = 16
	// window is how long swaps and quiet take turns, so that what else the
	// machine does falls on both.
	window = time.Second
	// pace is the time from one swap to the next within a window.
	pace = 250 * time.Millisecond
	// maxRatio bounds the p99 with swaps to the p99 without.
	maxRatio = 1.3
	// maxGrowth bounds the resident memory over the last 100 swaps.
	maxGrowth = 8 << 20
)

// load is 16 clients that translate on and on, and what they saw.
type load struct {
	t      *testing.T
	store  *modelstore.Store[*reload.Models]
	words  map[string]string // revision → what it says
	swaps  atomic.Bool       // swaps are going on
	quit   chan struct{}
	all    sync.WaitGroup
	mu     sync.Mutex
	times  [2][]time.Duration // without swaps, with them
	failed int
}

func (l *load) start() {
	for range sloClients {
		l.all.Go(func() {
			for {
				select {
				case <-l.quit:
					return
				case <-time.After(25 * time.Millisecond): // clients read what they get
					l.request()
				}
			}
		})
	}
}

// request is one client's request: all of its answer must be of one version,
// the one that its bundle says.
func (l *load) request() {
	during := l.swaps.Load()
	start := time.Now()
	text, want, err := l.translate()
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || text != want {
		if l.failed++; l.failed < 10 {
			l.t.Errorf("request: %q, %v; want %q", text, err, want)
		}
	}
	if during != l.swaps.Load() {
		return // in both
	}
	i := 0
	if during {
		i = 1
	}
	l.times[i] = append(l.times[i], took)
}

func (l *load) translate() (text, want string, err error) {
	b, err := l.store.Acquire()
	if err != nil {
		return "", "", err
	}
	defer b.Release()
	r, err := b.Models.Translate(l.t.Context(), translate.Request{Text: "Hello\n\nHello\n\nHello", Source: "eng_Latn", Target: "swh_Latn"})
	word := l.words[b.Revision]
	return strings.ReplaceAll(r.Text, "▁", ""), word + "\n\n" + word + "\n\n" + word, err
}

// p99 returns the 99th percentile.
func p99(times []time.Duration) time.Duration {
	slices.Sort(times)
	return times[len(times)*99/100]
}

// mappings counts the mapped model files.
func mappings(t *testing.T) int {
	data, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Skip("no /proc")
	}
	return strings.Count(string(data), "/blobs/") + strings.Count(string(data), "model.bin")
}

// ours counts the goroutines of the service; net/http keeps its own for a while.
func ours() (n int) {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for stack := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(stack, "sematech/sema/") && !strings.Contains(stack, "_test.") {
			n++
		}
	}
	return n
}

// TestSLO is what the service is known for: models swap again and again under
// load and no client notices. SEMA_LONG=1 swaps 220 times and holds the latency
// and the memory to their bounds; without it the run is short, and only
// correctness is judged.
func TestSLO(t *testing.T) {
	swaps, long := 20, os.Getenv("SEMA_LONG") != ""
	if long {
		swaps = 220
	}
	h := hubtest.New(t)
	a, b := h.Commit(repo, "main", saying("Habari")), h.Commit(repo, "other", saying("Salamu"))
	mapped := mappings(t)
	o := onHub(t, h)
	o.Files = []string{"translation/*", "language_detection/*"}
	r := run(t, o)
	r.serves(a)
	l := &load{t: t, store: r.store, words: map[string]string{a: "Habari", b: "Salamu"}, quit: make(chan struct{})}
	l.start()
	memory := swapUnderLoad(r, l, []string{b, a}, swaps)
	close(l.quit)
	l.all.Wait()
	r.end()
	if err := r.store.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if n := mappings(t); n != mapped {
		t.Errorf("%d models are mapped, %d before", n, mapped)
	}
	r.until("the goroutines are gone", func() bool { return ours() == 0 })
	quiet, busy := p99(l.times[0]), p99(l.times[1])
	ratio := float64(busy) / float64(quiet)
	growth := int64(0)
	if last := memory[max(0, len(memory)-100):]; len(last) > 20 {
		growth = slices.Max(last[len(last)/2:]) - slices.Max(last[:len(last)/2])
	}
	t.Logf("%d swaps, %d requests without and %d with swaps, %d failed; p99 %s and %s, ratio %.2f; memory grew by %.1f MiB over the last 100 swaps",
		swaps, len(l.times[0]), len(l.times[1]), l.failed, quiet, busy, ratio, float64(growth)/(1<<20))
	if long && (ratio > maxRatio || growth > maxGrowth) {
		t.Errorf("p99 ratio %.2f of %.1f allowed, memory growth %d of %d", ratio, maxRatio, growth, maxGrowth)
	}
}

// swapUnderLoad swaps between revisions, in windows with quiet between them, and
// sees that each bundle is closed. It returns the resident memory after each swap.
func swapUnderLoad(r *rig, l *load, revisions []string, swaps int) (memory []int64) {
	for n := 0; n < swaps; {
		time.Sleep(window)
		l.swaps.Store(true)
		for end := time.Now().Add(window); n < swaps && time.Now().Before(end); n++ {
			next := time.Now().Add(pace)
			before := r.store.Current()
			r.ask(modelstore.Request{Revision: revisions[n%len(revisions)]}, "swapped")
			if s := before.State(); s != modelstore.Closed {
				r.Errorf("a bundle is %s after its drain", s)
			}
			memory = append(memory, telemetry.ResidentBytes())
			time.Sleep(time.Until(next))
		}
		l.swaps.Store(false)
	}
	return memory
}
