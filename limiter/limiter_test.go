package limiter_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	ulule "github.com/ulule/limiter/v3"

	"github.com/sematech/sema/limiter"
)

var ctx = context.Background()

// clock is a time that tests move by hand.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Unix(1_700_000_000, 0)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func take(t *testing.T, store ulule.Store, key string, rate ulule.Rate) ulule.Context {
	t.Helper()
	state, err := store.Get(ctx, key, rate)
	if err != nil {
		t.Fatal(err)
	}
	return state
}

// TestWindowProperty drives random traffic and checks both sides: no period ever holds more than the limit, and a
// refusal is always justified by a full period, to within 1 %.
func TestWindowProperty(t *testing.T) {
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 1))
		rate := ulule.Rate{Period: time.Duration(1+random.IntN(3600)) * time.Second, Limit: int64(1 + random.IntN(200))}
		clock := newClock()
		store := limiter.NewMemory(1000, clock.now)
		mean := float64(rate.Period) / float64(rate.Limit) * (0.2 + 1.5*random.Float64())
		var admitted []time.Time
		for range 4000 {
			if random.IntN(4) > 0 { // else a burst
				clock.advance(time.Duration(random.ExpFloat64() * mean))
			}
			now := clock.now()
			reached := take(t, store, "a", rate).Reached
			if reached {
				if inside := since(admitted, now.Add(-rate.Period*101/100)); int64(inside) < rate.Limit {
					t.Fatalf("seed %d: refused with %d of %d", seed, inside, rate.Limit)
				}
				continue
			}
			admitted = append(admitted, now)
			if inside := since(admitted, now.Add(-rate.Period+1)); int64(inside) > rate.Limit {
				t.Fatalf("seed %d: %d admitted in a period, limit %d", seed, inside, rate.Limit)
			}
		}
	}
}

// since counts the sorted times at or after start.
func since(times []time.Time, start time.Time) int {
	i, _ := slices.BinarySearchFunc(times, start, time.Time.Compare)
	return len(times) - i
}

// concurrent checks a store under parallel load: exactly the limit is admitted.
func concurrent(t *testing.T, store ulule.Store, key string) {
	t.Helper()
	rate := ulule.Rate{Period: time.Hour, Limit: 500}
	var mu sync.Mutex
	admitted := 0
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for range 100 {
				if state, err := store.Get(ctx, key, rate); err == nil && !state.Reached {
					mu.Lock()
					admitted++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if admitted != 500 {
		t.Errorf("%d admitted, want 500", admitted)
	}
}

func TestMemoryConcurrent(t *testing.T) { concurrent(t, limiter.NewMemory(100, nil), "a") }

func TestRefusedRequestsDoNotCount(t *testing.T) {
	clock := newClock()
	store := limiter.NewMemory(100, clock.now)
	rate := ulule.Rate{Period: time.Minute, Limit: 3}
	for range 3 {
		take(t, store, "a", rate)
	}
	var last ulule.Context
	for range 61 {
		clock.advance(time.Second)
		last = take(t, store, "a", rate)
	}
	if last.Reached || last.Remaining != 2 {
		t.Errorf("a client that hammers is never freed: %+v", last)
	}
}

func TestResetIsWhenARequestIsFreed(t *testing.T) {
	clock := newClock()
	store := limiter.NewMemory(100, clock.now)
	rate := ulule.Rate{Period: time.Minute, Limit: 1}
	take(t, store, "a", rate)
	refused := take(t, store, "a", rate)
	if !refused.Reached {
		t.Fatal("not refused")
	}
	clock.advance(time.Unix(refused.Reset, 0).Sub(clock.now()))
	if take(t, store, "a", rate).Reached {
		t.Error("refused at its own reset time")
	}
}

func TestPeekAndReset(t *testing.T) {
	store := limiter.NewMemory(100, nil)
	rate := ulule.Rate{Period: time.Minute, Limit: 5}
	take(t, store, "a", rate)
	for range 3 {
		if state, _ := store.Peek(ctx, "a", rate); state.Remaining != 4 || state.Reached {
			t.Errorf("peek: %+v", state)
		}
	}
	if _, err := store.Reset(ctx, "a", rate); err != nil {
		t.Fatal(err)
	}
	if state, _ := store.Peek(ctx, "a", rate); state.Remaining != 5 {
		t.Errorf("after reset: %+v", state)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	store := limiter.NewMemory(10_000, nil)
	rate := ulule.Rate{Period: time.Hour, Limit: 1000}
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range 1_000_000 {
		take(t, store, fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255), rate)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 8<<20 {
		t.Errorf("a million addresses hold %d bytes", grown)
	}
	runtime.KeepAlive(store)
}

func TestLimitsReportTheNearestWindow(t *testing.T) {
	clock := newClock()
	limits := limiter.New(limiter.NewMemory(100, clock.now), 2, 3)
	var got []string
	for range 3 {
		d, err := limits.Take(ctx, "a")
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, fmt.Sprintf("%s %d/%d %v", d.Window, d.Remaining, d.Limit, d.Allowed))
	}
	clock.advance(2 * time.Minute)
	for range 2 {
		d, _ := limits.Take(ctx, "a")
		got = append(got, fmt.Sprintf("%s %d/%d %v", d.Window, d.Remaining, d.Limit, d.Allowed))
	}
	want := []string{"minute 1/2 true", "minute 0/2 true", "minute 0/2 false", "hour 0/3 true", "hour 0/3 false"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

func TestNoLimits(t *testing.T) {
	d, err := limiter.New(limiter.NewMemory(1, nil), 0, 0).Take(ctx, "a")
	if err != nil || !d.Allowed || d.Window != "" {
		t.Errorf("%+v %v", d, err)
	}
}

func TestClientKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.7":               "192.0.2.7",
		"::ffff:192.0.2.7":        "192.0.2.7",
		"2001:db8:1:2:3:4:5:6":    "2001:db8:1:2::/64",
		"2001:db8:1:2:ffff::1":    "2001:db8:1:2::/64",
		"fe80::1%eth0":            "fe80::/64",
		"2001:db8:1:3:3:4:5:6":    "2001:db8:1:3::/64",
		"::ffff:10.0.0.1":         "10.0.0.1",
		"2001:db8::192.0.2.33":    "2001:db8::/64",
		"ff02::1":                 "ff02::/64",
		"2001:0db8:0:0:0:0:0:0ff": "2001:db8::/64",
	} {
		if got := limiter.ClientKey(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

// broken is a store that fails while told to.
type broken struct {
	ulule.Store
	err   error
	calls int
}

func (b *broken) Increment(ctx context.Context, key string, n int64, rate ulule.Rate) (ulule.Context, error) {
	b.calls++
	if b.err != nil {
		return ulule.Context{}, b.err
	}
	return b.Store.Increment(ctx, key, n, rate)
}

func TestFallback(t *testing.T) {
	shared := &broken{Store: limiter.NewMemory(10, nil), err: errors.New("away")}
	var reports []error
	store := limiter.NewFallback(shared, limiter.NewMemory(10, nil), time.Second, 50*time.Millisecond, func(err error) { reports = append(reports, err) })
	rate := ulule.Rate{Period: time.Minute, Limit: 3}
	for want := range int64(4) {
		if state := take(t, store, "a", rate); state.Reached != (want == 3) {
			t.Errorf("request %d: %+v", want, state)
		}
	}
	if shared.calls != 1 || len(reports) != 1 || reports[0] == nil {
		t.Errorf("%d calls, reports %v", shared.calls, reports)
	}
	shared.err = nil
	time.Sleep(60 * time.Millisecond)
	if state := take(t, store, "a", rate); state.Remaining != 2 {
		t.Errorf("the shared store is not used again: %+v", state)
	}
	if len(reports) != 2 || reports[1] != nil {
		t.Errorf("reports %v", reports)
	}
}

// hung is a store that says nothing before its caller's deadline.
type hung struct {
	ulule.Store
	calls atomic.Int64
}

func (h *hung) Increment(ctx context.Context, _ string, _ int64, _ ulule.Rate) (ulule.Context, error) {
	h.calls.Add(1)
	<-ctx.Done()
	return ulule.Context{}, ctx.Err()
}

// TestFallbackProbesOneAtATime: when the pause ends, one request waits for the shared store and not all that come.
func TestFallbackProbesOneAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &hung{}
		store := limiter.NewFallback(shared, limiter.NewMemory(10, nil), 100*time.Millisecond, 5*time.Second, func(error) {})
		rate := ulule.Rate{Period: time.Hour, Limit: 1000}
		take(t, store, "a", rate)
		for probe := range int64(3) {
			time.Sleep(5 * time.Second)
			var waited atomic.Int64
			var all sync.WaitGroup
			for range 20 {
				all.Go(func() {
					begun := time.Now()
					if _, err := store.Get(ctx, "a", rate); err != nil {
						t.Error(err)
					}
					if time.Since(begun) > 0 {
						waited.Add(1)
					}
				})
			}
			all.Wait()
			if waited.Load() != 1 || shared.calls.Load() != probe+2 {
				t.Errorf("probe %d: %d requests waited, %d calls in all", probe, waited.Load(), shared.calls.Load())
			}
		}
	})
}

// TestFallbackWhoseProbeLeaves: a client that leaves while it probes says nothing of the shared store, and the next
// probes again.
func TestFallbackWhoseProbeLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := &hung{}
		store := limiter.NewFallback(shared, limiter.NewMemory(10, nil), 100*time.Millisecond, 5*time.Second, func(error) {})
		rate := ulule.Rate{Period: time.Hour, Limit: 1000}
		take(t, store, "a", rate)
		time.Sleep(5 * time.Second)
		leaving, leave := context.WithTimeout(ctx, time.Millisecond)
		defer leave()
		_, _ = store.Get(leaving, "a", rate)
		time.Sleep(200 * time.Millisecond)
		take(t, store, "a", rate)
		if shared.calls.Load() != 3 {
			t.Errorf("%d calls, want 3", shared.calls.Load())
		}
	})
}

func ExampleLimits() {
	limits := limiter.New(limiter.NewMemory(1000, nil), 1, 0)
	for range 2 {
		decision, _ := limits.Take(context.Background(), "192.0.2.7")
		fmt.Println(decision.Allowed, decision.Window, decision.Remaining)
	}
	// Output:
	// true minute 0
	// false minute 0
}

func BenchmarkMemory(b *testing.B) {
	store := limiter.NewMemory(100_000, nil)
	rate := ulule.Rate{Period: time.Hour, Limit: 1000}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			_, _ = store.Get(ctx, "client", rate)
		}
	})
}

// TestClockStepsBack: requests before the step stay counted for a period, and no longer.
func TestClockStepsBack(t *testing.T) {
	clock, rate := newClock(), ulule.Rate{Period: time.Minute, Limit: 6}
	store := limiter.NewMemory(1000, clock.now)
	for range 5 {
		take(t, store, "a", rate)
		clock.advance(time.Second)
	}
	clock.advance(-time.Hour)
	if take(t, store, "a", rate).Reached || !take(t, store, "a", rate).Reached {
		t.Error("after the step not the one request that is left is taken")
	}
	clock.advance(61 * time.Second)
	for range 100 { // at a tenth of the rate
		if take(t, store, "a", rate).Reached {
			t.Fatal("a client far below its limit is refused")
		}
		clock.advance(100 * time.Second)
	}
}

// TestRefusedByTheHour: the minute does not count what the hour refuses, and the hour's wait is told.
func TestRefusedByTheHour(t *testing.T) {
	clock := newClock()
	limits := limiter.New(limiter.NewMemory(1000, clock.now), 5, 6)
	for i := range 6 {
		if d, err := limits.Take(ctx, "a"); err != nil || !d.Allowed {
			t.Fatalf("request %d: %+v %v", i, d, err)
		}
		clock.advance(30 * time.Second)
	}
	for range 60 * 56 {
		if d, _ := limits.Take(ctx, "a"); d.Allowed || d.Window != "hour" {
			t.Fatalf("%+v with the hour full", d)
		}
		clock.advance(time.Second)
	}
	clock.advance(80 * time.Second) // the first is forgotten
	if d, _ := limits.Take(ctx, "a"); !d.Allowed {
		t.Errorf("%+v: refused requests count", d)
	}
}
