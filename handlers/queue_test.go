package handlers_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/cache"
	"github.com/sematech/sema/handlers"
)

func TestQueueBoundsWhatRuns(t *testing.T) {
	q := handlers.NewQueue(100, 1<<20)
	var active, most atomic.Int64
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			cost := 1 + i%60
			leave, err := q.Enter(context.Background(), cost)
			if err != nil {
				t.Error(err)
				return
			}
			now := active.Add(int64(cost))
			for old := most.Load(); now > old && !most.CompareAndSwap(old, now); old = most.Load() {
			}
			time.Sleep(100 * time.Microsecond)
			active.Add(int64(-cost))
			leave(cost)
			leave(cost)
		})
	}
	wg.Wait()
	if most.Load() > 100 {
		t.Errorf("%d tokens ran at once", most.Load())
	}
	if got := q.Status(); got.ActiveTokens != 0 || got.Waiting != 0 || got.WaitingTokens != 0 || got.TokensPerSecond <= 0 {
		t.Errorf("%+v", got)
	}
}

func TestQueueRunsWhatIsLargerThanItself(t *testing.T) {
	q := handlers.NewQueue(10, 10)
	leave, err := q.Enter(context.Background(), 1000)
	if err != nil {
		t.Fatal(err)
	}
	leave(0)
}

func TestQueueIsFull(t *testing.T) {
	q := handlers.NewQueue(10, 10)
	leave, _ := q.Enter(context.Background(), 10)
	waited := make(chan error, 1)
	go func() {
		leave, err := q.Enter(context.Background(), 10)
		if err == nil {
			leave(10)
		}
		waited <- err
	}()
	for q.Status().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	_, err := q.Enter(context.Background(), 1)
	var refused *handlers.QueueError
	if !errors.As(err, &refused) || refused.Label != "full" {
		t.Errorf("got %v", err)
	}
	leave(10)
	if err := <-waited; err != nil {
		t.Error(err)
	}
}

func TestQueueRefusesWhatCannotBeInTime(t *testing.T) {
	q := handlers.NewQueue(100, 10_000)
	leave, _ := q.Enter(context.Background(), 100)
	time.Sleep(50 * time.Millisecond)
	leave(100) // 2,000 tokens a second at most
	busy, _ := q.Enter(context.Background(), 100)
	defer busy(0)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	begin := time.Now()
	_, err := q.Enter(ctx, 100)
	var refused *handlers.QueueError
	if !errors.As(err, &refused) || refused.Label != "deadline" || refused.RetryAfter <= 0 || time.Since(begin) > 9*time.Millisecond {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}

// TestQueueMeasuresWhatWasDone: work that failed, or that was known already, says nothing of the speed.
func TestQueueMeasuresWhatWasDone(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.Cache = cache.New(1 << 20) })
	speed := func() float64 {
		return s.get("/health").json(t)["queue"].(map[string]any)["tokens_per_second"].(float64)
	}
	for _, body := range []string{`{"text":"fail","target_language":"swh_Latn"}`, `{"text":"1234567","target_language":"swh_Latn"}`, `{"text":"panic","target_language":"swh_Latn"}`} {
		if s.post("/translate", body); speed() != 0 {
			t.Errorf("%v tokens a second after %s", speed(), body)
		}
	}
	s.post("/translate", hello)
	measured := speed()
	if measured <= 0 {
		t.Fatal("a translation is not measured")
	}
	s.post("/translate", hello)
	s.post("/translate/batch", `{"texts":["fail","fail"],"target_language":"swh_Latn"}`)
	if got := speed(); got != measured {
		t.Errorf("%v tokens a second, %v before a hit of the cache and a failure", got, measured)
	}
}

func TestQueueForgetsWhoLeaves(t *testing.T) {
	q := handlers.NewQueue(10, 100)
	leave, _ := q.Enter(context.Background(), 10)
	ctx, cancel := context.WithCancel(context.Background())
	waited := make(chan error)
	go func() { _, err := q.Enter(ctx, 10); waited <- err }()
	for q.Status().Waiting == 0 {
		time.Sleep(time.Millisecond)
	}
	cancel()
	if err := <-waited; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	leave(0)
	if got := q.Status(); got.ActiveTokens != 0 || got.WaitingTokens != 0 || got.Waiting != 0 {
		t.Errorf("%+v", got)
	}
}

func TestFullQueueOverHTTP(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.ActiveTokens, o.QueueTokens = 1, 1 })
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { s.post("/translate", `{"text":"slow","target_language":"swh_Latn"}`) })
	}
	for s.models.model.running.Load() == 0 || s.get("/health").json(t)["queue"].(map[string]any)["waiting_requests"] != 1.0 {
		time.Sleep(5 * time.Millisecond)
	}
	a := s.post("/translate", hello)
	wantError(t, a, 503, "overloaded")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	wg.Wait()
}

func ExampleQueue() {
	queue := handlers.NewQueue(100, 1000)
	leave, err := queue.Enter(context.Background(), 40)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer leave(40)
	fmt.Println(queue.Status().ActiveTokens)
	// Output: 40
}
