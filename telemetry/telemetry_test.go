package telemetry_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sematech/sema/telemetry"
)

// record calls every method once.
func record(m *telemetry.Metrics) {
	m.Request("/api/v1/translate", 200, 30*time.Millisecond)
	m.Error("unknown_language", "/api/v1/translate")
	m.Translation("eng_Latn", "swh_Latn", 19, 20*time.Millisecond)
	m.Detection("eng_Latn", 40*time.Microsecond)
	m.ModelLoad(time.Second)
	m.Model("translate", "abc", "")
	m.Model("translate", "def", "abc")
	m.Reload("poll", "ok", "")
	m.ReloadStep("download", time.Second)
	m.Drain(time.Millisecond)
	m.HubRequest(200)
	m.Downloaded(1000)
	m.Queue(time.Millisecond)
	m.Pipeline(time.Millisecond, 10*time.Millisecond, 3, 40)
	m.FirstToken(time.Millisecond)
	m.Cancelled()
	m.Dropped("full")
	m.RateLimited("minute")
	m.Cache("memory")
	m.Cache("")
	m.Panic()
	one := func() float64 { return 1 }
	m.Watch(telemetry.Gauges{QueueTokens: one, QueueRequests: one, ActiveTokens: one, CacheBytes: one, ModelReferences: one})
}

func scrape(t *testing.T, m *telemetry.Metrics) string {
	t.Helper()
	var out bytes.Buffer
	if err := m.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestNamesAndLabels(t *testing.T) {
	m := telemetry.NewMetrics()
	record(m)
	got := scrape(t, m)
	for _, line := range []string{
		`sema_requests_total{endpoint="/api/v1/translate",status="200"} 1`,
		`sema_request_duration_seconds_bucket{endpoint="/api/v1/translate",le="0.05"} 1`,
		`sema_translations_total{source_lang="eng_Latn",target_lang="swh_Latn"} 1`,
		`sema_characters_translated_total 19`,
		`sema_translation_duration_seconds_count{source_lang="eng_Latn",target_lang="swh_Latn"} 1`,
		`sema_language_detections_total{detected_lang="eng_Latn"} 1`,
		`sema_detection_duration_seconds_count 1`,
		`sema_errors_total{error_type="unknown_language",endpoint="/api/v1/translate"} 1`,
		`sema_model_load_time_seconds 1`,
		`sema_model_info{model="translate",revision="def"} 1`,
		`# TYPE sema_request_duration_seconds histogram`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("missing %s", line)
		}
	}
	if strings.Contains(got, `revision="abc"`) {
		t.Error("a replaced model is still reported")
	}
	if !regexp.MustCompile(`sema_memory_usage_bytes [1-9]`).MatchString(got) {
		t.Error("no memory usage")
	}
}

// TestCountersBeginAtZero: what appears with its first event has no increase for
// rate() to see.
func TestCountersBeginAtZero(t *testing.T) {
	got := scrape(t, telemetry.NewMetrics())
	for _, name := range []string{"characters_translated", "tokens_generated", "requests_cancelled", "panics", "cache_misses", "hub_download_bytes"} {
		if line := "\nsema_" + name + "_total 0\n"; !strings.Contains(got, line) {
			t.Errorf("no %q in\n%s", line, got)
		}
	}
}

func TestEveryFamilyHasHelp(t *testing.T) {
	m := telemetry.NewMetrics()
	record(m)
	for line := range strings.Lines(scrape(t, m)) {
		if rest, found := strings.CutPrefix(line, "# HELP "); found && len(strings.Fields(rest)) < 3 {
			t.Errorf("no help: %s", line)
		}
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed (Debian's package prometheus has it)")
	}
	m := telemetry.NewMetrics()
	record(m)
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(scrape(t, m))
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool: %v\n%s", err, out)
	}
}

func TestConcurrentUse(t *testing.T) {
	m := telemetry.NewMetrics()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				record(m)
				scrape(t, m)
			}
		})
	}
	wg.Wait()
	if !strings.Contains(scrape(t, m), "sema_characters_translated_total 7600\n") {
		t.Error("updates were lost")
	}
}

func TestHostileLabelStaysOneLabel(t *testing.T) {
	m := telemetry.NewMetrics()
	m.Error("a\"} 1\nevil{x=\"\xff", "/")
	got := scrape(t, m)
	if strings.Contains(got, "\nevil") {
		t.Errorf("a label broke out:\n%s", got)
	}
}

func TestJSONLog(t *testing.T) {
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, "info", "auto")
	if err != nil {
		t.Fatal(err)
	}
	logger.Debug("hidden")
	logger.WithField(telemetry.FieldRequestID, "r1").Info("translation_completed")
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %s", err, out.String())
	}
	if line["event"] != "translation_completed" || line["level"] != "info" || line["request_id"] != "r1" {
		t.Errorf("got %v", line)
	}
	if stamp, err := time.Parse(time.RFC3339, line["timestamp"].(string)); err != nil || stamp.Location() != time.UTC {
		t.Errorf("timestamp %v: %v", line["timestamp"], err)
	}
}

func TestTextLogAndLevels(t *testing.T) {
	var out bytes.Buffer
	for _, level := range []string{"debug", "WARNING", "critical", "trace"} {
		logger, err := telemetry.NewLogger(&out, level, "text")
		if err != nil {
			t.Fatal(level, err)
		}
		logger.Debug("hello")
	}
	if !strings.Contains(out.String(), "hello") || strings.Contains(out.String(), "{") {
		t.Errorf("got %s", out.String())
	}
	if _, err := telemetry.NewLogger(&out, "loud", "text"); err == nil {
		t.Error("a wrong level is accepted")
	}
}

func ExampleMetrics() {
	m := telemetry.NewMetrics()
	m.Cancelled()
	var out bytes.Buffer
	_ = m.Write(&out)
	for line := range strings.Lines(out.String()) {
		if strings.Contains(line, "cancelled") {
			fmt.Print(line)
		}
	}
	// Output:
	// # HELP sema_requests_cancelled_total Requests whose client left before the answer.
	// # TYPE sema_requests_cancelled_total counter
	// sema_requests_cancelled_total 1
}
