package handlers

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// QueueError says why the queue refuses a request and after how long it may be tried again.
type QueueError struct {
	Reason     string
	Label      string // for the metric: "full" or "deadline"
	RetryAfter time.Duration
}

// Error implements error.
func (e *QueueError) Error() string { return "handlers: " + e.Reason }

// Queue admits work by its cost in tokens, first come first served. Both the work that runs and the work that waits
// are bounded, and a request whose deadline the measured speed can't meet is refused at once. It is safe for
// concurrent use.
type Queue struct {
	mu             sync.Mutex
	maxActive      int
	maxWaiting     int
	active         int
	waiting        list.List // of *waiter
	waitingTokens  int
	tokensPerSec   float64 // moving average over finished work; 0 until the first
	busySince      time.Time
	finishedTokens int // since busySince
}

type waiter struct {
	cost  int
	ready chan struct{}
}

// NewQueue returns a queue that lets at most maxActive tokens of work run and maxWaiting tokens wait.
func NewQueue(maxActive, maxWaiting int) *Queue {
	return &Queue{maxActive: maxActive, maxWaiting: maxWaiting}
}

// Enter waits until work of this cost may run and returns the function that ends it, which is told how much of the
// work was done: what failed, or was known already, says nothing of the speed. It returns a *QueueError when the queue
// is full or the deadline of ctx can't be met, and ctx's error when ctx ends first. Work over the bound runs alone
// rather than never.
func (q *Queue) Enter(ctx context.Context, cost int) (leave func(done int), err error) {
	cost = min(max(cost, 1), q.maxActive)
	q.mu.Lock()
	if q.waiting.Len() == 0 && q.active+cost <= q.maxActive {
		q.startLocked(cost)
		q.mu.Unlock()
		return q.leaveOnce(cost), nil
	}
	if err := q.refuseLocked(ctx, cost); err != nil {
		q.mu.Unlock()
		return nil, err
	}
	w := &waiter{cost: cost, ready: make(chan struct{})}
	element := q.waiting.PushBack(w)
	q.waitingTokens += cost
	q.mu.Unlock()
	return q.wait(ctx, element, w)
}

func (q *Queue) wait(ctx context.Context, element *list.Element, w *waiter) (func(done int), error) {
	select {
	case <-w.ready:
		return q.leaveOnce(w.cost), nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	select {
	case <-w.ready: // admitted while ctx ended: give it back
		q.active -= w.cost
	default:
		q.waiting.Remove(element)
		q.waitingTokens -= w.cost
	}
	q.admitLocked()
	return nil, ctx.Err()
}

// refuseLocked says whether a request of this cost must not wait.
func (q *Queue) refuseLocked(ctx context.Context, cost int) error {
	ahead := q.secondsLocked(q.active + q.waitingTokens)
	if q.waitingTokens+cost > q.maxWaiting {
		return &QueueError{Reason: "the queue is full", Label: "full", RetryAfter: q.secondsLocked(q.active)}
	}
	if deadline, ok := ctx.Deadline(); ok && ahead > time.Until(deadline) {
		return &QueueError{Reason: "the request could not be answered before its deadline", Label: "deadline", RetryAfter: ahead - time.Until(deadline)}
	}
	return nil
}

// secondsLocked is how long the measured speed needs for this many tokens; before any measurement, nothing.
func (q *Queue) secondsLocked(tokens int) time.Duration {
	if q.tokensPerSec == 0 {
		return 0
	}
	return time.Duration(float64(tokens) / q.tokensPerSec * float64(time.Second))
}

func (q *Queue) startLocked(cost int) {
	if q.active == 0 {
		q.busySince, q.finishedTokens = time.Now(), 0
	}
	q.active += cost
}

func (q *Queue) admitLocked() {
	for element := q.waiting.Front(); element != nil; element = q.waiting.Front() {
		w := element.Value.(*waiter)
		if q.active+w.cost > q.maxActive {
			return
		}
		q.waiting.Remove(element)
		q.waitingTokens -= w.cost
		q.startLocked(w.cost)
		close(w.ready)
	}
}

func (q *Queue) leaveOnce(cost int) func(done int) {
	var once sync.Once
	return func(done int) {
		once.Do(func() {
			q.mu.Lock()
			defer q.mu.Unlock()
			if done > 0 {
				q.measureLocked(done)
			}
			q.active -= cost
			q.admitLocked()
		})
	}
}

// measureLocked updates the speed: tokens done over the time that the service has been busy.
func (q *Queue) measureLocked(done int) {
	q.finishedTokens += done
	elapsed := time.Since(q.busySince).Seconds()
	if elapsed <= 0 {
		return
	}
	speed := float64(q.finishedTokens) / elapsed
	if q.tokensPerSec == 0 {
		q.tokensPerSec = speed
	}
	q.tokensPerSec += (speed - q.tokensPerSec) / 8
	if elapsed > 10 { // forget what is old, or a long busy time would hide a change
		q.busySince, q.finishedTokens = time.Now(), 0
	}
}

// QueueStatus is a snapshot of a Queue.
type QueueStatus struct {
	Waiting         int     `json:"waiting_requests"`
	WaitingTokens   int     `json:"waiting_tokens"`
	ActiveTokens    int     `json:"active_tokens"`
	TokensPerSecond float64 `json:"tokens_per_second"`
}

// Status returns the queue's lengths and measured speed.
func (q *Queue) Status() QueueStatus {
	q.mu.Lock()
	defer q.mu.Unlock()
	return QueueStatus{Waiting: q.waiting.Len(), WaitingTokens: q.waitingTokens, ActiveTokens: q.active, TokensPerSecond: q.tokensPerSec}
}
