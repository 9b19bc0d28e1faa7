package handlers

import (
	"bufio"
	"io"
	"net"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/valyala/fasthttp"
)

// sendStream answers with what write writes, while it writes.
func (s *service) sendStream(c *fiber.Ctx, write fasthttp.StreamWriter) {
	c.Locals(streamingKey, true)
	if c.Request().Header.IsHTTP11() {
		c.Context().SetBodyStreamWriter(write)
		return
	}
	s.sendUnchunked(c, write)
}

// sendUnchunked is for HTTP/1.0, which knows no chunks: the end of the connection is the answer's. Fasthttp sends a stream
// of unknown length in chunks whatever it is told, so this writes to the connection itself, and leaves it to fasthttp to
// close it.
func (s *service) sendUnchunked(c *fiber.Ctx, write fasthttp.StreamWriter) {
	start, _ := c.Locals(startKey).(time.Time)
	setResponseTime(c, time.Since(start))
	ctx := c.Context()
	ctx.SetConnectionClose()
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(func(net.Conn) {})
	s.extend(ctx.Conn())
	out := bufio.NewWriter(ctx.Conn())
	_ = ctx.Response.Header.Write(out) // a failure shows at the flush
	if ctx.IsHead() {
		_ = out.Flush()
		out.Reset(io.Discard)
	}
	write(out)
	_ = out.Flush()
}
