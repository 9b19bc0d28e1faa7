package handlers

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/modelstore"
)

// shutdownPoll is how often an open stream of events looks whether the service shuts down.
const shutdownPoll = 250 * time.Millisecond

// getReloadEvents streams what happens in reloads, first what happened since Last-Event-ID. It ends when the client
// leaves, when it reads too slowly and when the service shuts down; clients come back with the last id they saw.
func (s *service) getReloadEvents(c *fiber.Ctx) error {
	setStreamHeaders(c, "")
	if c.Method() == fiber.MethodHead {
		return nil
	}
	after, _ := strconv.ParseUint(c.Get("Last-Event-ID"), 10, 64) // nonsense is from another stream: send all
	conn := c.Context().Conn()
	ctx, leave := cancelWhenGone(s.Context, conn)
	past, next, stop := s.Control.Events(after)
	events := s.newEvents(c, leave)
	s.sendStream(c, func(w *bufio.Writer) {
		defer func() { stop(); leave() }()
		events.run(w, func() error {
			s.follow(ctx, events, conn, past, next)
			return nil
		})
	})
	return nil
}

// follow sends past events and then next ones until ctx or next ends.
func (s *service) follow(ctx context.Context, out *eventWriter, conn net.Conn, past []modelstore.Event, next <-chan modelstore.Event) {
	heartbeat, poll := time.NewTicker(s.Heartbeat), time.NewTicker(shutdownPoll)
	defer heartbeat.Stop()
	defer poll.Stop()
	s.extend(conn)
	out.comment("reload events")
	for _, event := range past {
		out.sendEvent(event)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case event, open := <-next:
			if !open {
				return
			}
			s.extend(conn)
			out.sendEvent(event)
		case <-heartbeat.C:
			s.extend(conn)
			out.comment("heartbeat")
		case <-poll.C:
			if s.ShuttingDown() {
				return
			}
		}
	}
}

// extend gives each write the time that a whole answer has: the stream may last.
func (s *service) extend(conn net.Conn) {
	_ = conn.SetWriteDeadline(time.Now().Add(s.WriteTimeout)) // a failure shows at the write
}

// sendEvent sends a reload's event under its own id.
func (e *eventWriter) sendEvent(event modelstore.Event) {
	e.write(event.Step, event.ID, event)
}

// comment sends a line that clients ignore; it keeps proxies from closing the connection.
func (e *eventWriter) comment(text string) {
	fmt.Fprintf(e.out, ": %s\n\n", text)
	if e.out.Flush() != nil {
		e.cancel()
	}
}
