package cache_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/sematech/sema/cache"
)

var ctx = context.Background()

// value returns a producer of a fixed value that counts its calls.
func value(v string, calls *atomic.Int64) func(context.Context) ([]byte, error) {
	return func(context.Context) ([]byte, error) {
		calls.Add(1)
		return []byte(v), nil
	}
}

func TestHitAndMiss(t *testing.T) {
	c := cache.New(1 << 20)
	var calls atomic.Int64
	for i, want := range []string{"", cache.Memory} {
		got, hit, err := c.Do(ctx, "k", value("v", &calls))
		if string(got) != "v" || hit != want || err != nil {
			t.Errorf("call %d: %q %q %v", i, got, hit, err)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("%d calls", calls.Load())
	}
}

func TestBytesAreBounded(t *testing.T) {
	c := cache.New(10_000)
	var calls atomic.Int64
	for i := range 1000 {
		_, _, _ = c.Do(ctx, fmt.Sprint(i), value(strings.Repeat("x", i%300), &calls))
		if c.Bytes() > 10_000 {
			t.Fatalf("%d bytes", c.Bytes())
		}
	}
	if _, hit, _ := c.Do(ctx, "999", value("", &calls)); hit != cache.Memory {
		t.Error("the newest entry is gone")
	}
	if _, hit, _ := c.Do(ctx, "0", value("", &calls)); hit != "" {
		t.Error("the oldest entry is still there")
	}
	_, _, _ = c.Do(ctx, "huge", value(strings.Repeat("x", 9000), &calls))
	if _, hit, _ := c.Do(ctx, "999", value("", &calls)); hit != cache.Memory {
		t.Error("one huge value emptied the cache")
	}
}

func TestSingleFlight(t *testing.T) {
	c := cache.New(1 << 20)
	var calls, shared atomic.Int64
	release := make(chan struct{})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			got, hit, err := c.Do(ctx, "k", func(context.Context) ([]byte, error) {
				calls.Add(1)
				<-release
				return []byte("v"), nil
			})
			if string(got) != "v" || err != nil {
				t.Errorf("%q %v", got, err)
			}
			if hit != "" {
				shared.Add(1)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(release)
	wg.Wait()
	if calls.Load() != 1 || shared.Load() != 19 {
		t.Errorf("%d calls, %d shared", calls.Load(), shared.Load())
	}
}

func TestOneCallerLeavesOthersStay(t *testing.T) {
	c := cache.New(1 << 20)
	release, started := make(chan struct{}), make(chan struct{})
	produce := func(ctx context.Context) ([]byte, error) {
		close(started)
		select {
		case <-release:
			return []byte("v"), nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	first, leave := context.WithCancel(ctx)
	left := make(chan error, 1)
	go func() { _, _, err := c.Do(first, "k", produce); left <- err }()
	<-started
	stayed := make(chan string, 1)
	go func() { v, _, err := c.Do(ctx, "k", nil); stayed <- fmt.Sprint(string(v), err) }()
	time.Sleep(20 * time.Millisecond)
	leave()
	if err := <-left; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	close(release)
	if got := <-stayed; got != "v<nil>" {
		t.Error(got)
	}
}

func TestWorkEndsWhenAllLeave(t *testing.T) {
	c := cache.New(1 << 20)
	ended := make(chan struct{})
	leaving, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	_, _, err := c.Do(leaving, "k", func(ctx context.Context) ([]byte, error) {
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	select {
	case <-ended:
	case <-time.After(time.Second):
		t.Error("the work goes on for nobody")
	}
	var calls atomic.Int64
	if got, _, err := c.Do(ctx, "k", value("v", &calls)); string(got) != "v" || err != nil {
		t.Errorf("a later caller joined what was cancelled: %q %v", got, err)
	}
}

func TestErrorsAndPanicsAreNotRemembered(t *testing.T) {
	c := cache.New(1 << 20)
	if _, _, err := c.Do(ctx, "k", func(context.Context) ([]byte, error) { return nil, errors.New("no") }); err == nil {
		t.Error("no error")
	}
	if _, _, err := c.Do(ctx, "k", func(context.Context) ([]byte, error) { panic("no") }); err == nil {
		t.Error("no error for a panic")
	}
	var calls atomic.Int64
	if _, hit, err := c.Do(ctx, "k", value("v", &calls)); hit != "" || err != nil {
		t.Errorf("%q %v", hit, err)
	}
}

func TestConcurrentUse(t *testing.T) {
	c := cache.New(5000)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				want := fmt.Sprint((g + i) % 50)
				got, _, err := c.Do(ctx, want, func(context.Context) ([]byte, error) { return []byte(want), nil })
				if string(got) != want || err != nil {
					t.Errorf("%q: %q %v", want, got, err)
				}
			}
		})
	}
	wg.Wait()
}

func TestRedisIsTheSecondLevel(t *testing.T) {
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed (Debian's package redis-server has it)")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	_ = listener.Close()
	server := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Process.Kill(); _, _ = server.Process.Wait() })
	client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:" + port, MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	for client.Ping(ctx).Err() != nil {
		time.Sleep(20 * time.Millisecond)
	}
	one, other := cache.New(1<<20), cache.New(1<<20)
	one.Share(client, "sema:", time.Minute)
	other.Share(client, "sema:", time.Minute)
	var calls atomic.Int64
	for _, test := range []struct {
		cache *cache.Cache
		hit   string
	}{{one, ""}, {other, cache.Second}, {other, cache.Memory}} {
		if got, hit, err := test.cache.Do(ctx, "k", value("v", &calls)); string(got) != "v" || hit != test.hit || err != nil {
			t.Errorf("%q %v, found in %q, want %q", got, err, hit, test.hit)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("made %d times", calls.Load())
	}
	_ = server.Process.Kill()
	_, _ = server.Process.Wait()
	if got, _, err := one.Do(ctx, "k2", value("v", &calls)); string(got) != "v" || err != nil {
		t.Errorf("without its server: %q %v", got, err)
	}
}

// server is a second level that knows what it is told, or says nothing before its caller's deadline.
type server struct {
	redis.Cmdable
	answers bool
	calls   atomic.Int64
}

func (s *server) Get(ctx context.Context, _ string) *redis.StringCmd {
	s.calls.Add(1)
	if s.answers {
		return redis.NewStringResult("v", nil)
	}
	<-ctx.Done()
	return redis.NewStringResult("", ctx.Err())
}

// TestSecondLevelIsAHit: a value of another process is none that this one made; who joined its caller shares.
func TestSecondLevelIsAHit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := cache.New(1 << 20)
		c.Share(&server{answers: true}, "sema:", time.Minute)
		hits := map[string]int{}
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() {
				_, hit, err := c.Do(ctx, "k", func(context.Context) ([]byte, error) { return nil, errors.New("made again") })
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				hits[hit]++
			})
		}
		all.Wait()
		if hits[cache.Second] != 1 || hits[cache.Second]+hits[cache.Shared]+hits[cache.Memory] != 20 {
			t.Errorf("found in %v", hits)
		}
	})
}

// TestSecondLevelIsProbedByOne: when the pause after a failure ends, one call waits for the server and not all.
func TestSecondLevelIsProbedByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		away := &server{}
		c := cache.New(1 << 20)
		c.Share(away, "sema:", time.Minute)
		var calls atomic.Int64
		_, _, _ = c.Do(ctx, "first", value("v", &calls))
		for probe := range int64(3) {
			time.Sleep(5 * time.Second)
			var waited atomic.Int64
			var all sync.WaitGroup
			for i := range 20 {
				all.Go(func() {
					begun := time.Now()
					if got, hit, err := c.Do(ctx, fmt.Sprint(probe, i), value("v", &calls)); string(got) != "v" || hit != "" || err != nil {
						t.Errorf("%q %q %v", got, hit, err)
					}
					if time.Since(begun) > 0 {
						waited.Add(1)
					}
				})
			}
			all.Wait()
			if waited.Load() != 1 || away.calls.Load() != probe+2 {
				t.Errorf("probe %d: %d calls waited, the server was asked %d times in all", probe, waited.Load(), away.calls.Load())
			}
		}
		away.answers = true
		time.Sleep(5 * time.Second)
		for i := range 3 {
			if _, hit, _ := c.Do(ctx, fmt.Sprint("back", i), value("v", &calls)); hit != cache.Second {
				t.Errorf("the server is back: found in %q", hit)
			}
		}
	})
}

// TestCallersThatLeaveDoNotBlameTheServer: it is asked again at once.
func TestCallersThatLeaveDoNotBlameTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &server{}
		c := cache.New(1 << 20)
		c.Share(slow, "sema:", time.Minute)
		var calls atomic.Int64
		for i := range 3 {
			leaving, leave := context.WithTimeout(ctx, time.Millisecond)
			_, _, _ = c.Do(leaving, fmt.Sprint(i), value("v", &calls))
			leave()
			synctest.Wait()
		}
		if slow.calls.Load() != 3 {
			t.Errorf("the server was asked %d times, want 3", slow.calls.Load())
		}
	})
}

func ExampleCache() {
	c := cache.New(1 << 20)
	for range 2 {
		value, hit, _ := c.Do(context.Background(), "v1|eng|swh|Hello", func(context.Context) ([]byte, error) {
			return []byte("Habari"), nil
		})
		fmt.Printf("%s %q\n", value, hit)
	}
	// Output:
	// Habari ""
	// Habari "memory"
}
