package modelstore

import (
	"context"
	"errors"
	"time"
)

// Errors of a Controller. They are wrapped with what happened to what.
var (
	// ErrNoPrevious: there is no generation before this one to go back to.
	ErrNoPrevious = errors.New("modelstore: no previous models to go back to")
	// ErrReloadFailed: a step of the reload failed and the old models serve on.
	ErrReloadFailed = errors.New("modelstore: reload failed")
	// ErrNoHub goes with ErrReloadFailed where models come from this machine, so
	// that no Hub is to blame at any step.
	ErrNoHub = errors.New("modelstore: no Hub is involved")
)

// A Controller decides which models serve. Package reload is one; the admin
// routes drive it. It is safe to use from concurrent goroutines.
type Controller interface {
	// Generations describes the models that serve, those before them, and the
	// ones being loaded or refused, in this order.
	Generations() []Generation
	// Reload loads what r names and waits for the outcome or for ctx; ctx
	// ending does not stop the reload. Requests during a reload share one more.
	Reload(ctx context.Context, r Request) (Outcome, error)
	// Rollback brings back the generation before this one.
	Rollback(ctx context.Context) (Outcome, error)
	// Events returns the remembered events with an ID above after, a channel of
	// those that follow and a function that ends it. A reader that is too slow
	// has its channel closed.
	Events(after uint64) (past []Event, next <-chan Event, stop func())
}

// A Request asks for a reload.
type Request struct {
	Trigger  string // poll, watch, admin, webhook, signal, start
	Revision string // a branch, tag or commit; "" for the configured one
	DryRun   bool   // do everything but the swap
	Force    bool   // even a commit that failed before
}

// An Outcome is how a reload ended.
type Outcome struct {
	Result   string  `json:"result"` // swapped, unchanged, checked (a dry run), failed
	Revision string  `json:"revision,omitempty"`
	Previous string  `json:"previous,omitempty"` // what served before
	Step     string  `json:"step,omitempty"`     // that failed
	Error    string  `json:"error,omitempty"`
	Seconds  float64 `json:"seconds"`
	Gap      float64 `json:"gap_seconds,omitempty"` // without models, when they are replaced in place
}

// A Generation is one bundle, or an attempt at one.
type Generation struct {
	State      string    `json:"state"` // current, previous, draining, loading, failed
	Revision   string    `json:"revision"`
	Source     string    `json:"source"`
	Files      []File    `json:"files,omitempty"`
	LoadedAt   time.Time `json:"loaded_at,omitzero"`
	Requests   int64     `json:"requests_served"`
	References int64     `json:"references"`
	Step       string    `json:"step,omitempty"`     // where loading is, or failed
	Error      string    `json:"error,omitempty"`    // why it failed
	Progress   float64   `json:"progress,omitempty"` // of a download, 0..1
	At         time.Time `json:"at,omitzero"`        // of the failure
}

// A File is one of a generation's files.
type File struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"`
}

// An Event is something that happened in a reload.
type Event struct {
	ID       uint64    `json:"id"`
	Time     time.Time `json:"time"`
	Trigger  string    `json:"trigger,omitempty"`
	Step     string    `json:"step"`             // resolve, memory, download, open, warm, canary, swap, drain, prune, rollback, done
	Result   string    `json:"result,omitempty"` // of a step that ended: ok, failed; of done: an Outcome's
	Revision string    `json:"revision,omitempty"`
	Error    string    `json:"error,omitempty"`
	Done     int64     `json:"done_bytes,omitempty"`
	Total    int64     `json:"total_bytes,omitempty"`
	Seconds  float64   `json:"seconds,omitempty"`
	Gap      float64   `json:"gap_seconds,omitempty"` // of done: an Outcome's
}
