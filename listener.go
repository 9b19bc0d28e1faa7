package main

import (
	"errors"
	"net"
	"syscall"
	"time"

	"github.com/sirupsen/logrus"
)

// patientListener outlives a shortage of descriptors or memory, which would end fasthttp's server and with it the
// service: anybody can open connections.
type patientListener struct {
	net.Listener
	log *logrus.Logger
}

// Pauses after a connection could not be accepted.
const (
	leastPause = 5 * time.Millisecond
	mostPause  = time.Second
)

// Accept waits and tries again, as net/http does, each time longer.
func (l patientListener) Accept() (net.Conn, error) {
	for pause := leastPause; ; pause = min(2*pause, mostPause) {
		conn, err := l.Listener.Accept()
		if !passing(err) {
			return conn, err
		}
		l.log.WithError(err).Warn("accept_failed")
		time.Sleep(pause)
	}
}

// passing reports whether an error says that something is short at the moment.
func passing(err error) bool {
	for _, short := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED} {
		if errors.Is(err, short) {
			return true
		}
	}
	return false
}
