package handlers_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
)

const (
	token  = "correct-horse"
	secret = "battery-staple"
)

// fakeControl answers by the revision asked for and remembers what it was asked.
type fakeControl struct {
	mu       sync.Mutex
	requests []modelstore.Request
	events   []modelstore.Event
	next     chan modelstore.Event
	stopped  atomic.Bool
	previous bool

	generations []modelstore.Generation // instead of those below
}

func (f *fakeControl) Generations() []modelstore.Generation {
	if f.generations != nil {
		return f.generations
	}
	return []modelstore.Generation{
		{State: "current", Revision: "abc", Source: "sematech/sema-utils", Files: []modelstore.File{{Name: "model.bin", Size: 7}}, Requests: 3},
		{State: "loading", Revision: "def", Source: "sematech/sema-utils", Step: "download", Progress: 0.25},
		{State: "failed", Revision: "bad", Source: "sematech/sema-utils", Step: "canary", Error: "it loops"},
	}
}

func (f *fakeControl) Reload(ctx context.Context, r modelstore.Request) (modelstore.Outcome, error) {
	f.mu.Lock()
	f.requests = append(f.requests, r)
	f.mu.Unlock()
	failed := func(step string) (modelstore.Outcome, error) {
		return modelstore.Outcome{Result: "failed", Step: step, Error: "no luck"}, fmt.Errorf("%w: %s: %w", modelstore.ErrReloadFailed, step, context.DeadlineExceeded)
	}
	switch r.Revision {
	case "slow":
		<-ctx.Done()
		return modelstore.Outcome{}, ctx.Err()
	case "loops":
		return failed("canary")
	case "gap":
		outcome, err := failed("canary")
		outcome.Gap = 1.25
		return outcome, err
	case "nowhere":
		return failed("resolve")
	case "folder":
		outcome, err := failed("resolve")
		return outcome, fmt.Errorf("%w: %w", err, modelstore.ErrNoHub)
	}
	return modelstore.Outcome{Result: "swapped", Revision: "def", Previous: "abc", Seconds: 0.5}, nil
}

func (f *fakeControl) Rollback(context.Context) (modelstore.Outcome, error) {
	if !f.previous {
		return modelstore.Outcome{}, modelstore.ErrNoPrevious
	}
	return modelstore.Outcome{Result: "swapped", Revision: "abc", Previous: "def"}, nil
}

func (f *fakeControl) Events(after uint64) ([]modelstore.Event, <-chan modelstore.Event, func()) {
	var past []modelstore.Event
	for _, e := range f.events {
		if e.ID > after {
			past = append(past, e)
		}
	}
	return past, f.next, func() { f.stopped.Store(true) }
}

func (f *fakeControl) asked() []modelstore.Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func startAdmin(t *testing.T, change func(*handlers.Options)) (*server, *fakeControl) {
	t.Helper()
	control := &fakeControl{next: make(chan modelstore.Event)}
	return start(t, func(o *handlers.Options) {
		o.Control, o.AdminToken, o.WebhookSecret, o.ModelRepo = control, token, secret, "sematech/sema-utils"
		if change != nil {
			change(o)
		}
	}), control
}

var bearer = []string{"Authorization", "Bearer " + token}

func TestAdminRoutesNeedToExist(t *testing.T) {
	paths := map[string]string{"/admin/models": "GET", "/admin/reload": "POST", "/admin/rollback": "POST", "/admin/reload/events": "GET", "/hooks/huggingface": "POST"}
	for name, change := range map[string]func(*handlers.Options){
		"no controller": func(o *handlers.Options) { o.Control = nil },
		"no secrets":    func(o *handlers.Options) { o.AdminToken, o.WebhookSecret = "", "" },
	} {
		s, _ := startAdmin(t, change)
		for path, method := range paths {
			for _, prefix := range []string{"", "/api/v1"} {
				if a := s.do(method, prefix+path, "", append(bearer, "X-Webhook-Secret", "")...); a.StatusCode != 404 {
					t.Errorf("%s: %s: %d", name, path, a.StatusCode)
				}
			}
		}
		if strings.Contains(s.get("/openapi.json").body, "admin") {
			t.Errorf("%s: the routes are documented", name)
		}
	}
}

func TestAdminToken(t *testing.T) {
	s, control := startAdmin(t, nil)
	a := s.post("/admin/reload", "")
	wantError(t, a, 401, "unauthorized")
	if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("%v", a.Header)
	}
	for _, header := range []string{"Basic " + token, token, "Bearer"} {
		wantError(t, s.get("/admin/models", "Authorization", header), 401, "unauthorized")
	}
	if a := s.get("/api/v1/admin/models", bearer...); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for i := range 10 {
		wantError(t, s.get("/admin/models", "Authorization", fmt.Sprintf("Bearer %s%d", token, i)), 401, "unauthorized")
	}
	for _, authorization := range []string{"Bearer wrong", bearer[1]} {
		if a := s.get("/admin/models", "Authorization", authorization); a.StatusCode != 429 || a.Header.Get("Retry-After") == "" {
			t.Errorf("after ten wrong tokens: %d", a.StatusCode)
		}
	}
	if a := s.post("/translate", hello); a.StatusCode != 200 {
		t.Errorf("who guesses tokens can't translate: %d", a.StatusCode)
	}
	if len(control.asked()) > 0 {
		t.Error("a reload without a token")
	}
	if logs := s.logs.String(); strings.Contains(logs, token) || !strings.Contains(logs, "wrong_secret") {
		t.Errorf("the log: %s", logs)
	}
}

func TestAdminModels(t *testing.T) {
	s, _ := startAdmin(t, nil)
	got := s.get("/admin/models", bearer...).json(t)
	models := got["models"].([]any)
	first := models[0].(map[string]any)
	if got["total"] != 3.0 || first["state"] != "current" || first["requests_served"] != 3.0 || first["files"].([]any)[0].(map[string]any)["name"] != "model.bin" {
		t.Errorf("%v", got)
	}
}

func TestAdminReload(t *testing.T) {
	s, control := startAdmin(t, func(o *handlers.Options) { o.RequestTimeout = 300 * time.Millisecond })
	for _, test := range []struct {
		query, body string
		want        modelstore.Request
	}{
		{"", "", modelstore.Request{Trigger: "admin", Force: true}},
		{"?dry_run=false", "{}", modelstore.Request{Trigger: "admin", Force: true}},
		{"?dry_run=true", `{"revision":"v2"}`, modelstore.Request{Trigger: "admin", Revision: "v2", DryRun: true, Force: true}},
	} {
		a := s.post("/admin/reload"+test.query, test.body, bearer...)
		got := a.json(t)
		if a.StatusCode != 200 || got["result"] != "swapped" || got["revision"] != "def" || got["previous"] != "abc" || got["request_id"] != a.Header.Get("X-Request-ID") {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if asked := control.asked(); asked[len(asked)-1] != test.want {
			t.Errorf("%+v, want %+v", asked[len(asked)-1], test.want)
		}
	}
	if a := s.post("/admin/reload", `{"revision":"slow"}`, bearer...); a.StatusCode != 202 || a.json(t)["result"] != "running" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	got := wantError(t, s.post("/admin/reload", `{"revision":"loops"}`, bearer...), 409, "reload_failed")
	if detail := got["details"].([]any)[0].(map[string]any); detail["field"] != "canary" || detail["message"] != "no luck" {
		t.Errorf("%v", detail)
	}
	got = wantError(t, s.post("/admin/reload", `{"revision":"gap"}`, bearer...), 409, "reload_failed")
	if details := got["details"].([]any); len(details) != 2 || details[1].(map[string]any)["field"] != "gap_seconds" || details[1].(map[string]any)["message"] != "1.250" {
		t.Errorf("%v", details)
	}
	wantError(t, s.post("/admin/reload", `{"revision":"nowhere"}`, bearer...), 502, "hub_failed")
	wantError(t, s.post("/admin/reload", `{"revision":"folder"}`, bearer...), 409, "reload_failed")
	for _, body := range []string{`{"revision":"../etc"}`, `{"revision":"a b"}`, `{"revision":7}`} {
		wantError(t, s.post("/admin/reload", body, bearer...), 422, "validation_error")
	}
	for _, value := range []string{"=maybe", "=", ""} {
		wantError(t, s.post("/admin/reload?dry_run"+value, "", bearer...), 422, "validation_error")
	}
	wantError(t, s.post("/admin/reload", "{", bearer...), 400, "malformed_json")
	for _, request := range [][3]string{
		{"POST", "/admin/reload?dryrun=true", ""}, {"POST", "/admin/reload?dry_run=true&revision=v2", ""}, {"POST", "/admin/reload", `{"dry_run":true,"rev":"dev"}`},
		{"POST", "/admin/reload", `{"Revision":"v2"}`}, {"POST", "/admin/rollback?dry_run=true", ""}, {"POST", "/admin/rollback", `{"revision":"v2"}`},
		{"GET", "/admin/models?state=failed", ""}, {"GET", "/admin/reload/events?after=3", ""},
	} {
		asked := len(control.asked())
		wantError(t, s.do(request[0], request[1], request[2], append([]string{"Content-Type", "application/json"}, bearer...)...), 422, "validation_error")
		if len(control.asked()) != asked {
			t.Errorf("%v was done all the same", request)
		}
	}
}

// TestRevisions: what POST /admin/reload and its description take for a revision is what the Hub's client does, so that
// a name that it refuses is not told as a failure of the Hub.
func TestRevisions(t *testing.T) {
	s, control := startAdmin(t, nil)
	var document struct {
		Components struct {
			Schemas struct {
				ReloadRequest struct {
					Properties struct {
						Revision struct {
							Pattern   string
							MaxLength int
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(s.get("/openapi.json").body), &document); err != nil {
		t.Fatal(err)
	}
	described := document.Components.Schemas.ReloadRequest.Properties.Revision
	pattern := regexp.MustCompile(described.Pattern)
	for _, revision := range []string{
		"main", "v1.0+build.7", "refs/pr/1", "a_b-c/d.e", "a.", "a/.b", "a./b", "a/b./c", "0", strings.Repeat("a", 255),
		"a/./b/.git/.", "a/./b", "a/.", "a/", "a//b", "/a", "a..b", "a/..", "..", ".", ".a", "-a", "+a", "_a", "a/..b", "a b", "a\n", "é", strings.Repeat("a", 256),
	} {
		body, _ := json.Marshal(map[string]string{"revision": revision})
		before := len(control.asked())
		taken := s.post("/admin/reload", string(body), bearer...).StatusCode != 422
		if want := hub.CheckRevision(revision) == nil; taken != want || (pattern.MatchString(revision) && len(revision) <= described.MaxLength) != want {
			t.Errorf("%q: taken %v, the client says %v, described by %s", revision, taken, want, pattern)
		}
		if asked := len(control.asked()) > before; asked != taken {
			t.Errorf("%q: taken %v, a reload is asked for: %v", revision, taken, asked)
		}
	}
	if !pattern.MatchString("") {
		t.Error("the empty revision is not described")
	}
}

func TestAdminRollback(t *testing.T) {
	s, control := startAdmin(t, nil)
	wantError(t, s.post("/admin/rollback", "", bearer...), 409, "no_previous_model")
	control.previous = true
	if a := s.post("/admin/rollback", "", bearer...); a.StatusCode != 200 || a.json(t)["revision"] != "abc" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// openEvents reads the stream's lines until the test ends.
func openEvents(t *testing.T, s *server, headers ...string) (lines <-chan string, leave func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	request, err := http.NewRequestWithContext(ctx, "GET", s.url+"/admin/reload/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		request.Header.Set(headers[i], headers[i+1])
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != 200 || !strings.HasPrefix(response.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("%d %v", response.StatusCode, response.Header)
	}
	out := make(chan string, 100)
	go func() {
		defer close(out)
		defer response.Body.Close()
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); {
			out <- scanner.Text()
		}
	}()
	return out, cancel
}

// wantLine waits for a line with this beginning.
func wantLine(t *testing.T, lines <-chan string, begin string) string {
	t.Helper()
	for deadline := time.After(5 * time.Second); ; {
		select {
		case line, open := <-lines:
			if strings.HasPrefix(line, begin) {
				return line
			}
			if !open {
				t.Fatalf("the stream ended before %q", begin)
			}
		case <-deadline:
			t.Fatalf("no %q", begin)
		}
	}
}

func wantEnd(t *testing.T, lines <-chan string) {
	t.Helper()
	for deadline := time.After(5 * time.Second); ; {
		select {
		case _, open := <-lines:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the stream does not end")
		}
	}
}

func TestReloadEvents(t *testing.T) {
	var down atomic.Bool
	s, control := startAdmin(t, func(o *handlers.Options) {
		o.Heartbeat, o.WriteTimeout, o.ShuttingDown = 50*time.Millisecond, 400*time.Millisecond, down.Load
	})
	control.events = []modelstore.Event{{ID: 6, Step: "resolve"}, {ID: 7, Step: "download", Done: 1, Total: 4}}
	lines, leave := openEvents(t, s, append(bearer, "Last-Event-ID", "6")...)
	if wantLine(t, lines, "event:") != "event: download" || wantLine(t, lines, "id:") != "id: 7" {
		t.Error("the stream does not begin after the last id")
	}
	var event modelstore.Event
	if err := json.Unmarshal([]byte(strings.TrimPrefix(wantLine(t, lines, "data:"), "data: ")), &event); err != nil || event != control.events[1] {
		t.Errorf("%+v %v", event, err)
	}
	for range 20 { // longer than a write may take
		wantLine(t, lines, ": heartbeat")
	}
	control.next <- modelstore.Event{ID: 8, Step: "done", Result: "swapped"}
	if wantLine(t, lines, "id:") != "id: 8" {
		t.Error("no event that follows")
	}
	leave()
	for range 100 {
		if control.stopped.Load() {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !control.stopped.Load() {
		t.Error("the stream goes on without its client")
	}
	if a := s.do("HEAD", "/admin/reload/events", "", bearer...); a.StatusCode != 200 {
		t.Errorf("HEAD: %d", a.StatusCode)
	}
	lines, _ = openEvents(t, s, bearer...)
	wantLine(t, lines, "event: resolve")
	down.Store(true)
	wantEnd(t, lines)
}

func TestReloadEventsOfASlowReader(t *testing.T) {
	s, control := startAdmin(t, nil)
	lines, _ := openEvents(t, s, bearer...)
	close(control.next)
	wantEnd(t, lines)
}

// hubSays is the Hub's message about a repository.
func hubSays(action, scope, kind, name, refs string) string {
	return fmt.Sprintf(`{"event":{"action":%q,"scope":%q},"repo":{"type":%q,"name":%q,"id":"6366","private":false,"headSha":"c0ffee"},"updatedRefs":[%s],"webhook":{"id":"6390","version":3}}`, action, scope, kind, name, refs)
}

func TestWebhook(t *testing.T) {
	const repo, main = "sematech/sema-utils", `{"ref":"refs/heads/main","oldSha":"a","newSha":"b"}`
	s, control := startAdmin(t, nil)
	for _, test := range []struct {
		body    string
		accepts bool
	}{
		{hubSays("update", "repo.content", "model", repo, main), true},
		{hubSays("update", "repo.content", "model", repo, ""), true},
		{hubSays("update", "repo.content", "model", repo, `{"ref":"refs/pr/1"}`), false},
		{hubSays("update", "repo.config", "model", repo, ""), false},
		{hubSays("create", "discussion.comment", "model", repo, ""), false},
		{hubSays("delete", "repo", "model", repo, ""), false},
		{hubSays("update", "repo.content", "model", "else/where", main), false},
		{hubSays("update", "repo.content", "dataset", repo, main), false},
		{`{}`, false},
	} {
		before := len(control.asked())
		a := s.post("/hooks/huggingface", test.body, "X-Webhook-Secret", secret)
		if want := map[bool]int{true: 202, false: 200}[test.accepts]; a.StatusCode != want {
			t.Errorf("%d, want %d: %s", a.StatusCode, want, test.body)
		}
		for range 50 {
			if len(control.asked()) > before {
				break
			}
			time.Sleep(time.Duration(map[bool]int{true: 20, false: 1}[test.accepts]) * time.Millisecond)
		}
		if asked := len(control.asked()) > before; asked != test.accepts {
			t.Errorf("a reload: %v, want %v: %s", asked, test.accepts, test.body)
		}
	}
	if r := control.asked()[0]; r != (modelstore.Request{Trigger: "webhook"}) {
		t.Errorf("%+v", r)
	}
	wantError(t, s.post("/hooks/huggingface", `[1]`, "X-Webhook-Secret", secret), 422, "validation_error")
	wantError(t, s.post("/hooks/huggingface", `{"pad":"`+strings.Repeat("x", 300<<10)+`"}`, "X-Webhook-Secret", secret), 413, "body_too_large")
	wantError(t, s.post("/api/v1/hooks/huggingface", `{}`), 403, "forbidden")
	for range 10 {
		wantError(t, s.post("/hooks/huggingface", `{}`, "X-Webhook-Secret", "guess"), 403, "forbidden")
	}
	wantError(t, s.post("/hooks/huggingface", `{}`, "X-Webhook-Secret", secret), 429, "rate_limited")
	if strings.Contains(s.logs.String(), secret) {
		t.Error("the secret is in the log")
	}
}

func TestAttempts(t *testing.T) {
	got := handlers.Attempts(&fakeControl{})()
	want := []handlers.ModelStatus{
		{Name: "sematech/sema-utils", Revision: "def", State: "loading", Progress: 0.25, Detail: "download"},
		{Name: "sematech/sema-utils", Revision: "bad", State: "failed", Detail: "canary: it loops"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

// TestFirstBootWithoutHub: who asks why nothing serves is told, during the next attempt too.
func TestFirstBootWithoutHub(t *testing.T) {
	var store modelstore.Store[*closable]
	control := &fakeControl{generations: []modelstore.Generation{
		{State: "loading", Source: "sematech/sema-utils@main", Step: "resolve"},
		{State: "failed", Source: "sematech/sema-utils@main", Step: "resolve", Error: "connection refused"},
		{State: "failed", Source: "sematech/sema-utils@main", Revision: "bad", Step: "canary", Error: "it loops"},
	}}
	s := start(t, func(o *handlers.Options) { o.Models = handlers.FromStore(&store, handlers.Attempts(control)) })
	models := s.get("/ready").json(t)["models"].([]any)
	if detail := models[0].(map[string]any)["detail"]; len(models) != 3 || detail != "resolve; the attempt before failed at resolve: connection refused" {
		t.Errorf("%v", models)
	}
	control.generations = control.generations[:1]
	if detail := s.get("/ready").json(t)["models"].([]any)[0].(map[string]any)["detail"]; detail != "resolve" {
		t.Errorf("the first attempt: %v", detail)
	}
}

func TestFirstBoot(t *testing.T) {
	var store modelstore.Store[*closable]
	s := start(t, func(o *handlers.Options) { o.Models = handlers.FromStore(&store, handlers.Attempts(&fakeControl{})) })
	a := s.get("/ready")
	got := a.json(t)
	if a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || got["status"] != "loading" || got["models"].([]any)[0].(map[string]any)["progress"] != 0.25 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for _, path := range []string{"/translate", "/translate/stream"} {
		a := s.post(path, hello)
		wantError(t, a, 503, "model_not_loaded")
		if a.Header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", path)
		}
	}
}

func TestReplacementParksRequests(t *testing.T) {
	var store modelstore.Store[*closable]
	var replacing atomic.Bool
	loaded := make(chan struct{})
	s := start(t, func(o *handlers.Options) {
		o.Models, o.RequestTimeout = handlers.FromStore(&store, nil), 10*time.Second
		o.WaitForModel = func(ctx context.Context) error {
			if !replacing.Load() {
				return handlers.ErrNoModel
			}
			select {
			case <-loaded:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	})
	wantError(t, s.post("/translate", hello), 503, "model_not_loaded") // at once: nothing is on its way
	replacing.Store(true)
	answers := make(chan answer, 3)
	for path, body := range map[string]string{"/translate": hello, "/translate/stream": hello, "/detect-language": `{"text":"Hello"}`} {
		go func() { answers <- s.post(path, body) }()
	}
	time.Sleep(100 * time.Millisecond)
	if len(answers) > 0 {
		t.Error("a request does not wait")
	}
	store.Swap(modelstore.NewBundle(&closable{}, "v2", "demo"))
	close(loaded)
	for range 3 {
		if a := <-answers; a.StatusCode != 200 || a.Header.Get("X-Model-Version") != "v2" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
	}
}

func TestReplacementOverTheDeadline(t *testing.T) {
	s := start(t, func(o *handlers.Options) {
		o.RequestTimeout = 100 * time.Millisecond
		o.WaitForModel = func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
	})
	s.models.missing.Store(true)
	a := s.post("/translate", hello)
	wantError(t, a, 503, "model_not_loaded")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
}
