package handlers

import (
	"errors"
	"time"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/flores"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// undetermined is ISO 639-3's code for a language that can't be told.
const undetermined = "und"

// maxTopK bounds how many candidates a request may ask for.
const maxTopK = 20

type detectBody struct {
	Text string `json:"text"`
	TopK number `json:"top_k"`
}

// alternative is one further candidate.
type alternative struct {
	Language     string  `json:"language"`
	LanguageName string  `json:"language_name"`
	Confidence   float64 `json:"confidence"`
}

// detection is what POST /detect-language answers. A text without a clear language has "und".
type detection struct {
	DetectedLanguage string        `json:"detected_language"`
	LanguageName     string        `json:"language_name"`
	NativeName       string        `json:"native_name"`
	Confidence       float64       `json:"confidence"`
	IsEnglish        bool          `json:"is_english"`
	Alternatives     []alternative `json:"alternatives"`
	CharacterCount   int           `json:"character_count"`
	Timestamp        string        `json:"timestamp"`
	RequestID        string        `json:"request_id"`
}

func (s *service) postDetect(c *fiber.Ctx) error {
	var body detectBody
	if err := decodeJSON(c, &body); err != nil {
		return err
	}
	k, err := topK(body.TopK)
	if err != nil {
		return err
	}
	model, release, err := s.acquire(c)
	if err != nil {
		return err
	}
	defer release()
	answer, err := s.detectOne(model, "text", body.Text, k)
	if err != nil {
		return err
	}
	answer.RequestID = requestID(c)
	logDetection(fields(c), answer)
	return c.JSON(answer)
}

// logDetection adds to the access log what was found in the texts of a request, but never the texts.
func logDetection(f logrus.Fields, found ...detection) {
	var source mixed
	characters := 0
	for _, d := range found {
		source.add(d.DetectedLanguage)
		characters += d.CharacterCount
	}
	f[telemetry.FieldSource], f[telemetry.FieldCharacters] = string(source), characters
}

// acquire holds the serving model for detection, which is too cheap to queue.
func (s *service) acquire(c *fiber.Ctx) (Model, func(), error) {
	if s.ShuttingDown() {
		return Model{}, nil, fail(typeShuttingDown, "the service is shutting down").retry(retryWithoutModel)
	}
	model, release, err := s.Models.Acquire()
	if errors.Is(err, ErrNoModel) && s.WaitForModel != nil {
		model, release, err = s.acquireNext(c)
	}
	if err == nil {
		c.Set(modelVersionHeader, model.Version)
	}
	return model, release, err
}

// acquireNext waits for the model that replaces the one just unloaded, in the queue, which is bounded.
func (s *service) acquireNext(c *fiber.Ctx) (Model, func(), error) {
	ctx, cancel := s.clientContext(c)
	defer cancel()
	leave, err := s.queue.Enter(ctx, len(c.Request().Body()))
	if err != nil {
		s.countDropped(err)
		return Model{}, nil, err
	}
	defer leave(0)
	return s.model(ctx)
}

func topK(asked number) (int, error) { return integer("top_k", asked, 3, maxTopK) }

// detectOne detects one text and records it; k is how many candidates are wanted, the best included.
func (s *service) detectOne(model Model, field, text string, k int) (detection, error) {
	if err := s.checkText(field, text); err != nil {
		return detection{}, err
	}
	start := time.Now()
	found, err := model.Detect(text, k)
	if errors.Is(err, translate.ErrNoDetector) {
		return detection{}, fail(typeNoModel, "no language detection model is loaded").retry(retryWithoutModel)
	}
	if err != nil {
		return detection{}, err
	}
	answer := describeDetection(found, k)
	answer.CharacterCount, answer.Timestamp = utf8.RuneCountInString(text), timestamp()
	s.metrics.Detection(answer.DetectedLanguage, time.Since(start))
	return answer, nil
}

func describeDetection(found translate.Detection, k int) detection {
	answer := detection{DetectedLanguage: undetermined, LanguageName: "Undetermined", Alternatives: []alternative{}}
	if found.Language != "" {
		language, _ := flores.Lookup(found.Language)
		answer.DetectedLanguage, answer.LanguageName, answer.NativeName = found.Language, language.Name, language.NativeName
		answer.Confidence, answer.IsEnglish = found.Confidence, found.Language == "eng_Latn"
	}
	for _, candidate := range found.Candidates {
		if candidate.Language != answer.DetectedLanguage && len(answer.Alternatives) < k-1 {
			language, _ := flores.Lookup(candidate.Language)
			answer.Alternatives = append(answer.Alternatives, alternative{candidate.Language, language.Name, candidate.Confidence})
		}
	}
	return answer
}

type detectBatchBody struct {
	Texts texts  `json:"texts"`
	TopK  number `json:"top_k"`
}

// detectItem is one text's outcome: a detection or an error.
type detectItem struct {
	Index int `json:"index"`
	*detection
	Failure *Error `json:"error,omitempty"`
}

type detectBatchAnswer struct {
	Results   []detectItem `json:"results"`
	Total     int          `json:"total"`
	Timestamp string       `json:"timestamp"`
	RequestID string       `json:"request_id"`
}

func (s *service) postDetectBatch(c *fiber.Ctx) error {
	var body detectBatchBody
	if err := decodeJSON(c, &body); err != nil {
		return err
	}
	k, err := topK(body.TopK)
	if err != nil {
		return err
	}
	if n := len(body.Texts); n == 0 || n > s.MaxBatchSize {
		return invalid("texts", "must hold 1 to %d texts", s.MaxBatchSize)
	}
	model, release, err := s.acquire(c)
	if err != nil {
		return err
	}
	defer release()
	answer := detectBatchAnswer{Total: len(body.Texts), Timestamp: timestamp(), RequestID: requestID(c)}
	for i, text := range body.Texts {
		answer.Results = append(answer.Results, s.detectItem(model, answer.RequestID, i, text, k))
	}
	answer.log(fields(c))
	return c.JSON(answer)
}

func (a *detectBatchAnswer) log(f logrus.Fields) {
	var found []detection
	for _, item := range a.Results {
		if item.detection != nil {
			found = append(found, *item.detection)
		}
	}
	logDetection(f, found...)
}

func (s *service) detectItem(model Model, id string, i int, text string, k int) detectItem {
	found, err := s.detectOne(model, "text", text, k)
	if err != nil {
		failure := asError(err)
		failure.RequestID = id
		return detectItem{Index: i, Failure: failure}
	}
	found.RequestID = id
	return detectItem{Index: i, detection: &found}
}
