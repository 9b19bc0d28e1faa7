package handlers_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/sematech/sema/handlers"
)

func TestLanguages(t *testing.T) {
	s := start(t, nil)
	a := s.get("/api/v1/languages")
	got := a.json(t)
	swahili := got["languages"].(map[string]any)["swh_Latn"].(map[string]any)
	if swahili["name"] == "" || swahili["iso_639_1"] != "sw" || swahili["iso_639_3"] != "swh" || got["total"] != float64(len(got["languages"].(map[string]any))) {
		t.Errorf("%.300s", a.body)
	}
	if !strings.Contains(a.Header.Get("Cache-Control"), "max-age") || a.Header.Get("ETag") == "" {
		t.Errorf("%v", a.Header)
	}
	for _, etag := range []string{a.Header.Get("ETag"), strings.TrimPrefix(a.Header.Get("ETag"), "W/"), `"other", ` + a.Header.Get("ETag"), "*"} {
		if again := s.get("/languages", "If-None-Match", etag); again.StatusCode != 304 || again.body != "" || again.Header.Get("Vary") != a.Header.Get("Vary") {
			t.Errorf("%s: %d, Vary %q, of the answer %q", etag, again.StatusCode, again.Header.Get("Vary"), a.Header.Get("Vary"))
		}
	}
	for _, path := range []string{"/popular", "/african", "/region/Africa", "/region/africa", "/search?q=swahili", "/stats", "/swh_Latn", "/sw", "/region/Middle%20East"} {
		if a := s.get("/api/v1/languages" + path); a.StatusCode != 200 || a.Header.Get("ETag") == "" {
			t.Errorf("%s: %d %.200s", path, a.StatusCode, a.body)
		}
	}
	wantError(t, s.get("/languages/region/Atlantis"), 404, "not_found")
	wantError(t, s.get("/languages/zzz_Zzzz"), 404, "not_found")
	wantError(t, s.get("/languages/search?q="), 422, "validation_error")
}

// TestPagesNeedNothingElse checks that each page and all it names come from this server under a strict policy.
func TestPagesNeedNothingElse(t *testing.T) {
	s := start(t, nil)
	reference := regexp.MustCompile(`(?:src|href)="([^"]+)"`)
	for _, path := range []string{"/", "/docs", "/redoc", "/ui", "/api/v1/", "/api/v1/docs", "/api/v1/redoc", "/api/v1/ui"} {
		a := s.get(path)
		policy := a.Header.Get("Content-Security-Policy")
		if a.StatusCode != 200 || !strings.Contains(policy, "script-src 'self';") || strings.Contains(a.body, "<script>") {
			t.Errorf("%s: %d %s", path, a.StatusCode, policy)
		}
		for _, match := range reference.FindAllStringSubmatch(a.body, -1) {
			if got := s.get(match[1]); got.StatusCode != 200 || got.body == "" {
				t.Errorf("%s names %s: %d", path, match[1], got.StatusCode)
			}
		}
	}
	for _, path := range []string{"/assets/nothing.js", "/assets/..%2fopenapi.json", "/assets/README.md", "/assets/ui.html"} {
		if a := s.get(path); a.StatusCode != 404 {
			t.Errorf("%s: %d", path, a.StatusCode)
		}
	}
}

// TestAssetsAreEncodedAsAsked: the large ones are embedded as gzip, which not every client takes.
func TestAssetsAreEncodedAsAsked(t *testing.T) {
	s := start(t, nil)
	plain := s.get("/assets/swagger-ui.css", "Accept-Encoding", "identity")
	if plain.StatusCode != 200 || plain.Header.Get("Content-Encoding") != "" {
		t.Fatalf("%d %v", plain.StatusCode, plain.Header)
	}
	for accepts, want := range map[string]string{
		"gzip": "gzip", "gzip, deflate, br, zstd": "gzip", "deflate;q=0.5, gzip;q=0.8": "gzip", "br;q=1.0, gzip;q=0.001": "gzip",
		"gzip;q=0": "", "gzip; q=0, br;q=0": "", "gzip;q=0.000, *": "", "*;q=0": "", "identity": "", "": "",
		"br": "br", "br, gzip;q=0": "br", // the middleware makes it
	} {
		a := s.get("/assets/swagger-ui.css", "Accept-Encoding", accepts)
		if got := a.Header.Get("Content-Encoding"); got != want || want == "" && a.body != plain.body {
			t.Errorf("%q: %q, %d bytes; want %q", accepts, got, len(a.body), want)
		}
	}
}

// TestFrames checks that nobody frames the pages but who the options name, and nothing else is ever framed.
func TestFrames(t *testing.T) {
	alone := start(t, nil)
	framed := start(t, func(o *handlers.Options) { o.FrameAncestors = []string{"'self'", "https://huggingface.co"} })
	for _, path := range []string{"/", "/docs", "/redoc", "/ui"} {
		wantFraming(t, alone.get(path), "DENY", "frame-ancestors 'none'")
		wantFraming(t, framed.get(path), "", "; frame-ancestors 'self' https://huggingface.co")
	}
	wantFraming(t, framed.get("/status"), "DENY", "frame-ancestors 'none'")
	wantFraming(t, framed.get("/nothing"), "DENY", "frame-ancestors 'none'")
}

func wantFraming(t *testing.T, a answer, options, policy string) {
	t.Helper()
	if got := a.Header.Get("X-Frame-Options"); got != options || !strings.HasSuffix(a.Header.Get("Content-Security-Policy"), policy) {
		t.Errorf("%s: X-Frame-Options %q, policy %s", a.Request.URL, got, a.Header.Get("Content-Security-Policy"))
	}
}

// TestOpenAPI checks that the document names each route of the service and nothing that isn't there.
func TestOpenAPI(t *testing.T) {
	administered, _ := startAdmin(t, nil)
	hooked, _ := startAdmin(t, func(o *handlers.Options) { o.AdminToken = "" })
	for _, s := range []*server{start(t, nil), administered, hooked} {
		checkOpenAPI(t, s)
	}
}

func checkOpenAPI(t *testing.T, s *server) {
	t.Helper()
	var document struct {
		OpenAPI string                    `json:"openapi"`
		Paths   map[string]map[string]any `json:"paths"`
	}
	if err := json.Unmarshal([]byte(s.get("/openapi.json").body), &document); err != nil || document.OpenAPI != "3.1.0" {
		t.Fatal(err, document.OpenAPI)
	}
	served := map[string]bool{}
	for _, route := range s.app.GetRoutes(true) {
		path := regexp.MustCompile(`:(\w+)`).ReplaceAllString(route.Path, "{$1}")
		if strings.HasPrefix(path, "/api/v1/") && route.Method != "HEAD" {
			served[strings.ToLower(route.Method)+" "+path] = true
		}
	}
	for path, operations := range document.Paths {
		for method := range operations {
			if !served[method+" "+path] {
				t.Errorf("%s %s is documented and not served", method, path)
			}
			delete(served, method+" "+path)
		}
	}
	for _, page := range []string{"", "docs", "redoc", "ui", "assets/{file}", "openapi.json"} {
		delete(served, "get /api/v1/"+page)
	}
	for route := range served {
		t.Errorf("%s is served and not documented", route)
	}
}
