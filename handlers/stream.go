package handlers

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/translate"
)

// segmentEvent is the data of a "segment" event: a sentence's translation and where its source is, in code points.
type segmentEvent struct {
	Index          int    `json:"index"`
	Start          int    `json:"start"`
	End            int    `json:"end"`
	TranslatedText string `json:"translated_text"`
}

// tokenEvent is the data of a "token" event.
type tokenEvent struct {
	Token string `json:"token"`
}

// postTranslateStream answers with Server-Sent Events: "segment" for each sentence, "token" for each piece if asked
// for, then "done" with the whole answer, or "error".
func (s *service) postTranslateStream(c *fiber.Ctx) error {
	var body translateBody
	if err := decodeJSON(c, &body); err != nil {
		return err
	}
	request, err := s.parseRequest(body)
	if err != nil {
		return err
	}
	return s.stream(c, request, func(ctx context.Context, model Model, events *eventWriter) error {
		events.forward(&request, body.Tokens, s)
		answer, err := s.translateOne(ctx, model, request)
		if err != nil {
			return err
		}
		logTranslation(events.outcome.fields, answer)
		answer.RequestID, answer.Timestamp, answer.TotalTime = events.outcome.id, timestamp(), time.Since(events.start).Seconds()
		events.send("done", answer)
		return nil
	})
}

// stream admits the request before it answers, so that a refusal is an ordinary error, and then runs do, which
// outlives the handler and must not use the request.
func (s *service) stream(c *fiber.Ctx, request translate.Request, do func(context.Context, Model, *eventWriter) error) error {
	if c.Method() == fiber.MethodHead { // nobody reads what would be translated
		setStreamHeaders(c, "")
		return nil
	}
	ctx, cancel := context.WithTimeout(s.Context, s.RequestTimeout)
	ctx, stop := cancelWhenGone(ctx, c.Context().Conn())
	abandon := func() { stop(); cancel() }
	model, leave, err := s.enter(ctx, tokenCost(request.Text, request.BeamSize))
	if err != nil {
		abandon()
		return err
	}
	events := s.newEvents(c, abandon)
	setStreamHeaders(c, model.Version)
	s.sendStream(c, func(w *bufio.Writer) {
		events.runApart(w, func() error { return do(ctx, model, events) }, func() { leave(); abandon() })
	})
	return nil
}

func setStreamHeaders(c *fiber.Ctx, version string) {
	c.Set(fiber.HeaderContentType, "text/event-stream; charset=utf-8")
	c.Set("X-Accel-Buffering", "no")
	if version != "" {
		c.Set(modelVersionHeader, version)
	}
}

// eventSink takes what a stream sends. Flush sends it on, and fails once it can't be sent.
type eventSink interface {
	io.Writer
	Flush() error
}

// eventWriter sends Server-Sent Events; the first failure to send cancels the work.
type eventWriter struct {
	service *service
	out     eventSink
	cancel  func()
	start   time.Time
	id      uint64
	first   bool // an event with text has been sent
	outcome outcome
}

func (s *service) newEvents(c *fiber.Ctx, cancel func()) *eventWriter {
	start, _ := c.Locals(startKey).(time.Time)
	return &eventWriter{service: s, cancel: cancel, start: start, outcome: s.outcomeOf(c)}
}

// run does the work, sends its events to w and records the request when all is sent.
func (e *eventWriter) run(w *bufio.Writer, do func() error) {
	e.out = w
	e.work(do)
	e.finish()
}

// runApart is run for work that does not wait for a client that reads slowly: done is called when the work has ended,
// which may be long before all is sent.
func (e *eventWriter) runApart(w *bufio.Writer, do func() error, done func()) {
	out := newOutbox()
	e.out = out
	go func() {
		defer out.close()
		defer done()
		e.work(do)
	}()
	out.deliver(w)
	e.finish()
}

// work does the work and reports its error, or its panic, as an event.
func (e *eventWriter) work(do func() error) {
	defer func() {
		if r := recover(); r != nil {
			e.fail(e.service.recovered(r, e.outcome.id))
		}
	}()
	if err := do(); err != nil {
		e.fail(err)
	}
}

func (e *eventWriter) finish() { e.service.finish(e.outcome, time.Since(e.start)) }

func (e *eventWriter) fail(err error) {
	answer := *e.service.asAnswer(err)
	answer.RequestID = e.outcome.id
	e.outcome.status = answer.Status()
	e.service.metrics.Error(answer.Type, e.outcome.endpoint)
	if answer.Type == typeCancelled {
		e.service.metrics.Cancelled()
	}
	e.send("error", answer)
}

// send writes one event and flushes it.
func (e *eventWriter) send(name string, data any) {
	e.id++
	e.write(name, e.id, data)
}

func (e *eventWriter) write(name string, id uint64, data any) {
	encoded, err := json.Marshal(data)
	if err != nil {
		encoded = []byte("{}")
	}
	fmt.Fprintf(e.out, "event: %s\nid: %d\ndata: %s\n\n", name, id, encoded)
	if e.out.Flush() != nil {
		e.cancel()
	}
}

// forward makes the request's callbacks send events.
func (e *eventWriter) forward(request *translate.Request, tokens bool, s *service) {
	offsets := codePoints{text: request.Text}
	request.OnSegment = func(segment translate.Segment) {
		e.noteFirst(s)
		e.send("segment", segmentEvent{segment.Index, offsets.at(segment.Start), offsets.at(segment.End), segment.Text})
	}
	if tokens {
		request.OnText = func(token string) {
			e.noteFirst(s)
			e.send("token", tokenEvent{token})
		}
	}
}

func (e *eventWriter) noteFirst(s *service) {
	if !e.first {
		e.first = true
		s.metrics.FirstToken(time.Since(e.start))
	}
}

// codePoints turns byte offsets that mostly grow into offsets in code points, counting each byte once.
type codePoints struct {
	text         string
	bytes, runes int
}

func (p *codePoints) at(offset int) int {
	offset = min(max(offset, 0), len(p.text))
	if offset < p.bytes {
		p.bytes, p.runes = 0, 0
	}
	p.runes += utf8.RuneCountInString(p.text[p.bytes:offset])
	p.bytes = offset
	return p.runes
}
