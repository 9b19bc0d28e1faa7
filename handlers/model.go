package handlers

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/sematech/sema/translate"
)

// ErrNoModel is what Models.Acquire returns while no model serves, by itself or wrapped.
var ErrNoModel = errors.New("handlers: no model is loaded")

// Translator is one loaded generation of the models; *translate.Pipeline is one. It is safe for concurrent use.
type Translator interface {
	// Translate stops within one decoding step when ctx is cancelled.
	Translate(ctx context.Context, req translate.Request) (translate.Result, error)
	// Detect returns the k most likely languages of text.
	Detect(text string, k int) (translate.Detection, error)
	// Languages returns the FLORES codes that are served; nil means that the model doesn't say.
	Languages() []string
}

// Model is one generation, held by one request.
type Model struct {
	Translator
	Version string // what X-Model-Version says, and a part of cache keys

	done *atomic.Int64 // what was translated for the request, in the queue's tokens; nil outside of the queue
}

// worked counts a text that the model translated for the request.
func (m Model) worked(request translate.Request) {
	if m.done != nil {
		m.done.Add(int64(tokenCost(request.Text, request.BeamSize)))
	}
}

// Models hands out the generation that serves now.
type Models interface {
	// Acquire returns the serving model and a function that releases it, which is called exactly once. With no model it
	// returns ErrNoModel.
	Acquire() (Model, func(), error)
	// Status describes each model, loading ones included.
	Status() []ModelStatus
}

// ModelStatus is one model in /health and /ready.
type ModelStatus struct {
	Name     string    `json:"name"`
	Revision string    `json:"revision"`
	State    string    `json:"state"` // "available", "loading", "failed", …
	LoadedAt time.Time `json:"loaded_at,omitzero"`
	Progress float64   `json:"progress,omitempty"` // of a download, 0..1
	Detail   string    `json:"detail,omitempty"`
}
