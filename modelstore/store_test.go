package modelstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// models is content that knows whether it was closed.
type models struct{ closed atomic.Bool }

func (m *models) Close() error {
	if m.closed.Swap(true) {
		panic("closed twice")
	}
	return nil
}

func TestEmptyStore(t *testing.T) {
	var s Store[*models]
	if _, err := s.Acquire(); !errors.Is(err, ErrEmpty) {
		t.Fatalf("Acquire of an empty store: %v, want ErrEmpty", err)
	}
}

func TestSwapRetires(t *testing.T) {
	var s Store[*models]
	a, b := NewBundle(&models{}, "a", ""), NewBundle(&models{}, "b", "")
	s.Swap(a)
	held, err := s.Acquire()
	if err != nil || held != a {
		t.Fatalf("Acquire: %v, %v", held, err)
	}
	if old := s.Swap(b); old != a {
		t.Fatalf("Swap returned %v, want the bundle before", old)
	}
	if a.State() != Draining || a.Models.closed.Load() || len(s.Retiring()) != 1 || a.References() != 1 {
		t.Fatalf("a request still uses a: state %s, %d retiring, %d references", a.State(), len(s.Retiring()), a.References())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	if err := s.Drain(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("Drain with a user left: %v", err)
	}
	go held.Release()
	if err := s.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	if a.State() != Closed || !a.Models.closed.Load() || a.tryAcquire() {
		t.Fatal("a closed bundle must stay closed")
	}
}

// TestAwait waits for announced bundles only.
func TestAwait(t *testing.T) {
	var s Store[*models]
	ctx := context.Background()
	if err := s.Await(ctx); !errors.Is(err, ErrEmpty) {
		t.Fatalf("nothing is coming: %v", err)
	}
	s.Swap(NewBundle(&models{}, "a", ""))
	if err := s.Await(ctx); err != nil {
		t.Fatal(err)
	}
	s.Vacate()
	short, cancel := context.WithTimeout(ctx, 5*time.Millisecond)
	defer cancel()
	if err := s.Await(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("still coming: %v", err)
	}
	waited := make(chan error)
	go func() { waited <- s.Await(ctx) }()
	s.Swap(NewBundle(&models{}, "b", ""))
	if err := <-waited; err != nil {
		t.Fatal(err)
	}
	s.Vacate()
	go func() { waited <- s.Await(ctx) }()
	s.Swap(nil) // given up
	if err := <-waited; !errors.Is(err, ErrEmpty) {
		t.Fatalf("given up: %v", err)
	}
}

// TestClosedIsNeverRevived is the race of a reader that loaded the pointer,
// lost its turn while the bundle closed, and comes back.
func TestClosedIsNeverRevived(t *testing.T) {
	var s Store[*models]
	a := NewBundle(&models{}, "a", "")
	s.Swap(a)
	late := s.current.Load()
	s.Swap(NewBundle(&models{}, "b", ""))
	if late.tryAcquire() {
		t.Fatal("a closed bundle was acquired")
	}
	if got, err := s.Acquire(); err != nil || got.Revision != "b" {
		t.Fatalf("Acquire: %v, %v", got, err)
	}
}

func TestReleasedTwicePanics(t *testing.T) {
	b := NewBundle(&models{}, "a", "")
	b.Release()
	defer func() {
		if recover() == nil {
			t.Fatal("no panic")
		}
	}()
	b.Release()
}

func TestConcurrentSwaps(t *testing.T) {
	var s Store[*models]
	s.Swap(NewBundle(&models{}, "0", ""))
	var users sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		users.Add(1)
		go func() {
			defer users.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				b, err := s.Acquire()
				if err != nil {
					t.Error(err)
					return
				}
				if b.Models.closed.Load() {
					t.Error("acquired a closed bundle")
				}
				b.Release()
			}
		}()
	}
	var all []*Bundle[*models]
	for i := range 20000 {
		b := NewBundle(&models{}, fmt.Sprint(i), "")
		all = append(all, b)
		s.Swap(b)
	}
	close(stop)
	users.Wait()
	s.Swap(nil)
	if err := s.Drain(context.Background()); err != nil {
		t.Fatal(err)
	}
	for _, b := range all {
		if b.State() != Closed {
			t.Fatalf("bundle %s is %s", b.Revision, b.State())
		}
	}
}

func Example() {
	var store Store[*models]
	store.Swap(NewBundle(&models{}, "c0ffee", "models/"))
	b, err := store.Acquire()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer b.Release()
	fmt.Println(b.Revision, b.State())
	// Output: c0ffee available
}
