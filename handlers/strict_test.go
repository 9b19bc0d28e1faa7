package handlers_test

import (
	"bufio"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/handlers"
)

// raw sends bytes and returns the answer to them and its connection.
func (s *server) raw(request string) (answer, net.Conn) {
	s.t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	_, _ = conn.Write([]byte(request))
	_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.t.Fatal(err)
	}
	body := make([]byte, max(response.ContentLength, 0))
	for n := 0; n < len(body); {
		read, err := response.Body.Read(body[n:])
		if n += read; err != nil {
			break
		}
	}
	return answer{response, string(body)}, conn
}

func TestUnknownMethod(t *testing.T) {
	s := start(t, nil)
	got := s.do("FROBNICATE", "/live", "")
	wantError(t, got, 405, "method_not_allowed")
	if got.Header.Get("X-Request-ID") == "" || got.Header.Get("X-Content-Type-Options") == "" {
		t.Errorf("%v", got.Header)
	}
}

func TestMalformedHTTPShowsNothing(t *testing.T) {
	got, _ := start(t, nil).raw("POST /translate HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer hidden\r\nContent-Length: -5\r\n\r\n{}")
	wantError(t, got, 400, "bad_request")
	if strings.Contains(got.body, "hidden") || strings.Contains(got.body, "buffer") {
		t.Error(got.body)
	}
}

// TestLengthToldTwice: a proxy may have believed the other length.
func TestLengthToldTwice(t *testing.T) {
	s := start(t, nil)
	for _, lengths := range []string{"Content-Length: 4\r\nTransfer-Encoding: chunked", "Content-Length: 2\r\nContent-Length: 4"} {
		got, conn := s.raw("POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + lengths + "\r\n\r\n0\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n")
		wantError(t, got, 400, "bad_request")
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Errorf("%s: the connection lives on", lengths)
		}
	}
}

// TestEarlyErrors: what is refused before any middleware runs has the same headers and labels.
func TestEarlyErrors(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.BodyLimit = 1000; o.CORSOrigins = []string{"https://a.example"} })
	got := s.post("/translate", `{"text":"`+strings.Repeat("x", 2000)+`"}`, "Origin", "https://a.example")
	wantError(t, got, 413, "body_too_large")
	for _, header := range []string{"Access-Control-Allow-Origin", "X-Response-Time", "Content-Security-Policy", "X-Request-ID"} {
		if got.Header.Get(header) == "" {
			t.Errorf("no %s: %v", header, got.Header)
		}
	}
	wantError(t, s.get("/translate"), 405, "method_not_allowed")
	metrics := s.get("/metrics").body
	for _, want := range []string{`sema_errors_total{error_type="body_too_large",endpoint="/translate"} 1`, `sema_errors_total{error_type="method_not_allowed",endpoint="/translate"} 1`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
}

// TestTrickledBody: what is too large is not read for ever, however slowly it comes.
func TestTrickledBody(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.ReadTimeout = 300 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99000000\r\n\r\n{"))
	stop := time.AfterFunc(10*time.Second, func() { _ = conn.Close() })
	defer stop.Stop()
	go func() {
		for {
			if _, err := conn.Write([]byte("x")); err != nil {
				return
			}
			time.Sleep(50 * time.Millisecond)
		}
	}()
	if status, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(status, "413") {
		t.Errorf("%q %v", status, err)
	}
}

func TestAnswersVaryByOrigin(t *testing.T) {
	listed := start(t, func(o *handlers.Options) { o.CORSOrigins = []string{"https://a.example"} })
	if a := listed.get("/languages"); !strings.Contains(a.Header.Get("Vary"), "Origin") {
		t.Errorf("a cache would give this to every origin: %v", a.Header)
	}
	if a := start(t, nil).get("/languages"); strings.Contains(a.Header.Get("Vary"), "Origin") {
		t.Errorf("all origins get the same: %v", a.Header)
	}
}

// TestAccessLogOfManyTexts: batches and other services' clients have the fields of a translation.
func TestAccessLogOfManyTexts(t *testing.T) {
	s := start(t, nil)
	s.post("/translate/batch", `{"texts":["Hello","Bye"],"target_languages":["swh_Latn","fra_Latn"],"source_language":"eng_Latn"}`, "X-Request-ID", "many-texts-1")
	s.post("/v2/translate", `{"text":["Hello"],"target_lang":"SW","source_lang":"EN"}`, "X-Request-ID", "many-texts-2")
	s.post("/translate", `{"text":"","target_language":"swh_Latn"}`, "X-Request-ID", "many-texts-3")
	want := map[string]map[string]any{
		"many-texts-1": {"source_language": "eng_Latn", "target_language": "mixed", "character_count": 8.0},
		"many-texts-2": {"source_language": "eng_Latn", "target_language": "swh_Latn", "character_count": 5.0},
		"many-texts-3": {"error_type": "empty_text"},
	}
	for _, text := range strings.Split(strings.TrimSpace(s.logs.String()), "\n") {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err != nil {
			t.Fatal(err)
		}
		id, _ := line["request_id"].(string)
		for field, value := range want[id] {
			if line[field] != value {
				t.Errorf("%s: %s = %v, want %v", id, field, line[field], value)
			}
		}
		if id != "many-texts-3" && line["inference_time"] == nil {
			t.Errorf("%s has no inference_time", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("no lines of %v", want)
	}
}
