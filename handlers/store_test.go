package handlers_test

import (
	"strings"
	"testing"

	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/modelstore"
)

// closable is a fake model that a store can hold.
type closable struct {
	fakeModel
	closed bool
}

func (m *closable) Close() error {
	m.closed = true
	return nil
}

func TestFromStore(t *testing.T) {
	var store modelstore.Store[*closable]
	s := start(t, func(o *handlers.Options) {
		o.Models = handlers.FromStore(&store, func() []handlers.ModelStatus { return []handlers.ModelStatus{{Name: "next", State: "loading"}} })
	})
	wantError(t, s.post("/translate", hello), 503, "model_not_loaded")
	old := &closable{}
	store.Swap(modelstore.NewBundle(old, "v1", "demo"))
	if got := s.post("/translate", hello); got.Header.Get("X-Model-Version") != "v1" {
		t.Errorf("%d %s", got.StatusCode, got.body)
	}
	if !strings.Contains(s.get("/metrics").body, "\nsema_model_references 0\n") {
		t.Error("no references in /metrics")
	}
	models := s.get("/health").json(t)["models"].([]any)
	if first := models[0].(map[string]any); len(models) != 2 || first["revision"] != "v1" || first["state"] != "available" {
		t.Errorf("%v", models)
	}
	store.Swap(modelstore.NewBundle(&closable{}, "v2", "demo"))
	if got := s.post("/translate", hello); got.Header.Get("X-Model-Version") != "v2" || !old.closed {
		t.Errorf("%s, old closed: %v", got.Header.Get("X-Model-Version"), old.closed)
	}
}
