package handlers_test

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/sematech/sema/modelstore"
)

// oldRequest is a request of HTTP/1.0.
func oldRequest(method, path, body string, headers ...string) string {
	head := fmt.Sprintf("%s %s HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: %d\r\n", method, path, len(body))
	for i := 0; i < len(headers); i += 2 {
		head += headers[i] + ": " + headers[i+1] + "\r\n"
	}
	return head + "\r\n" + body
}

// wantUnchunked checks the head of a stream for HTTP/1.0.
func wantUnchunked(t *testing.T, what string, a answer) {
	t.Helper()
	if a.StatusCode != 200 || len(a.TransferEncoding) > 0 || a.ContentLength != -1 || !a.Close || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream") ||
		a.Header.Get("X-Response-Time") == "" || a.Header.Get("X-Request-ID") == "" {
		t.Errorf("%s: %d %v, transfer encoding %v, length %d", what, a.StatusCode, a.Header, a.TransferEncoding, a.ContentLength)
	}
}

// TestStreamsOfHTTP10 end with their connection: that version knows no chunks.
func TestStreamsOfHTTP10(t *testing.T) {
	s := start(t, nil)
	const path = "/api/v4/translator/stream?text=Hello&source=eng_Latn&target=swh_Latn"
	for what, request := range map[string]string{
		"ours": oldRequest("POST", "/translate/stream", hello), "nllb-api's": oldRequest("GET", path, ""),
		"kept alive": oldRequest("POST", "/translate/stream", hello, "Connection", "keep-alive"),
	} {
		a, _ := s.raw(request)
		wantUnchunked(t, what, a)
		if body, err := io.ReadAll(a.Body); err != nil || !strings.HasSuffix(string(body), "\n\n") || !strings.Contains(string(body), "Hello") {
			t.Errorf("%s: %q, %v", what, body, err)
		}
	}
	a, _ := s.raw(oldRequest("HEAD", path, ""))
	if rest, err := io.ReadAll(a.Body); err != nil || len(rest) > 0 {
		t.Errorf("after the head alone: %q, %v", rest, err)
	}
	if s.models.held.Load() != 0 {
		t.Error("a model is still held")
	}
	if n := strings.Count(s.logs.String(), "request_completed"); n != 4 {
		t.Errorf("%d lines in the access log", n)
	}
}

// TestEventsOfHTTP10 come when they happen.
func TestEventsOfHTTP10(t *testing.T) {
	s, control := startAdmin(t, nil)
	control.next = make(chan modelstore.Event, 1)
	a, _ := s.raw(oldRequest("GET", "/admin/reload/events", "", bearer...))
	wantUnchunked(t, "events", a)
	control.next <- modelstore.Event{ID: 1, Step: "resolve"}
	for lines := bufio.NewScanner(a.Body); lines.Scan(); {
		if lines.Text() == "event: resolve" {
			return
		}
	}
	t.Error("the stream ends without the event")
}
