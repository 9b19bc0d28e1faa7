package reload

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/sematech/sema/flores"
	"github.com/sematech/sema/translate"
)

// Models are one generation of models that serve: a pipeline that counts how it
// does. They are safe to use from concurrent goroutines.
type Models struct {
	*translate.Pipeline

	requests, errors, loops atomic.Int64
	probation               atomic.Pointer[probation]
}

// Counts are what has become of a generation's requests.
type Counts struct {
	Requests int64 // translated or failed, without those at which the client was at fault
	Errors   int64 // that the models are to blame for
	Loops    int64 // translations that repeat a phrase on and on
}

// Counts returns the counts up to now.
func (m *Models) Counts() Counts {
	return Counts{m.requests.Load(), m.errors.Load(), m.loops.Load()}
}

// Translate is the pipeline's, and counts how it ends.
func (m *Models) Translate(ctx context.Context, req translate.Request) (translate.Result, error) {
	r, err := m.Pipeline.Translate(ctx, req)
	if err != nil && !modelsFault(ctx, err) {
		return r, err
	}
	m.requests.Add(1)
	switch {
	case err != nil:
		m.errors.Add(1)
	case looped(req, r):
		m.loops.Add(1)
	}
	if p := m.probation.Load(); p != nil {
		p.judge(m)
	}
	return r, err
}

// modelsFault reports whether an error is not one of the request's.
func modelsFault(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	for _, requests := range []error{
		translate.ErrEmptyText, translate.ErrUndetermined, translate.ErrNoDetector, translate.ErrTooLong,
		translate.ErrUnsupportedLanguage, context.Canceled, context.DeadlineExceeded,
	} {
		if errors.Is(err, requests) {
			return false
		}
	}
	var unknown *flores.UnknownLanguageError
	return !errors.As(err, &unknown)
}

// looped reports whether the model looped, be it that the pipeline noticed or
// that the answer, a streamed one, has the loop in it.
func looped(req translate.Request, r translate.Result) bool {
	for _, s := range r.Segments {
		if s.Retried {
			return true
		}
	}
	return repeats(r.Text) && !repeats(req.Text)
}

// A phrase of up to maxPhrase words repeats if it comes minRepeats times in a
// row and at least minRepeated words are the same.
const (
	maxPhrase   = 8
	minRepeats  = 4
	minRepeated = 12
)

// repeats reports whether a text repeats a phrase on and on.
func repeats(text string) bool {
	words := strings.Fields(text)
	for period := 1; period <= maxPhrase; period++ {
		need := max(minRepeated, period*minRepeats) - period
		run := 0
		for i := period; i < len(words); i++ {
			if words[i] != words[i-period] {
				run = 0
			} else if run++; run >= need {
				return true
			}
		}
	}
	return repeatsLetters(text)
}

// minLetters is how many equal letters in a row no writing has.
const minLetters = 24

// repeatsLetters finds the loops of a model that writes no spaces.
func repeatsLetters(text string) bool {
	letters := []rune(text)
	for period := 1; period <= maxPhrase; period++ {
		run := 0
		for i := period; i < len(letters); i++ {
			if letters[i] != letters[i-period] || strings.ContainsRune("-_=*.~ \n", letters[i]) {
				run = 0
			} else if run++; run >= minLetters*min(period, 3) {
				return true
			}
		}
	}
	return false
}
