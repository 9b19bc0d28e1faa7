package handlers

import (
	"context"
	"errors"
	"time"
)

// Errors that Models and Translators may return, by themselves or wrapped; errors.go maps them to answers.
var (
	ErrNoModel             = errors.New("handlers: no model is loaded")
	ErrUnsupportedLanguage = errors.New("handlers: the model does not serve this language")
	ErrUndetermined        = errors.New("handlers: the language of the text could not be determined")
)

// Translator is one loaded generation of the models. It is safe for concurrent use.
type Translator interface {
	// Translate stops within one decoding step when ctx is cancelled.
	Translate(ctx context.Context, req Request) (Result, error)
	// Detect returns the k most likely languages of text.
	Detect(text string, k int) (Detection, error)
}

// Request is one text to translate.
type Request struct {
	Text      string
	Source    string // FLORES code; "" asks for detection
	Target    string // FLORES code
	BeamSize  int
	OnSegment func(Segment)      // if set, called in order, as each segment is done
	OnToken   func(token string) // if set, called with each piece of output text as it is decoded
}

// Segment is a translated part of a text, normally a sentence.
type Segment struct {
	Index      int
	Start, End int // byte offsets of its source in Request.Text
	Text       string
}

// Result is a translated text.
type Result struct {
	Text      string
	Source    string     // FLORES code, given or detected
	Detected  *Detection // nil when the caller named the source
	Segments  int
	Tokens    int // generated
	Tokenize  time.Duration
	Inference time.Duration
}

// Detection is the outcome of language identification.
type Detection struct {
	Language   string  // FLORES code; "" means undetermined
	Confidence float64 // 0..1
	Candidates []Candidate
}

// Candidate is one possible language of a text.
type Candidate struct {
	Language   string // FLORES code
	Confidence float64
}

// Model is one generation, held by one request.
type Model struct {
	Translator
	Version string // what X-Model-Version says, and a part of cache keys
}

// Models hands out the generation that serves now.
type Models interface {
	// Acquire returns the serving model and a function that releases it, which the caller must call once. With no
	// model it returns ErrNoModel.
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
