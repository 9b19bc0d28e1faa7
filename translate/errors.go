package translate

import (
	"errors"
	"fmt"
	"strings"
)

// Errors that callers decide on.
var (
	// ErrEmptyText says that a text is empty or only spaces.
	ErrEmptyText = errors.New("translate: the text is empty")
	// ErrUndetermined says that the language of a text could not be determined;
	// name the source language.
	ErrUndetermined = errors.New("translate: the language of the text could not be determined: name the source language")
	// ErrNoDetector says that the models have no language detector; name the
	// source language.
	ErrNoDetector = errors.New("translate: no language detection model is loaded: name the source language")
	// ErrTooLong says that a text has more tokens than Options.MaxTextTokens.
	ErrTooLong = errors.New("translate: the text is too long")
	// ErrUnsupportedLanguage is what every *UnsupportedLanguageError is.
	ErrUnsupportedLanguage = errors.New("translate: the model does not serve the language")
	// ErrInvalidModel says that the files of a model don't fit together or that
	// a folder does not have exactly one of each.
	ErrInvalidModel = errors.New("translate: the models can't be used")
)

// UnsupportedLanguageError says that the model does not serve a language. It is
// ErrUnsupportedLanguage.
type UnsupportedLanguageError struct {
	Code        string   // FLORES code
	Role        string   // "source" or "target"
	Detected    bool     // it was detected, not named
	Suggestions []string // FLORES codes of the same language that the model serves
}

func (e *UnsupportedLanguageError) Error() string {
	how := e.Role
	if e.Detected {
		how = "detected"
	}
	text := fmt.Sprintf("translate: the model does not serve the %s language %q", how, e.Code)
	if len(e.Suggestions) > 0 {
		text += ": did you mean " + strings.Join(e.Suggestions, ", ") + "?"
	}
	return text
}

// Is makes errors.Is(err, ErrUnsupportedLanguage) true.
func (e *UnsupportedLanguageError) Is(target error) bool { return target == ErrUnsupportedLanguage }
