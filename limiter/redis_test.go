package limiter_test

import (
	"net"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	ulule "github.com/ulule/limiter/v3"

	"github.com/sematech/sema/limiter"
)

// startRedis runs a real server for the length of the test and returns a client and a function that kills it.
func startRedis(t *testing.T) (*redis.Client, func()) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed (Debian's package redis-server has it)")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close()
	server := exec.Command(binary, "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	kill := func() { _ = server.Process.Kill(); _, _ = server.Process.Wait() }
	t.Cleanup(kill)
	client := redis.NewClient(&redis.Options{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), MaxRetries: -1})
	t.Cleanup(func() { _ = client.Close() })
	for range 100 {
		if client.Ping(ctx).Err() == nil {
			return client, kill
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatal("redis-server did not start")
	return nil, nil
}

func TestRedis(t *testing.T) {
	client, kill := startRedis(t)
	store := limiter.NewRedis(client, "sema:")
	t.Run("concurrent", func(t *testing.T) { concurrent(t, store, "load") })
	t.Run("slides", func(t *testing.T) {
		rate := ulule.Rate{Period: time.Second, Limit: 2}
		for i, want := range []bool{false, false, true} {
			if state := take(t, store, "a", rate); state.Reached != want {
				t.Errorf("request %d: %+v", i, state)
			}
		}
		time.Sleep(1020 * time.Millisecond)
		if state := take(t, store, "a", rate); state.Reached || state.Remaining != 1 {
			t.Errorf("after a period: %+v", state)
		}
	})
	t.Run("peek and reset", func(t *testing.T) {
		rate := ulule.Rate{Period: time.Minute, Limit: 5}
		state := take(t, store, "b", rate)
		if wait := time.Until(time.Unix(state.Reset, 0)); state.Remaining != 4 || wait < 58*time.Second || wait > 62*time.Second {
			t.Errorf("get: %+v (reset in %v)", state, wait)
		}
		if state, err := store.Peek(ctx, "b", rate); err != nil || state.Remaining != 4 {
			t.Errorf("peek: %+v %v", state, err)
		}
		if state, err := store.Reset(ctx, "b", rate); err != nil || state.Remaining != 5 {
			t.Errorf("reset: %+v %v", state, err)
		}
	})
	t.Run("keys expire", func(t *testing.T) {
		if ttl := client.PTTL(ctx, "sema:load").Val(); ttl <= 0 || ttl > 61*time.Minute {
			t.Errorf("ttl %v", ttl)
		}
	})
	t.Run("away", func(t *testing.T) {
		reports := 0
		fallback := limiter.NewFallback(store, limiter.NewMemory(10, nil), 200*time.Millisecond, time.Minute, func(error) { reports++ })
		kill()
		rate := ulule.Rate{Period: time.Minute, Limit: 2}
		for i, want := range []bool{false, false, true} {
			if state := take(t, fallback, "c", rate); state.Reached != want {
				t.Errorf("request %d: %+v", i, state)
			}
		}
		if reports != 1 {
			t.Errorf("%d log lines, want 1", reports)
		}
	})
}
