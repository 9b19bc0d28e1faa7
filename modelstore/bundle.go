// Package modelstore hands the models that serve now to requests, and retires
// those before them when their last user is done.
//
// A request acquires the current Bundle, uses it from start to end and releases
// it. Swap installs a new Bundle at once for the requests that follow; the old
// one is closed by its last Release, or stays and is reported by Retiring.
package modelstore

import (
	"io"
	"sync/atomic"
	"time"
)

// State is where a bundle is in its life.
type State string

// The states of a bundle.
const (
	Available State = "available" // it is current
	Draining  State = "draining"  // replaced, and still used by requests
	Closed    State = "closed"
)

// A Bundle is one generation of models. It is immutable but for its counts,
// and safe to use from concurrent goroutines.
type Bundle[T io.Closer] struct {
	Models   T
	Revision string // which generation this is: a commit, or a name for a folder
	Source   string // where it was loaded from, for people
	LoadedAt time.Time

	refs    atomic.Int64 // 1 for the store and 1 a user; 0: closed
	served  atomic.Int64
	retired atomic.Int64 // unix nanoseconds of its replacement, 0 while current
	onClose func(error)
}

// NewBundle returns a bundle that holds models, with the one reference that
// Swap hands to the store. A bundle that is never swapped in must be released.
func NewBundle[T io.Closer](models T, revision, source string) *Bundle[T] {
	b := &Bundle[T]{Models: models, Revision: revision, Source: source, LoadedAt: time.Now()}
	b.refs.Store(1)
	return b
}

// tryAcquire adds a reference, unless the last one is gone: a closed bundle
// can't be brought back, however late a reader of the pointer comes.
func (b *Bundle[T]) tryAcquire() bool {
	for {
		n := b.refs.Load()
		if n == 0 {
			return false
		}
		if b.refs.CompareAndSwap(n, n+1) {
			b.served.Add(1)
			return true
		}
	}
}

// Release drops a reference that Acquire or NewBundle gave. The last one closes
// the models and returns their error. One release too many panics: it would
// close models under a request that uses them.
func (b *Bundle[T]) Release() error {
	n := b.refs.Add(-1)
	switch {
	case n < 0:
		panic("modelstore: bundle released twice")
	case n > 0:
		return nil
	}
	err := b.Models.Close()
	if b.onClose != nil {
		b.onClose(err)
	}
	return err
}

// References returns how many requests use the bundle now.
func (b *Bundle[T]) References() int64 {
	n := b.refs.Load()
	if n > 0 && b.retired.Load() == 0 {
		n-- // the store's own
	}
	return n
}

// Served returns how many requests have acquired the bundle.
func (b *Bundle[T]) Served() int64 { return b.served.Load() }

// State returns where the bundle is in its life.
func (b *Bundle[T]) State() State {
	switch {
	case b.refs.Load() == 0:
		return Closed
	case b.retired.Load() != 0:
		return Draining
	}
	return Available
}

// RetiredAt returns when the bundle was replaced, or zero while it is current.
func (b *Bundle[T]) RetiredAt() time.Time {
	if n := b.retired.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}
