package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/cache"
	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/limiter"
)

const hello = `{"text":"Hello secret words","target_language":"swh_Latn","source_language":"eng_Latn"}`

func TestRequestID(t *testing.T) {
	s := start(t, nil)
	if got := s.get("/live", "X-Request-ID", "caller-0001").Header.Get("X-Request-ID"); got != "caller-0001" {
		t.Errorf("a well-formed id is replaced: %s", got)
	}
	uuid := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	for _, id := range []string{"", "short", "with space in it", `{"json":"injection"}`, strings.Repeat("a", 129)} {
		if got := s.get("/live", "X-Request-ID", id).Header.Get("X-Request-ID"); !uuid.MatchString(got) {
			t.Errorf("%q: %s", id, got)
		}
	}
}

func TestHeaders(t *testing.T) {
	s := start(t, nil)
	a := s.post("/translate", hello)
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Content-Security-Policy": "default-src 'none'"} {
		if !strings.HasPrefix(a.Header.Get(name), want) {
			t.Errorf("%s: %q", name, a.Header.Get(name))
		}
	}
	if d, err := time.ParseDuration(a.Header.Get("X-Response-Time")); err != nil || d <= 0 {
		t.Errorf("X-Response-Time %q", a.Header.Get("X-Response-Time"))
	}
}

func TestCORS(t *testing.T) {
	open := start(t, nil)
	a := open.do("OPTIONS", "/translate", "", "Origin", "https://a.example", "Access-Control-Request-Method", "POST")
	if a.StatusCode != 204 || a.Header.Get("Access-Control-Allow-Origin") != "*" || a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%d %v", a.StatusCode, a.Header)
	}
	listed := start(t, func(o *handlers.Options) { o.CORSOrigins, o.CORSCredentials = []string{"https://a.example"}, true })
	a = listed.post("/translate", hello, "Origin", "https://a.example")
	if a.Header.Get("Access-Control-Allow-Origin") != "https://a.example" || a.Header.Get("Access-Control-Allow-Credentials") != "true" || a.Header.Get("Vary") == "" {
		t.Errorf("%v", a.Header)
	}
	if a := listed.post("/translate", hello, "Origin", "https://b.example"); a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("%v", a.Header)
	}
}

func TestCORSNeverAnyOriginWithCredentials(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.CORSCredentials = true })
	if a := s.get("/live", "Origin", "https://a.example"); a.Header.Get("Access-Control-Allow-Credentials") != "" {
		t.Errorf("%v", a.Header)
	}
}

func TestCompression(t *testing.T) {
	s := start(t, nil)
	for _, encoding := range []string{"gzip", "br"} {
		if a := s.get("/openapi.json", "Accept-Encoding", encoding); a.Header.Get("Content-Encoding") != encoding || a.Header.Get("Vary") == "" {
			t.Errorf("%s: %v", encoding, a.Header)
		}
	}
	if a := s.get("/live", "Accept-Encoding", "gzip"); a.Header.Get("Content-Encoding") != "" {
		t.Error("a small answer is compressed")
	}
}

func TestAccessLog(t *testing.T) {
	s := start(t, nil)
	s.post("/api/v1/translate", hello, "X-Request-ID", "log-line-1")
	s.post("/api/v1/translate", `{"text":"panic","target_language":"swh_Latn"}`, "X-Request-ID", "log-line-2")
	logs := s.logs.String()
	if strings.Contains(logs, "secret words") {
		t.Error("the text is in the log")
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(logs[:strings.IndexByte(logs, '\n')]), &line); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"level": "info", "event": "request_completed", "request_id": "log-line-1", "source_language": "eng_Latn", "target_language": "swh_Latn",
		"character_count": 18.0, "client_ip": "127.0.0.1", "endpoint": "/api/v1/translate", "status": 200.0, "method": "POST",
	} {
		if line[key] != want {
			t.Errorf("%s = %v, want %v", key, line[key], want)
		}
	}
	for _, key := range []string{"timestamp", "inference_time", "total_time"} {
		if line[key] == nil {
			t.Errorf("no %s", key)
		}
	}
	if !strings.Contains(logs, `"stack":"goroutine`) || strings.Count(logs, "log-line-2") < 2 {
		t.Errorf("the panic is not in the log:\n%s", logs)
	}
}

// TestAccessLogOfAllRoutes: each says what it worked on, in our words.
func TestAccessLogOfAllRoutes(t *testing.T) {
	s := start(t, nil)
	detections := []answer{
		s.post("/detect-language", `{"text":"Hello"}`), s.post("/detect-language/batch", `{"texts":["He","llo",""]}`), s.post("/detect", `{"q":"Hello"}`),
		s.post("/language/translate/v2/detect", `{"q":["Hell","o"]}`), s.get("/api/v4/language?text=Hello"),
	}
	translations := []answer{
		s.post("/translate", `{"text":"Hello","target_language":"sw"}`), s.post("/translate", `{"q":["He","llo"],"source":"en","target":"sw"}`),
		s.post("/v2/translate", `{"text":["Hello"],"target_lang":"SW"}`), s.get("/language/translate/v2?q=Hello&target=sw"),
		s.post("/immersive", `{"text_list":["Hello"],"target_lang":"sw"}`), s.get("/api/v4/translator?text=Hello&target=sw"),
	}
	for i, a := range append(detections, translations...) {
		line := s.logged(a)
		if line["source_language"] != "eng_Latn" || line["character_count"] != 5.0 {
			t.Errorf("%v", line)
		}
		if i >= len(detections) && (line["model_version"] != "v1" || line["target_language"] != "swh_Latn") {
			t.Errorf("%v", line)
		}
	}
}

// logged is the access log's line of an answer.
func (s *server) logged(a answer) map[string]any {
	s.t.Helper()
	for text := range strings.Lines(s.logs.String()) {
		var line map[string]any
		if err := json.Unmarshal([]byte(text), &line); err == nil && line["request_id"] == a.Header.Get("X-Request-ID") {
			return line
		}
	}
	s.t.Fatalf("no line of %s in the log", a.Request.URL.Path)
	return nil
}

func TestMetrics(t *testing.T) {
	s := start(t, nil)
	s.post("/api/v1/translate", hello)
	s.post("/api/v1/detect-language", `{"text":"Hello"}`)
	s.get("/some/random/path")
	s.get("/languages/zzzz")
	got := s.get("/metrics").body
	for _, want := range []string{
		`sema_requests_total{endpoint="/api/v1/translate",status="200"} 1`,
		`sema_requests_total{endpoint="unmatched",status="404"} 1`,
		`sema_requests_total{endpoint="/languages/:code",status="404"} 1`,
		`sema_translations_total{source_lang="eng_Latn",target_lang="swh_Latn"} 1`,
		`sema_characters_translated_total 18`,
		`sema_language_detections_total{detected_lang="eng_Latn"} 1`,
		`sema_errors_total{error_type="not_found",endpoint="unmatched"} 1`,
		`sema_queue_requests 0`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("no %s", want)
		}
	}
	if promtool, err := exec.LookPath("promtool"); err == nil {
		check := exec.Command(promtool, "check", "metrics")
		check.Stdin = strings.NewReader(got)
		if out, err := check.CombinedOutput(); err != nil {
			t.Errorf("promtool: %v\n%s", err, out)
		}
	}
	off := start(t, func(o *handlers.Options) { o.ServeMetrics = false })
	wantError(t, off.get("/metrics"), 404, "not_found")
}

func TestRateLimit(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.Limits = limiter.New(limiter.NewMemory(100, nil), 2, 100) })
	for i, want := range []string{"1", "0"} {
		a := s.post("/translate", hello, "X-Forwarded-For", "198.51.100."+string(rune('1'+i)))
		if a.StatusCode != 200 || a.Header.Get("X-RateLimit-Remaining") != want || a.Header.Get("X-RateLimit-Limit") != "2" || !strings.HasPrefix(a.Header.Get("RateLimit"), `"minute";r=`+want) {
			t.Errorf("%d %v", a.StatusCode, a.Header)
		}
	}
	a := s.post("/translate", hello, "X-Forwarded-For", "198.51.100.9") // a spoofed header changes nothing
	wantError(t, a, 429, "rate_limited")
	if a.Header.Get("Retry-After") == "" || a.Header.Get("X-RateLimit-Reset") == "" {
		t.Errorf("%v", a.Header)
	}
	for _, free := range []string{"/health", "/status", "/live", "/ready", "/metrics", "/docs", "/openapi.json"} {
		if a := s.get(free); a.StatusCode != 200 || a.Header.Get("X-RateLimit-Limit") != "" {
			t.Errorf("%s: %d", free, a.StatusCode)
		}
	}
}

func TestProxies(t *testing.T) {
	remote := netip.MustParseAddr("10.0.0.9")
	for _, test := range []struct{ setting, forwarded, want string }{
		{"", "1.1.1.1", "10.0.0.9"},
		{"0", "1.1.1.1", "10.0.0.9"},
		{"1", "6.6.6.6, 1.1.1.1", "1.1.1.1"},
		{"2", "6.6.6.6, 1.1.1.1, 2.2.2.2", "1.1.1.1"},
		{"3", "1.1.1.1", "1.1.1.1"},
		{"10.0.0.0/8", "6.6.6.6, 1.1.1.1, 10.1.1.1", "1.1.1.1"},
		{"10.0.0.0/8", "6.6.6.6, 1.1.1.1", "1.1.1.1"},
		{"192.168.0.0/16", "1.1.1.1", "10.0.0.9"},
		{"10.0.0.9", "1.1.1.1:443", "1.1.1.1"},
		{"10.0.0.9", "[2001:db8::1]:443", "2001:db8::1"},
		{"10.0.0.9", "nonsense", "10.0.0.9"},
		{"10.0.0.9", "1.1.1.1, nonsense", "10.0.0.9"},
		{"huggingface", "6.6.6.6, 1.1.1.1, 10.20.0.1", "1.1.1.1"},
		{"huggingface", "10.1.1.1", "10.1.1.1"},
		{"1", "", "10.0.0.9"},
	} {
		proxies, err := handlers.ParseProxies(test.setting)
		if err != nil {
			t.Fatal(err)
		}
		if got := proxies.Client(remote, strings.Split(test.forwarded, ",")); got.String() != test.want {
			t.Errorf("%q with %q: %s, want %s", test.setting, test.forwarded, got, test.want)
		}
	}
	if _, err := handlers.ParseProxies("10.0.0.0/8,nonsense"); err == nil {
		t.Error("nonsense is accepted")
	}
}

func TestForwardedAddressIsLimited(t *testing.T) {
	s := start(t, func(o *handlers.Options) {
		o.TrustedProxies = "127.0.0.1"
		o.Limits = limiter.New(limiter.NewMemory(100, nil), 1, 0)
	})
	for _, test := range []struct {
		forwarded string
		code      int
	}{{"192.0.2.1", 200}, {"192.0.2.2", 200}, {"192.0.2.7, 192.0.2.1", 429}, {"2001:db8:0:1::1", 200}, {"2001:db8:0:1::2", 429}} {
		if a := s.post("/translate", hello, "X-Forwarded-For", test.forwarded); a.StatusCode != test.code {
			t.Errorf("%s: %d, want %d", test.forwarded, a.StatusCode, test.code)
		}
	}
}

func TestClientLeaves(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/translate", "/translate/stream", "/translate/batch"} {
		before := s.models.model.cancelled.Load()
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		body := `{"text":"slow","texts":["slow"],"target_language":"swh_Latn"}`
		request, _ := http.NewRequestWithContext(ctx, "POST", s.url+path, strings.NewReader(body))
		request.Header.Set("Content-Type", "application/json")
		if response, err := http.DefaultClient.Do(request); err == nil {
			_, _ = bufio.NewReader(response.Body).ReadByte()
			_ = response.Body.Close()
		}
		cancel()
		for range 60 {
			if s.models.model.cancelled.Load() > before {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
		if s.models.model.cancelled.Load() == before {
			t.Errorf("%s: the work goes on without its client", path)
		}
	}
}

// TestClientLeavesWithBytesUnread: what else the client sent does not hide that it is gone.
func TestClientLeavesWithBytesUnread(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells of the end of a connection before all of it is read")
	}
	s := start(t, nil)
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	body := `{"text":"slow","target_language":"swh_Latn"}`
	fmt.Fprintf(conn, "POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for s.models.model.running.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	fmt.Fprint(conn, "GET")
	conn.Close()
	for range 60 {
		if s.models.model.cancelled.Load() > 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("the work goes on without its client")
}

// TestStalledStream: a client that does not read what is streamed to it holds neither a place in the queue nor a model.
func TestStalledStream(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.MaxCharacters, o.BodyLimit, o.ActiveTokens = 2<<20, 8<<20, 1 })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	body := `{"text":"` + strings.Repeat("a. ", 100_000) + `","target_language":"swh_Latn","source_language":"eng_Latn","tokens":true}` // 20 MB of events
	fmt.Fprintf(conn, "POST /translate/stream HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
	for s.models.model.calls.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	answered := make(chan answer, 1)
	go func() { answered <- s.post("/translate", hello) }()
	select {
	case a := <-answered:
		if a.StatusCode != 200 {
			t.Errorf("another client gets %d %s", a.StatusCode, a.body)
		}
	case <-time.After(10 * time.Second):
		t.Error("another client waits")
	}
	for range 100 {
		if s.models.held.Load() == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("a model is still held")
}

func TestSlowBody(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.ReadTimeout = 200 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = conn.Write([]byte("POST /translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"))
	_ = conn.SetReadDeadline(time.Now().Add(3 * time.Second))
	status, err := bufio.NewReader(conn).ReadString('\n')
	if err != nil || !strings.Contains(status, "408") {
		t.Errorf("%q %v", status, err)
	}
}

func TestShutdown(t *testing.T) {
	var down atomic.Bool
	s := start(t, func(o *handlers.Options) { o.ShuttingDown = down.Load })
	finished := make(chan int, 1)
	go func() {
		finished <- s.post("/translate", `{"text":"slow","target_language":"swh_Latn","source_language":"en"}`).StatusCode
	}()
	for s.models.model.running.Load() == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	down.Store(true)
	wantError(t, s.post("/translate/stream", hello), 503, "shutting_down")
	if err := s.app.ShutdownWithTimeout(5 * time.Second); err != nil {
		t.Error(err)
	}
	if code := <-finished; code != 200 {
		t.Errorf("a running request got %d", code)
	}
}

func TestShutdownEndsWhatTakesTooLong(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	s := start(t, func(o *handlers.Options) { o.Context = ctx })
	finished := make(chan answer, 1)
	go func() {
		finished <- s.post("/translate", `{"text":"slow","target_language":"swh_Latn","source_language":"en"}`)
	}()
	for s.models.model.running.Load() == 0 {
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	wantError(t, <-finished, 503, "shutting_down")
}

// TestHealthWantsTheModelToWork: answers from the cache and texts without words say nothing of it.
func TestHealthWantsTheModelToWork(t *testing.T) {
	shared := cache.New(1 << 20)
	withCache := func(o *handlers.Options) { o.Cache = shared }
	start(t, withCache).post("/translate", hello)
	for body, probes := range map[string]int64{
		hello: 1, `{"text":"https://example.org","target_language":"swh_Latn"}`: 1, `{"text":"New words","target_language":"swh_Latn"}`: 0,
	} {
		s := start(t, withCache)
		if a := s.post("/translate", body); a.StatusCode != 200 {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.body)
		}
		before := s.models.model.calls.Load()
		if s.get("/health"); s.models.model.calls.Load()-before != probes {
			t.Errorf("%s: %d translations by /health, want %d", body, s.models.model.calls.Load()-before, probes)
		}
	}
}

func TestProbes(t *testing.T) {
	down := false
	s := start(t, func(o *handlers.Options) { o.ShuttingDown = func() bool { return down } })
	health := s.get("/api/v1/health")
	got := health.json(t)
	if health.StatusCode != 200 || got["status"] != "healthy" || got["models_loaded"] != true || got["last_translation"].(map[string]any)["at"] == "" {
		t.Errorf("%s", health.body)
	}
	if s.get("/ready").StatusCode != 200 || s.get("/status").json(t)["status"] != "ready" {
		t.Error("not ready")
	}
	s.models.missing.Store(true)
	if a := s.get("/ready"); a.StatusCode != 503 || !strings.Contains(a.body, `"progress":0.5`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.get("/live"); a.StatusCode != 200 {
		t.Error("not alive without a model")
	}
	a := s.post("/translate", hello)
	wantError(t, a, 503, "model_not_loaded")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.models.missing.Store(false)
	down = true
	if a := s.get("/ready"); a.StatusCode != 503 {
		t.Error("ready while shutting down")
	}
	wantError(t, s.post("/translate", hello), 503, "shutting_down")
}
