package limiter

import (
	"context"
	"sync/atomic"
	"time"

	ulule "github.com/ulule/limiter/v3"
)

// Fallback uses a shared store and, while that fails, a local one. A failure is reported once, not at every request,
// and the shared store is left alone for a while after it, so that no client waits for a dead server. Then one request at
// a time tries it again.
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
	retryAt, may := f.turn()
	if !may {
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

// turn says whether a request may try the shared store, and which retryAt its outcome replaces. When a pause ends, one
// request may at a time, the one that moves retryAt on, so that a store that still hangs keeps no other client waiting.
func (f *Fallback) turn() (retryAt int64, may bool) {
	retryAt = f.retryAt.Load()
	if retryAt == 0 {
		return 0, true
	}
	now := time.Now()
	probed := now.Add(2 * f.timeout).UnixNano() // by when the probe has told how it ended
	return probed, now.UnixNano() >= retryAt && f.retryAt.CompareAndSwap(retryAt, probed)
}
