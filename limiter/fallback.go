package limiter

import (
	"context"
	"sync/atomic"
	"time"

	ulule "github.com/ulule/limiter/v3"
)

// Fallback uses a shared store and, while that fails, a local one. A failure is reported once, not at every request,
// and the shared store is left alone for a while after it, so that no client waits for a dead server.
type Fallback struct {
	shared, local ulule.Store
	timeout       time.Duration
	pause         time.Duration
	report        func(error)
	retryAt       atomic.Int64 // Unix nanoseconds; 0 while the shared store works
}

var _ ulule.Store = (*Fallback)(nil)

// NewFallback returns a store that gives shared at most timeout to answer and, after a failure, leaves it alone for
// pause. report is called with the error when the local store takes over and with nil when the shared one is back.
func NewFallback(shared, local ulule.Store, timeout, pause time.Duration, report func(error)) *Fallback {
	return &Fallback{shared: shared, local: local, timeout: timeout, pause: pause, report: report}
}

// Get counts one request.
func (f *Fallback) Get(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return f.Increment(ctx, key, 1, rate)
}

// Peek returns the state of a key and counts nothing.
func (f *Fallback) Peek(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return f.Increment(ctx, key, 0, rate)
}

// Increment counts n requests in the store that works.
func (f *Fallback) Increment(ctx context.Context, key string, n int64, rate ulule.Rate) (ulule.Context, error) {
	return f.try(ctx, func(ctx context.Context, store ulule.Store) (ulule.Context, error) {
		return store.Increment(ctx, key, n, rate)
	})
}

// Reset forgets a key in the store that works.
func (f *Fallback) Reset(ctx context.Context, key string, rate ulule.Rate) (ulule.Context, error) {
	return f.try(ctx, func(ctx context.Context, store ulule.Store) (ulule.Context, error) {
		return store.Reset(ctx, key, rate)
	})
}

func (f *Fallback) try(ctx context.Context, do func(context.Context, ulule.Store) (ulule.Context, error)) (ulule.Context, error) {
	retryAt := f.retryAt.Load()
	if time.Now().UnixNano() < retryAt {
		return do(ctx, f.local)
	}
	bounded, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	state, err := do(bounded, f.shared)
	if err == nil {
		if retryAt != 0 && f.retryAt.CompareAndSwap(retryAt, 0) {
			f.report(nil)
		}
		return state, nil
	}
	if ctx.Err() == nil && f.retryAt.CompareAndSwap(retryAt, time.Now().Add(f.pause).UnixNano()) && retryAt == 0 {
		f.report(err)
	}
	return do(ctx, f.local)
}
