package ctranslate2

import "errors"

// Errors that callers decide on. They are wrapped with what and where.
var (
	// ErrInvalidModel says that the model's files can't be used as they are:
	// truncated, inconsistent, or of a kind that this package does not read.
	ErrInvalidModel = errors.New("ctranslate2: invalid model")
	// ErrInvalidOptions says that options contradict each other or the model.
	ErrInvalidOptions = errors.New("ctranslate2: invalid options")
	// ErrTooLarge says that one sequence alone needs more memory than the
	// translator's budget allows; a shorter input or smaller beam fits.
	ErrTooLarge = errors.New("ctranslate2: sequence exceeds the memory budget")
	// ErrDiverged says that the model computed something that is no number.
	ErrDiverged = errors.New("ctranslate2: the model's output is not a number: its weights are damaged")
	// ErrClosed says that the translator was closed.
	ErrClosed = errors.New("ctranslate2: translator is closed")
)
