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
// watching. fasthttp does not read from a connection while it answers, so this looks at the socket.
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

// gone asks the system whether the peer sends no more.
func gone(raw syscall.RawConn) bool {
	ended := false
	err := raw.Control(func(fd uintptr) { ended = hungUp(int(fd)) })
	return ended || err != nil
}
