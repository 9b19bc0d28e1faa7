package handlers

import (
	"bufio"
	"sync"
)

// outbox keeps what a stream sends until its client takes it, so that work never waits for a client that reads
// slowly. What it holds is bounded by the answer. One goroutine fills it and closes it, another delivers.
type outbox struct {
	mu     sync.Mutex
	filled sync.Cond
	bytes  []byte
	closed bool
	err    error // of the first delivery that failed
}

func newOutbox() *outbox {
	o := &outbox{}
	o.filled.L = &o.mu
	return o
}

// Write implements io.Writer.
func (o *outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.bytes = append(o.bytes, p...)
	}
	return len(p), o.err
}

// Flush lets what was written be delivered, and returns why nothing can be any more.
func (o *outbox) Flush() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.filled.Signal()
	return o.err
}

// close says that nothing follows.
func (o *outbox) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.filled.Signal()
}

// deliver writes to w what comes until the outbox is closed, also when w fails: its caller waits for the work.
func (o *outbox) deliver(w *bufio.Writer) {
	for {
		next, more := o.take()
		_, err := w.Write(next)
		if err == nil {
			err = w.Flush()
		}
		if o.fail(err); !more {
			return
		}
	}
}

// take waits for what was written and reports whether more may follow.
func (o *outbox) take() (next []byte, more bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.bytes) == 0 && !o.closed {
		o.filled.Wait()
	}
	next, o.bytes = o.bytes, nil
	return next, !o.closed
}

func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		o.err = err
	}
}
