package handlers

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// translateBody is what POST /translate takes.
type translateBody struct {
	Text           string `json:"text"`
	TargetLanguage string `json:"target_language"`
	SourceLanguage string `json:"source_language"`
	BeamSize       number `json:"beam_size"`
	Tokens         bool   `json:"tokens"` // streams only: an event for each piece
}

// detected is the language that was found when the caller named none.
type detected struct {
	Language   string  `json:"language"`
	Confidence float64 `json:"confidence"`
}

// translation is what POST /translate answers. Times are in seconds.
type translation struct {
	TranslatedText string    `json:"translated_text"`
	SourceLanguage string    `json:"source_language"`
	TargetLanguage string    `json:"target_language"`
	InferenceTime  float64   `json:"inference_time"`
	TotalTime      float64   `json:"total_time"`
	CharacterCount int       `json:"character_count"`
	Timestamp      string    `json:"timestamp"`
	RequestID      string    `json:"request_id"`
	ModelVersion   string    `json:"model_version"`
	Detected       *detected `json:"detected,omitempty"`
}

func (s *service) postTranslate(c *fiber.Ctx) error {
	if foreign := s.foreignShape(c); foreign != nil {
		return foreign(c)
	}
	var body translateBody
	if err := decodeJSON(c, &body); err != nil {
		return err
	}
	request, err := s.parseRequest(body)
	if err != nil {
		return err
	}
	ctx, cancel := s.clientContext(c)
	defer cancel()
	var answer translation
	err = s.admit(ctx, request.Text, request.BeamSize, func(model Model) error {
		c.Set(modelVersionHeader, model.Version)
		answer, err = s.translateOne(ctx, model, request)
		return err
	})
	if err != nil {
		return err
	}
	logTranslation(fields(c), answer)
	return c.JSON(s.stamp(c, answer))
}

// modelVersionHeader says which model made an answer.
const modelVersionHeader = "X-Model-Version"

// clientContext ends at the request's deadline and when the client leaves.
func (s *service) clientContext(c *fiber.Ctx) (context.Context, context.CancelFunc) {
	return cancelWhenGone(c.UserContext(), c.Context().Conn())
}

// parseRequest validates a body and resolves its languages.
func (s *service) parseRequest(body translateBody) (translate.Request, error) {
	if err := s.checkText("text", body.Text); err != nil {
		return translate.Request{}, err
	}
	target, err := resolve("target_language", body.TargetLanguage)
	if err != nil {
		return translate.Request{}, err
	}
	source, err := resolveSource("source_language", body.SourceLanguage)
	if err != nil {
		return translate.Request{}, err
	}
	beam, err := s.beamSize(body.BeamSize)
	return translate.Request{Text: body.Text, Source: source, Target: target, BeamSize: beam}, err
}

func (s *service) beamSize(asked number) (int, error) {
	return integer("beam_size", asked, s.BeamSize, s.MaxBeamSize)
}

// checkText refuses a text that is empty or over the limit.
func (s *service) checkText(field, text string) error {
	if strings.TrimSpace(text) == "" {
		return fail(typeEmptyText, field+" must not be empty", Detail{Field: field, Message: "must not be empty"})
	}
	if n := utf8.RuneCountInString(text); n > s.MaxCharacters {
		message := fmt.Sprintf("%d characters; at most %d are allowed", n, s.MaxCharacters)
		return fail(typeTextTooLong, field+" has "+message, Detail{Field: field, Message: message})
	}
	return nil
}

// admit waits for the request's turn, holds the serving model while do runs, and releases both.
func (s *service) admit(ctx context.Context, text string, beam int, do func(Model) error) error {
	model, leave, err := s.enter(ctx, tokenCost(text, beam))
	if err != nil {
		return err
	}
	defer leave()
	return do(model)
}

// enter waits for the turn of work of this cost and holds the serving model; leave gives both back.
func (s *service) enter(ctx context.Context, cost int) (model Model, leave func(), err error) {
	if s.ShuttingDown() {
		return Model{}, nil, fail(typeShuttingDown, "the service is shutting down").retry(retryWithoutModel)
	}
	start := time.Now()
	giveUp, err := s.queue.Enter(ctx, cost)
	if err != nil {
		s.countDropped(err)
		return Model{}, nil, err
	}
	s.metrics.Queue(time.Since(start))
	model, release, err := s.model(ctx)
	if err != nil {
		giveUp(0)
		return Model{}, nil, err
	}
	model.done = new(atomic.Int64)
	return model, func() {
		release()
		giveUp(int(model.done.Load()))
	}, nil
}

// model acquires the serving model. While models are replaced in place there is none for a moment: admitted requests
// wait for the next, up to their deadline, and hold their place, so that the queue stays bounded.
func (s *service) model(ctx context.Context) (Model, func(), error) {
	model, release, err := s.Models.Acquire()
	if !errors.Is(err, ErrNoModel) || s.WaitForModel == nil {
		return model, release, err
	}
	switch err := s.WaitForModel(ctx); {
	case errors.Is(err, context.DeadlineExceeded):
		return Model{}, nil, ErrNoModel
	case err != nil:
		return Model{}, nil, err
	}
	return s.Models.Acquire()
}

func (s *service) countDropped(err error) {
	var refused *QueueError
	if errors.As(err, &refused) {
		s.metrics.Dropped(refused.Label)
	}
}

// tokenCost estimates the work of a text: about three bytes a token in, as many out, for each beam.
func tokenCost(text string, beam int) int {
	tokens := len(text)/3 + 8
	return tokens + tokens*max(beam, 1)
}

// translateOne translates one text with an acquired model and records it.
func (s *service) translateOne(ctx context.Context, model Model, request translate.Request) (translation, error) {
	start := time.Now()
	result, err := s.cachedTranslate(ctx, model, request)
	if err != nil {
		return translation{}, err
	}
	if result.Tokens > 0 { // neither known already nor without words
		model.worked(request)
		s.probe.succeeded()
	}
	elapsed := time.Since(start)
	answer := translation{
		TranslatedText: result.Text, SourceLanguage: cmp.Or(result.Source, undetermined), TargetLanguage: request.Target,
		InferenceTime: result.Inference.Seconds(), TotalTime: elapsed.Seconds(),
		CharacterCount: utf8.RuneCountInString(request.Text), ModelVersion: model.Version,
	}
	if result.Detected != nil {
		answer.Detected = &detected{result.Detected.Language, result.Detected.Confidence}
	}
	s.metrics.Translation(answer.SourceLanguage, answer.TargetLanguage, answer.CharacterCount, elapsed)
	s.metrics.Pipeline(result.Tokenize, result.Inference, len(result.Segments), result.Tokens)
	return answer, nil
}

// stamp fills in what an answer says of its request.
func (s *service) stamp(c *fiber.Ctx, t translation) translation {
	t.RequestID, t.Timestamp = requestID(c), timestamp()
	if start, ok := c.Locals(startKey).(time.Time); ok {
		t.TotalTime = time.Since(start).Seconds()
	}
	return t
}

func timestamp() string { return time.Now().UTC().Format(time.RFC3339Nano) }

// mixed is the language of several texts, "mixed" if they have more than one.
type mixed string

func (m *mixed) add(language string) {
	switch {
	case language == "" || string(*m) == language:
	case *m == "":
		*m = mixed(language)
	default:
		*m = "mixed"
	}
}

// logTranslation adds to the access log what was translated, but never the text.
func logTranslation(f logrus.Fields, t translation) {
	f[telemetry.FieldSource], f[telemetry.FieldTarget] = t.SourceLanguage, t.TargetLanguage
	f[telemetry.FieldCharacters], f[telemetry.FieldInferenceTime] = t.CharacterCount, t.InferenceTime
	f["model_version"] = t.ModelVersion
}
