package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// tooLong is far over what a request may wait for Redis (the limiter's 100 ms and the cache's 50 ms), and far under
// the seconds that go-redis waits by itself.
const tooLong = 2 * time.Second

// startWithRedis runs sema with limits and results in the Redis at address, and waits for its models.
func startWithRedis(t *testing.T, address string) *program {
	t.Helper()
	p := startProgram(t, "REDIS_URL=redis://"+address+"/0", "RATE_LIMIT_PER_MINUTE=10000", "CACHE_SIZE=1MiB", "HF_HUB_OFFLINE=true", "HF_HOME="+t.TempDir())
	for begun := time.Now(); time.Since(begun) < 20*time.Second; time.Sleep(20 * time.Millisecond) {
		response, err := http.Get(p.url + "/ready")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return p
		}
	}
	t.Fatalf("sema does not become ready:\n%s", p.log())
	return nil
}

// translateAtOnce asks for n different texts at once and returns how long the slowest answer took.
func translateAtOnce(t *testing.T, p *program, n int) time.Duration {
	t.Helper()
	begun := time.Now()
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			body := fmt.Sprintf(`{"text":"Hello %d","source_language":"eng_Latn","target_language":"swh_Latn"}`, i)
			response, err := http.Post(p.url+"/api/v1/translate", "application/json", strings.NewReader(body))
			if err != nil {
				t.Error(err)
				return
			}
			defer response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("status %d", response.StatusCode)
			}
		})
	}
	all.Wait()
	return time.Since(begun)
}

// freeAddress is one that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// TestRedisThatNeverAnswers has a server that takes connections and says nothing.
func TestRedisThatNeverAnswers(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	p := startWithRedis(t, listener.Addr().String()) // the kernel accepts; nobody reads
	for round := range 2 {
		if took := translateAtOnce(t, p, 4); took > tooLong {
			t.Errorf("round %d: %v", round, took)
		}
	}
	if !strings.Contains(p.log(), "redis_away_limiting_locally") {
		t.Errorf("no word of it in the log:\n%s", p.log())
	}
}

// startRedis runs a real server for the length of the test and returns its address and its process.
func startRedis(t *testing.T) (address string, server *os.Process) {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("redis-server is not installed (Debian's package redis-server has it)")
	}
	address = freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	command := exec.Command(binary, "--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", t.TempDir())
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	client := redis.NewClient(&redis.Options{Addr: address, MaxRetries: -1})
	defer client.Close()
	for begun := time.Now(); client.Ping(context.Background()).Err() != nil; time.Sleep(20 * time.Millisecond) {
		if time.Since(begun) > 10*time.Second {
			t.Fatal("redis-server did not start")
		}
	}
	return address, command.Process
}

// sendSignal sends the server a signal.
func sendSignal(t *testing.T, server *os.Process, s os.Signal) {
	t.Helper()
	if err := server.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestRedisThatIsPaused stops a real server in the middle of its work and lets it go on.
func TestRedisThatIsPaused(t *testing.T) {
	address, server := startRedis(t)
	p := startWithRedis(t, address)
	translateAtOnce(t, p, 4)
	sendSignal(t, server, syscall.SIGSTOP)
	for round := range 2 {
		if took := translateAtOnce(t, p, 8); took > tooLong {
			t.Errorf("round %d: %v", round, took)
		}
	}
	sendSignal(t, server, syscall.SIGCONT)
	for begun := time.Now(); !strings.Contains(p.log(), "redis_back"); time.Sleep(200 * time.Millisecond) {
		translateAtOnce(t, p, 1)
		if time.Since(begun) > 4*redisPause {
			t.Fatalf("Redis is not used again:\n%s", p.log())
		}
	}
}

// TestResultsOfTheOtherReplica are hits, and no work of this one.
func TestResultsOfTheOtherReplica(t *testing.T) {
	address, _ := startRedis(t)
	one, other := startWithRedis(t, address), startWithRedis(t, address)
	for _, p := range []*program{one, other, other} {
		translateAtOnce(t, p, 1)
	}
	for name, want := range map[string]string{
		`sema_cache_hits_total{level="redis"}`: "1", `sema_cache_hits_total{level="memory"}`: "1", "sema_cache_misses_total": "0", "sema_tokens_generated_total": "0",
	} {
		if got := metric(t, other, name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if got := metric(t, one, "sema_cache_misses_total"); got != "1" {
		t.Errorf("the replica that made it: %q misses, want 1", got)
	}
}

// metric is the value of a series, "" if there is none.
func metric(t *testing.T, p *program, name string) string {
	t.Helper()
	response, err := http.Get(p.url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, found := strings.CutPrefix(lines.Text(), name+" "); found {
			return value
		}
	}
	return ""
}
