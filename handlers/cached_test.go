package handlers_test

import (
	"testing"

	"github.com/sematech/sema/cache"
	"github.com/sematech/sema/handlers"
)

func TestCache(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.Cache = cache.New(1 << 20) })
	calls := func(version, body string) int64 {
		s.models.version.Store(version)
		before := s.models.model.calls.Load()
		a := s.post("/translate", body)
		if got := a.json(t); a.StatusCode != 200 || got["model_version"] != version || got["translated_text"] != "<swh_Latn>Hello" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		return s.models.model.calls.Load() - before
	}
	for _, test := range []struct {
		version, body string
		want          int64
	}{
		{"v1", `{"text":"Hello","target_language":"swh_Latn"}`, 1},
		{"v1", `{"text":"Hello","target_language":"sw"}`, 0},
		{"v1", `{"text":"Hello","target_language":"swh_Latn","beam_size":2}`, 1},
		{"v1", `{"text":"Hello","target_language":"swh_Latn","source_language":"fra_Latn"}`, 1},
		{"v2", `{"text":"Hello","target_language":"swh_Latn"}`, 1}, // a new model never answers with the old one's words
		{"v2", `{"text":"Hello","target_language":"swh_Latn"}`, 0},
	} {
		if got := calls(test.version, test.body); got != test.want {
			t.Errorf("%s %s: %d calls, want %d", test.version, test.body, got, test.want)
		}
	}
	for range 2 {
		wantError(t, s.post("/translate", `{"text":"panic","target_language":"swh_Latn"}`), 500, "internal_error")
	}
}
