package main

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/sematech/sema/telemetry"
)

// shortListener fails with each error in turn and is then closed.
type shortListener struct {
	net.Listener
	errs []error
}

func (l *shortListener) Accept() (net.Conn, error) {
	if len(l.errs) == 0 {
		return nil, net.ErrClosed
	}
	err := l.errs[0]
	l.errs = l.errs[1:]
	return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", err)}
}

// TestListenerOutlivesShortages: only what will not pass ends the service.
func TestListenerOutlivesShortages(t *testing.T) {
	log, err := telemetry.NewLogger(io.Discard, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	short := &shortListener{errs: []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ECONNABORTED}}
	if _, err := (patientListener{short, log}).Accept(); !errors.Is(err, net.ErrClosed) || len(short.errs) > 0 {
		t.Errorf("%v, with %d to come", err, len(short.errs))
	}
	if _, err := (patientListener{&shortListener{errs: []error{syscall.EBADF}}, log}).Accept(); !errors.Is(err, syscall.EBADF) {
		t.Errorf("%v", err)
	}
}
