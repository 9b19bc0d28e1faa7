package modelstore

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// ErrEmpty is returned by Acquire while no bundle is installed.
var ErrEmpty = errors.New("modelstore: no models are loaded")

// Store holds the current bundle. The zero Store is empty and ready to use.
// It is safe to use from concurrent goroutines.
type Store[T io.Closer] struct {
	current atomic.Pointer[Bundle[T]]

	mu       sync.Mutex
	retiring []*Bundle[T]  // replaced and not yet closed, oldest first
	closed   chan struct{} // is closed when one of them is
	coming   chan struct{} // is closed by the Swap that Vacate announced
}

// Acquire returns the current bundle. The caller must Release it. Acquire it
// when work begins and not while it waits: a waiting request must not keep old
// models in memory.
func (s *Store[T]) Acquire() (*Bundle[T], error) {
	for {
		b := s.current.Load()
		if b == nil {
			return nil, ErrEmpty
		}
		if b.tryAcquire() {
			return b, nil
		}
		// b was replaced and closed since it was read: read again.
	}
}

// Current returns the current bundle without acquiring it, for reports; nil if
// there is none.
func (s *Store[T]) Current() *Bundle[T] { return s.current.Load() }

// Swap installs b, whose reference it takes over, and lets go of the bundle
// before it, which it returns (nil if there was none). It does not wait: the
// old bundle closes when its last request releases it. A nil b empties the store.
func (s *Store[T]) Swap(b *Bundle[T]) *Bundle[T] { return s.swap(b, nil) }

// Vacate empties the store as Swap(nil) does and announces that Swap will be
// called again soon: Await waits for that.
func (s *Store[T]) Vacate() *Bundle[T] { return s.swap(nil, make(chan struct{})) }

func (s *Store[T]) swap(b *Bundle[T], coming chan struct{}) *Bundle[T] {
	if b != nil {
		b.onClose = func(error) { s.forget(b) }
	}
	s.mu.Lock()
	if s.coming != nil {
		close(s.coming)
	}
	s.coming = coming
	old := s.current.Swap(b)
	if old != nil {
		old.retired.Store(time.Now().UnixNano())
		s.retiring = append(s.retiring, old)
	}
	s.mu.Unlock()
	if old != nil {
		_ = old.Release() // an error of Close is reported to the last releaser
	}
	return old
}

// Await waits for a bundle that Vacate announced. It returns nil once there is
// one, ErrEmpty if none is coming, and ctx's error if that ends first.
func (s *Store[T]) Await(ctx context.Context) error {
	for {
		s.mu.Lock()
		present, coming := s.current.Load() != nil, s.coming
		s.mu.Unlock()
		switch {
		case present:
			return nil
		case coming == nil:
			return ErrEmpty
		}
		select {
		case <-coming:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// forget drops a closed bundle from the list of those that retire.
func (s *Store[T]) forget(b *Bundle[T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.retiring = slices.DeleteFunc(s.retiring, func(x *Bundle[T]) bool { return x == b })
	if s.closed != nil {
		close(s.closed)
		s.closed = nil
	}
}

// Retiring returns the bundles that are replaced and still in use, oldest first.
func (s *Store[T]) Retiring() []*Bundle[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.retiring)
}

// Drain waits until every replaced bundle is closed, or ctx ends; then it
// returns ctx's error, and Retiring tells who is left.
func (s *Store[T]) Drain(ctx context.Context) error {
	for {
		s.mu.Lock()
		if len(s.retiring) == 0 {
			s.mu.Unlock()
			return nil
		}
		if s.closed == nil {
			s.closed = make(chan struct{})
		}
		closed := s.closed
		s.mu.Unlock()
		select {
		case <-closed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
