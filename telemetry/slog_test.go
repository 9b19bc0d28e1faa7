package telemetry_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/sematech/sema/telemetry"
)

func TestSlog(t *testing.T) {
	var out bytes.Buffer
	log, err := telemetry.NewLogger(&out, "info", "json")
	if err != nil {
		t.Fatal(err)
	}
	s := telemetry.Slog(log).With("repo", "owner/name")
	s.Debug("left out")
	s.Warn("retry", "attempt", 2)
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v: %q", err, out.String())
	}
	if line["event"] != "retry" || line["level"] != "warning" || line["repo"] != "owner/name" || line["attempt"] != 2.0 {
		t.Errorf("logged %v", line)
	}
}
