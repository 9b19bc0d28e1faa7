package handlers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// fakeModel translates "Hello." to "<swh_Latn>Hello.": enough to see what the service hands to a model and back. Some
// texts ask for trouble.
type fakeModel struct {
	running, cancelled, calls atomic.Int64
}

func (m *fakeModel) Translate(ctx context.Context, r translate.Request) (translate.Result, error) {
	m.calls.Add(1)
	m.running.Add(1)
	defer m.running.Add(-1)
	result := translate.Result{Source: r.Source, Inference: time.Millisecond, Tokens: 3}
	switch {
	case strings.HasPrefix(r.Text, "panic"):
		panic("secret inside")
	case strings.HasPrefix(r.Text, "fail"):
		return result, errors.New("secret inside")
	case strings.HasPrefix(r.Text, "slow"):
		select {
		case <-ctx.Done():
			m.cancelled.Add(1)
			return result, ctx.Err()
		case <-time.After(2 * time.Second):
		}
	case strings.HasPrefix(r.Text, "https://") && !strings.Contains(r.Text, " "): // has no language and stays as it is
		if r.OnText != nil {
			r.OnText(r.Text)
		}
		return translate.Result{Source: r.Source, Text: r.Text}, nil
	}
	if r.Source == "" {
		found, _ := m.Detect(r.Text, 1)
		if found.Language == "" {
			return result, translate.ErrUndetermined
		}
		result.Source, result.Detected = found.Language, &found
	}
	if isTibetan(r.Text) {
		return result, &translate.UnsupportedLanguageError{Code: unserved, Role: "source", Detected: r.Source == ""}
	}
	var text strings.Builder
	for _, sentence := range strings.SplitAfter(r.Text, ". ") {
		start := text.Len() - len(result.Segments)*len("<>"+r.Target)
		segment := translate.Segment{Index: len(result.Segments), Start: start, End: start + len(sentence), Text: "<" + r.Target + ">" + sentence}
		words := strings.IndexFunc(sentence, unicode.IsLetter) >= 0
		if words {
			result.Segments = append(result.Segments, segment)
		} else {
			segment.Text = sentence
		}
		text.WriteString(segment.Text)
		if r.OnText != nil {
			r.OnText(segment.Text)
		}
		if words && r.OnSegment != nil {
			r.OnSegment(segment)
		}
	}
	result.Text = text.String()
	return result, nil
}

func (m *fakeModel) Languages() []string { return nil }

// unserved is the language that the fake detects in Tibetan letters, which it does not translate.
const unserved = "bod_Tibt"

func isTibetan(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return unicode.Is(unicode.Tibetan, r) }) == 0
}

// Detect takes all text for English but what is no more than "Hm", "NASA" or in Tibetan letters.
func (m *fakeModel) Detect(text string, k int) (translate.Detection, error) {
	switch text = strings.TrimSpace(text); {
	case strings.IndexFunc(text, unicode.IsLetter) < 0, text == "Hm":
		return translate.Detection{}, nil
	case text == "NASA":
		return translate.Detection{Language: "swh_Latn", Confidence: 0.5}, nil
	case isTibetan(text):
		return translate.Detection{Language: unserved, Confidence: 0.8}, nil
	}
	candidates := []translate.Candidate{
		{Language: "eng_Latn", Confidence: 0.9}, {Language: "fra_Latn", Confidence: 0.05}, {Language: "swh_Latn", Confidence: 0.01},
	}
	return translate.Detection{Language: "eng_Latn", Confidence: 0.9, Candidates: candidates[:min(k, 3)]}, nil
}

// fakeModels hands out one model, or none.
type fakeModels struct {
	model   *fakeModel
	version atomic.Value
	missing atomic.Bool
	held    atomic.Int64
}

func (m *fakeModels) Acquire() (handlers.Model, func(), error) {
	if m.missing.Load() {
		return handlers.Model{}, nil, handlers.ErrNoModel
	}
	m.held.Add(1)
	version, _ := m.version.Load().(string)
	return handlers.Model{Translator: m.model, Version: version}, sync.OnceFunc(func() { m.held.Add(-1) }), nil
}

func (m *fakeModels) Status() []handlers.ModelStatus {
	if m.missing.Load() {
		return []handlers.ModelStatus{{Name: "translate", State: "loading", Progress: 0.5}}
	}
	return []handlers.ModelStatus{{Name: "translate", Revision: "abc", State: "available"}}
}

// server is a running service with fakes behind it.
type server struct {
	t      *testing.T
	url    string
	models *fakeModels
	logs   *logBuffer
	app    *fiber.App
}

// logBuffer is a log that tests read while the service writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// start runs a service on loopback; change, if not nil, adjusts its options.
func start(t *testing.T, change func(*handlers.Options)) *server {
	t.Helper()
	s := &server{t: t, models: &fakeModels{model: &fakeModel{}}, logs: &logBuffer{}}
	s.models.version.Store("v1")
	logger, err := telemetry.NewLogger(s.logs, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	options := handlers.Options{Models: s.models, Log: logger, Metrics: telemetry.NewMetrics(), ServeMetrics: true, MaxCharacters: 100, CORSOrigins: []string{"*"}}
	if change != nil {
		change(&options)
	}
	if s.app, err = handlers.New(options); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + listener.Addr().String()
	go func() { _ = s.app.Listener(listener) }()
	t.Cleanup(func() { _ = s.app.ShutdownWithTimeout(time.Second) })
	return s
}

// answer is a response read whole.
type answer struct {
	*http.Response
	body string
}

// json decodes the body.
func (a answer) json(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(a.body), &out); err != nil {
		t.Fatalf("%v: %s", err, a.body)
	}
	return out
}

// do sends a request; headers are pairs of name and value.
func (s *server) do(method, path, body string, headers ...string) answer {
	s.t.Helper()
	request, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return answer{response, string(read)}
}

func (s *server) post(path, body string, headers ...string) answer {
	s.t.Helper()
	return s.do("POST", path, body, append([]string{"Content-Type", "application/json"}, headers...)...)
}

func (s *server) get(path string, headers ...string) answer {
	s.t.Helper()
	return s.do("GET", path, "", headers...)
}

// wantError checks an error's code and type and that its shape is whole.
func wantError(t *testing.T, a answer, code int, errorType string) map[string]any {
	t.Helper()
	if a.StatusCode != code {
		t.Errorf("status %d, want %d: %s", a.StatusCode, code, a.body)
	}
	got := a.json(t)
	for _, key := range []string{"error", "error_type", "message", "details", "request_id"} {
		if got[key] == nil {
			t.Errorf("no %s in %s", key, a.body)
		}
	}
	if got["error_type"] != errorType {
		t.Errorf("error_type %v, want %s: %s", got["error_type"], errorType, a.body)
	}
	if got["request_id"] != a.Header.Get("X-Request-ID") {
		t.Errorf("request_id %v, header %s", got["request_id"], a.Header.Get("X-Request-ID"))
	}
	return got
}
