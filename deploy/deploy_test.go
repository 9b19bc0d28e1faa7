// Package deploy_test checks what the files of this folder refer to: metrics, variables, addresses.
package deploy_test

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/config"
	"github.com/sematech/sema/handlers"
)

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

var metric = regexp.MustCompile(`\bsema_[a-z0-9_]+`)

// wantMetrics checks that the service has every metric that a text names.
func wantMetrics(t *testing.T, where, text string) {
	t.Helper()
	names := metric.FindAllString(read(t, "../telemetry/names.go"), -1)
	found := metric.FindAllString(text, -1)
	if len(found) == 0 {
		t.Errorf("%s: no metrics", where)
	}
	for _, name := range found {
		family := name
		for _, suffix := range []string{"_bucket", "_sum", "_count"} {
			family = strings.TrimSuffix(family, suffix)
		}
		if !slices.Contains(names, name) && !slices.Contains(names, family) {
			t.Errorf("%s: there is no metric %s", where, name)
		}
	}
}

// run runs a tool where it is installed.
func run(t *testing.T, program string, arguments ...string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Logf("%s is not installed", program)
		return
	}
	if out, err := exec.Command(program, arguments...).CombinedOutput(); err != nil {
		t.Errorf("%s %v: %v\n%s", program, arguments, err, out)
	}
}

func TestAlerts(t *testing.T) {
	wantMetrics(t, "prometheus-alerts.yml", read(t, "prometheus-alerts.yml"))
	run(t, "promtool", "check", "config", "prometheus.yml")
	run(t, "promtool", "check", "rules", "prometheus-alerts.yml")
	run(t, "promtool", "test", "rules", "testdata/alerts_test.yml")
}

func TestDashboard(t *testing.T) {
	var dashboard struct {
		Title  string
		Panels []struct {
			ID      int
			Type    string
			Title   string
			GridPos struct{ X, Y, W, H int }
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, "grafana-dashboard.json")), &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := map[int]bool{}
	var rules bytes.Buffer
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	for _, p := range dashboard.Panels {
		if ids[p.ID] || p.GridPos.X+p.GridPos.W > 24 || p.Type != "row" && len(p.Targets) == 0 {
			t.Errorf("panel %d %q: its id is not its own, it is too wide or shows nothing", p.ID, p.Title)
		}
		ids[p.ID] = true
		for _, target := range p.Targets {
			wantMetrics(t, p.Title, target.Expr)
			fmt.Fprintf(&rules, "  - {record: 'panel:%d', expr: %q}\n", p.ID, strings.ReplaceAll(target.Expr, "$__rate_interval", "5m"))
		}
	}
	if len(ids) < 10 {
		t.Errorf("%d panels", len(ids))
	}
	file := filepath.Join(t.TempDir(), "rules.yml")
	if err := os.WriteFile(file, rules.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "promtool", "check", "rules", "--lint=none", file)
}

// settings are the lines that look like variables with values: "NAME: value" and "NAME=value".
var settings = regexp.MustCompile(`(?m)^\s*(?:Environment=)?([A-Z][A-Z0-9_]+)(?:: *|=)"?([^"\s]*)`)

func TestVariables(t *testing.T) {
	known := map[string]bool{}
	for _, row := range config.Table(config.Config{}, nil) {
		known[row.Name] = true
	}
	for file, least := range map[string]int{"docker-compose.yml": 8, "kubernetes.yaml": 7, "sema.service": 1} {
		var environ []string
		for _, match := range settings.FindAllStringSubmatch(read(t, file), -1) {
			if !known[match[1]] {
				t.Errorf("%s: there is no variable %s", file, match[1])
			}
			if !strings.HasPrefix(match[2], "$") {
				environ = append(environ, match[1]+"="+match[2])
			}
		}
		if len(environ) < min(least, 4) && file != "sema.service" {
			t.Errorf("%s: only %v", file, environ)
		}
		if _, err := config.Load(environ); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

// TestYAML parses where Python has a parser; SEMA_PYTHON names the interpreter.
func TestYAML(t *testing.T) {
	python := cmp.Or(os.Getenv("SEMA_PYTHON"), "python3")
	if exec.Command(python, "-c", "import yaml").Run() != nil {
		t.Skip("the Python package PyYAML is not installed")
	}
	files, err := filepath.Glob("*.y*ml")
	if err != nil || len(files) < 4 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		run(t, python, "-c", "import sys, yaml; assert all(isinstance(d, dict) for d in yaml.safe_load_all(open(sys.argv[1])))", file)
	}
}

func TestUnit(t *testing.T) {
	unit := strings.ReplaceAll(read(t, "sema.service"), "/usr/local/bin/sema", "/bin/true")
	file := filepath.Join(t.TempDir(), "sema.service")
	if err := os.WriteFile(file, []byte(unit), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, "systemd-analyze", "verify", "--man=no", file)
}

// startNginx runs nginx.conf before backend, with replaced pairs as strings.NewReplacer takes them, and returns its address.
func startNginx(t *testing.T, backend string, replaced ...string) string {
	t.Helper()
	if _, err := exec.LookPath("nginx"); err != nil {
		t.Skip("nginx is not installed")
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	_ = free.Close()
	folder := t.TempDir()
	conf := strings.ReplaceAll(read(t, "nginx.conf"), "server sema:8000", "server "+backend)
	conf = strings.ReplaceAll(conf, "listen 80;", "listen "+address+";")
	conf = strings.NewReplacer(replaced...).Replace(conf)
	file := filepath.Join(folder, "nginx.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx := exec.Command("nginx", "-e", "stderr", "-p", folder, "-c", file, "-g", "daemon off; master_process off; pid "+folder+"/pid;")
	var output bytes.Buffer
	nginx.Stderr = &output
	if err := nginx.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = nginx.Process.Kill()
		_ = nginx.Wait()
	})
	for range 100 {
		if conn, err := net.Dial("tcp", address); err == nil {
			_ = conn.Close()
			return address
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Skipf("nginx does not start: %s", output.String())
	return ""
}

func TestNginx(t *testing.T) {
	release := make(chan struct{})
	var forwarded string
	backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		forwarded = strings.Join(r.Header.Values("X-Forwarded-For"), ",")
		if strings.HasSuffix(r.URL.Path, "/stream") || strings.HasSuffix(r.URL.Path, "/events") {
			w.Header().Set("Content-Type", "text/event-stream")
			fmt.Fprint(w, "data: first\n\n")
			_ = http.NewResponseController(w).Flush()
			<-release
		}
	}))
	defer backend.Close()
	defer close(release)
	address := startNginx(t, strings.TrimPrefix(backend.URL, "http://"))
	client := http.Client{Timeout: 5 * time.Second}

	for _, path := range []string{"/admin/reload/events", "/api/v1/translate/stream"} {
		request, _ := http.NewRequest("POST", "http://"+address+path, strings.NewReader("{}"))
		request.Header.Set("X-Forwarded-For", "203.0.113.9") // a lie
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		if line, err := bufio.NewReader(response.Body).ReadString('\n'); err != nil || line != "data: first\n" {
			t.Errorf("%s: the first event is held back: %q %v", path, line, err)
		}
	}
	proxies, err := handlers.ParseProxies("1")
	if err != nil {
		t.Fatal(err)
	}
	if got := proxies.Client(netip.MustParseAddr("172.18.0.3"), strings.Split(forwarded, ",")); got.String() != "127.0.0.1" {
		t.Errorf("of %q the client is %v", forwarded, got)
	}
	large, err := client.Post("http://"+address+"/translate", "application/json", io.LimitReader(zeros{}, 5<<20))
	if err == nil && large.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("a body of 5 MiB: %d", large.StatusCode)
	}
	if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") && !strings.Contains(err.Error(), "broken pipe") {
		t.Error(err)
	}
}

// TestNginxKeepsOperatorsRoutes asks as a stranger for paths that Sema takes for its operators'.
func TestNginxKeepsOperatorsRoutes(t *testing.T) {
	backend := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer backend.Close()
	address := startNginx(t, strings.TrimPrefix(backend.URL, "http://"), "allow 127.0.0.1;", "")
	for path, want := range map[string]int{
		"/metrics": 403, "/metrics/": 403, "/METRICS": 403, "/API/v1/metrics": 403, "/api//v1/metrics": 403, "/%6detrics": 403, "/live/../metrics": 403,
		"/admin/models": 403, "/ADMIN/models": 403, "/api/v1/Admin/models/": 403, "/admin/reload/events": 403, "/admin": 403,
		"/": 200, "/docs": 200, "/translate": 200, "/translate/stream": 200, "/languages/search?q=admin": 200, "/hooks/huggingface": 200,
	} {
		request, _ := http.NewRequest("GET", "http://"+address, nil)
		request.URL.Opaque = path // as it is written
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, response.StatusCode, want)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
