package reload

import (
	"sync"
	"time"

	"github.com/sematech/sema/modelstore"
)

const (
	rememberedEvents = 256
	readerEvents     = 64 // that a reader may be behind
)

// events remembers the last events and hands new ones to its readers.
type events struct {
	mu      sync.Mutex
	last    uint64
	ring    []modelstore.Event // oldest first
	readers map[chan modelstore.Event]struct{}
	closed  bool
}

// emit numbers and stamps an event. It never waits: a reader that is full is
// let go.
func (e *events) emit(event modelstore.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.last++
	event.ID, event.Time = e.last, time.Now().UTC()
	if len(e.ring) == rememberedEvents {
		e.ring = append(e.ring[:0], e.ring[1:]...)
	}
	e.ring = append(e.ring, event)
	for reader := range e.readers {
		select {
		case reader <- event:
		default:
			e.dropLocked(reader)
		}
	}
}

func (e *events) dropLocked(reader chan modelstore.Event) {
	if _, reads := e.readers[reader]; reads {
		delete(e.readers, reader)
		close(reader)
	}
}

// subscribe returns the remembered events after an ID and those to come. An ID
// from the future is from another life of the process: all are returned.
func (e *events) subscribe(after uint64) ([]modelstore.Event, <-chan modelstore.Event, func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if after > e.last {
		after = 0
	}
	var past []modelstore.Event
	for _, event := range e.ring {
		if event.ID > after {
			past = append(past, event)
		}
	}
	reader := make(chan modelstore.Event, readerEvents)
	if e.closed {
		close(reader)
		return past, reader, func() {}
	}
	if e.readers == nil {
		e.readers = map[chan modelstore.Event]struct{}{}
	}
	e.readers[reader] = struct{}{}
	return past, reader, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.dropLocked(reader)
	}
}

// close lets all readers go.
func (e *events) close() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	for reader := range e.readers {
		e.dropLocked(reader)
	}
}
