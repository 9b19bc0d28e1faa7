package handlers

import (
	"context"
	"net"
	"syscall"
	"time"
)

// disconnectPoll is how often a running request looks whether its client is still there.
const disconnectPoll = 100 * time.Millisecond

// cancelWhenGone returns a context that is cancelled when the client closes its connection, and a function to stop
// watching. fasthttp does not read from a connection while it answers, so this peeks at the socket.
func cancelWhenGone(ctx context.Context, conn net.Conn) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return ctx, cancel
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return ctx, cancel
	}
	go func() {
		ticker := time.NewTicker(disconnectPoll)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
				if gone(raw) {
					cancel()
				}
			}
		}
	}()
	return ctx, cancel
}

// gone peeks one byte: none and no error is the end of the stream.
func gone(raw syscall.RawConn) bool {
	ended := false
	err := raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		ended = n == 0 && err == nil || err == syscall.ECONNRESET
	})
	return ended || err != nil
}
