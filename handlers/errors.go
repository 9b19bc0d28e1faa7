package handlers

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/flores"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// Error is an answer that is not a success. Every error of the service's own routes has this shape.
type Error struct {
	Title     string   `json:"error"`
	Type      string   `json:"error_type"`
	Message   string   `json:"message"`
	Details   []Detail `json:"details"`
	RequestID string   `json:"request_id"`

	retryAfter time.Duration
}

// Detail points at one mistake of a request.
type Detail struct {
	Field       string   `json:"field,omitempty"`
	Message     string   `json:"message"`
	Offset      *int64   `json:"offset,omitempty"` // byte of the body where malformed JSON stops making sense
	Suggestions []string `json:"suggestions,omitempty"`
}

// Error types. They are the API's contract: clients decide on them.
const (
	typeMalformed     = "malformed_json"
	typeBadRequest    = "bad_request"
	typeUnauthorized  = "unauthorized"
	typeForbidden     = "forbidden"
	typeNotFound      = "not_found"
	typeMethod        = "method_not_allowed"
	typeTextTooLong   = "text_too_long"
	typeBodyTooLarge  = "body_too_large"
	typeMediaType     = "unsupported_media_type"
	typeValidation    = "validation_error"
	typeEmptyText     = "empty_text"
	typeLanguage      = "unknown_language"
	typeUnsupported   = "unsupported_language"
	typeUndetermined  = "undetermined_language"
	typeDetected      = "detected_unsupported_language"
	typeNoPrevious    = "no_previous_model"
	typeReloadFailed  = "reload_failed"
	typeHubFailed     = "hub_failed"
	typeRateLimited   = "rate_limited"
	typeOverloaded    = "overloaded"
	typeNoModel       = "model_not_loaded"
	typeShuttingDown  = "shutting_down"
	typeTimeout       = "timeout"
	typeCancelled     = "client_closed_request"
	typeSlowRequest   = "request_timeout"
	typeHeaders       = "headers_too_large"
	typeInternal      = "internal_error"
	statusClientLeft  = 499
	retryWithoutModel = 10 * time.Second
)

// statuses is the one table from an error type to its status code and title.
var statuses = map[string]struct {
	code  int
	title string
}{
	typeMalformed:    {400, "Bad request"},
	typeBadRequest:   {400, "Bad request"},
	typeUnauthorized: {401, "Unauthorized"},
	typeForbidden:    {403, "Forbidden"},
	typeNotFound:     {404, "Not found"},
	typeMethod:       {405, "Method not allowed"},
	typeSlowRequest:  {408, "Request timeout"},
	typeTextTooLong:  {413, "Payload too large"},
	typeBodyTooLarge: {413, "Payload too large"},
	typeMediaType:    {415, "Unsupported media type"},
	typeValidation:   {422, "Unprocessable entity"},
	typeEmptyText:    {422, "Unprocessable entity"},
	typeLanguage:     {422, "Unprocessable entity"},
	typeUnsupported:  {422, "Unprocessable entity"},
	typeUndetermined: {409, "Conflict"}, // the request is valid, but not with what the models make of its text
	typeDetected:     {409, "Conflict"},
	typeNoPrevious:   {409, "Conflict"},
	typeReloadFailed: {409, "Conflict"}, // with what the models are
	typeRateLimited:  {429, "Too many requests"},
	typeHeaders:      {431, "Request header fields too large"},
	typeCancelled:    {statusClientLeft, "Client closed request"},
	typeInternal:     {500, "Internal server error"},
	typeHubFailed:    {502, "Bad gateway"},
	typeOverloaded:   {503, "Service unavailable"},
	typeNoModel:      {503, "Service unavailable"},
	typeShuttingDown: {503, "Service unavailable"},
	typeTimeout:      {504, "Gateway timeout"},
}

// Error implements error.
func (e *Error) Error() string { return e.Type + ": " + e.Message }

// Status is the HTTP code of the error.
func (e *Error) Status() int { return statuses[e.Type].code }

// fail makes an error of a type in the table.
func fail(errorType, message string, details ...Detail) *Error {
	if details == nil {
		details = []Detail{}
	}
	return &Error{Title: statuses[errorType].title, Type: errorType, Message: message, Details: details}
}

// invalid makes a 422 about one field.
func invalid(field, format string, args ...any) *Error {
	message := fmt.Sprintf(format, args...)
	return fail(typeValidation, field+": "+message, Detail{Field: field, Message: message})
}

// shown is how much of a caller's value an error repeats, in runes.
const shown = 40

// excerpt is as much of a caller's value as an error repeats.
func excerpt(value string) string {
	n := 0
	for end := range value {
		if n == shown {
			value = value[:end] + "…"
			break
		}
		n++
	}
	return strings.ToValidUTF8(value, "\uFFFD")
}

// retry says after how long the same request may succeed.
func (e *Error) retry(after time.Duration) *Error {
	e.retryAfter = max(after, time.Second)
	return e
}

// asError turns any error into an answer. What isn't known is a 500 that shows nothing of the inside.
func asError(err error) *Error {
	var own *Error
	var full *QueueError
	var unknown *flores.UnknownLanguageError
	var unsupported *translate.UnsupportedLanguageError
	var framework *fiber.Error
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &full):
		return fail(typeOverloaded, full.Reason).retry(full.RetryAfter)
	case errors.As(err, &unknown):
		return unknownLanguage("language", unknown)
	case errors.Is(err, ErrNoModel):
		return fail(typeNoModel, "no model is loaded yet").retry(retryWithoutModel)
	case errors.As(err, &unsupported):
		return unsupportedLanguage(unsupported)
	case errors.Is(err, translate.ErrUndetermined), errors.Is(err, translate.ErrNoDetector):
		return fail(typeUndetermined, "the language of the text could not be determined; name it in source_language",
			Detail{Field: "source_language", Message: "needed for this text"})
	case errors.Is(err, translate.ErrEmptyText):
		return fail(typeEmptyText, "the text must not be empty", Detail{Field: "text", Message: "must not be empty"})
	case errors.Is(err, translate.ErrTooLong):
		return fail(typeTextTooLong, "the text has too many tokens", Detail{Field: "text", Message: "has too many tokens"})
	case errors.Is(err, context.DeadlineExceeded):
		return fail(typeTimeout, "the translation took longer than a request may")
	case errors.Is(err, context.Canceled):
		return fail(typeCancelled, "the request was cancelled")
	case errors.As(err, &framework):
		return frameworkError(framework)
	}
	return fail(typeInternal, "an unexpected error occurred; the request_id finds it in the log")
}

func unsupportedLanguage(err *translate.UnsupportedLanguageError) *Error {
	if err.Detected {
		return fail(typeDetected, fmt.Sprintf("the text seems to be %q, which the loaded model does not serve; name its language in source_language", err.Code),
			Detail{Field: "source_language", Message: "detected and not served", Suggestions: err.Suggestions})
	}
	return fail(typeUnsupported, fmt.Sprintf("the loaded model does not serve the %s language %q", err.Role, err.Code),
		Detail{Field: err.Role + "_language", Message: "not served by the loaded model", Suggestions: err.Suggestions})
}

// frameworkError gives the errors that Fiber makes itself our shape.
func frameworkError(err *fiber.Error) *Error {
	switch err.Code {
	case fiber.StatusNotFound:
		return fail(typeNotFound, "there is nothing at this address; see /docs")
	case fiber.StatusMethodNotAllowed:
		return fail(typeMethod, "this address does not take this method; the Allow header lists those it takes")
	case fiber.StatusRequestEntityTooLarge:
		return fail(typeBodyTooLarge, "the body is larger than the limit")
	case fiber.StatusRequestTimeout:
		return fail(typeSlowRequest, "the request did not arrive in time")
	case fiber.StatusRequestHeaderFieldsTooLarge:
		return fail(typeHeaders, "the headers are larger than the limit")
	case fiber.StatusUnsupportedMediaType:
		return fail(typeMediaType, err.Message)
	}
	if err.Code >= 400 && err.Code < 500 { // its message may show the request's headers
		return fail(typeBadRequest, "the request is not well-formed HTTP")
	}
	return fail(typeInternal, "an unexpected error occurred; the request_id finds it in the log")
}

// answerEarly is Fiber's error handler: it answers requests that are refused before any middleware runs, since they are
// too large, too slow or not HTTP.
func (s *service) answerEarly(c *fiber.Ctx, err error) error {
	start := time.Now()
	c.Set(fiber.HeaderXRequestID, requestID(c))
	setSecurityHeaders(c)
	s.allowOrigin(c)
	if errors.Is(err, fiber.ErrRequestEntityTooLarge) {
		drain(c.Context().Conn(), min(s.ReadTimeout, drainTime))
	}
	err = s.answerError(c, err)
	elapsed := time.Since(start)
	setResponseTime(c, elapsed)
	s.finish(s.outcomeOf(c), elapsed)
	return err
}

// drainTime bounds how long an answer waits for what its client still sends.
const drainTime = 5 * time.Second

// drain reads what a client still sends, within bounds: closing on a client that sends would reset the connection, and
// it would never see the answer.
func drain(conn net.Conn, most time.Duration) {
	const bytes, idle = 64 << 20, 200 * time.Millisecond
	buffer, end := make([]byte, 32<<10), time.Now().Add(most)
	for total := 0; total < bytes && time.Now().Before(end); {
		_ = conn.SetReadDeadline(time.Now().Add(idle))
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		total += n
	}
}

// asAnswer is asError, but for work that ended because the service does.
func (s *service) asAnswer(err error) *Error {
	if errors.Is(err, context.Canceled) && s.Context.Err() != nil {
		return fail(typeShuttingDown, "the service is shutting down").retry(retryWithoutModel)
	}
	return asError(err)
}

// answerError writes err as the answer and records it.
func (s *service) answerError(c *fiber.Ctx, err error) error {
	s.place(c)
	answer := *s.asAnswer(err)
	answer.RequestID = requestID(c)
	s.recordError(c, &answer, err)
	if answer.retryAfter > 0 {
		c.Set(fiber.HeaderRetryAfter, strconv.Itoa(int(math.Ceil(answer.retryAfter.Seconds()))))
	}
	if shape, _ := c.Locals(errorShapeKey).(errorShape); shape != nil {
		status, body := shape(&answer)
		return c.Status(status).JSON(body)
	}
	return c.Status(answer.Status()).JSON(answer)
}

func (s *service) recordError(c *fiber.Ctx, answer *Error, cause error) {
	s.metrics.Error(answer.Type, endpoint(c))
	fields(c)["error_type"] = answer.Type
	if answer.Type == typeCancelled {
		s.metrics.Cancelled()
	}
	if answer.Type == typeInternal {
		s.log.WithFields(logrus.Fields{telemetry.FieldRequestID: answer.RequestID, "endpoint": endpoint(c)}).
			WithError(cause).Error("request_failed")
	}
}
