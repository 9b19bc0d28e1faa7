package handlers

import (
	"context"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/telemetry"
)

// batchBody is what POST /translate/batch takes: one target for all texts, or one for each.
type batchBody struct {
	Texts           texts    `json:"texts"`
	TargetLanguage  string   `json:"target_language"`
	TargetLanguages []string `json:"target_languages"`
	SourceLanguage  string   `json:"source_language"`
	SourceLanguages []string `json:"source_languages"`
	BeamSize        number   `json:"beam_size"`
}

// batchItem is one text's outcome: a translation or an error.
type batchItem struct {
	Index int `json:"index"`
	*translation
	Failure *Error `json:"error,omitempty"`
}

// batchAnswer is what POST /translate/batch answers, in the order of the texts.
type batchAnswer struct {
	Results      []batchItem `json:"results"`
	Total        int         `json:"total"`
	Succeeded    int         `json:"succeeded"`
	Failed       int         `json:"failed"`
	TotalTime    float64     `json:"total_time"`
	Timestamp    string      `json:"timestamp"`
	RequestID    string      `json:"request_id"`
	ModelVersion string      `json:"model_version"`
}

func (s *service) postTranslateBatch(c *fiber.Ctx) error {
	start := time.Now()
	var body batchBody
	if err := decodeJSON(c, &body); err != nil {
		return err
	}
	if err := s.checkBatch(body); err != nil {
		return err
	}
	beam, err := s.beamSize(body.BeamSize)
	if err != nil {
		return err
	}
	ctx, cancel := s.clientContext(c)
	defer cancel()
	answer := batchAnswer{Total: len(body.Texts), RequestID: requestID(c)}
	err = s.admit(ctx, strings.Join(body.Texts, ""), beam, func(model Model) error {
		c.Set(modelVersionHeader, model.Version)
		answer.ModelVersion = model.Version
		answer.Results = s.translateAll(ctx, model, body, answer.RequestID)
		return ctx.Err()
	})
	if err != nil {
		return err
	}
	answer.count()
	answer.TotalTime, answer.Timestamp = time.Since(start).Seconds(), timestamp()
	answer.log(fields(c))
	for i := range answer.Results {
		answer.Results[i].finish(answer)
	}
	return c.JSON(answer)
}

func (s *service) checkBatch(body batchBody) error {
	n := len(body.Texts)
	switch {
	case n == 0:
		return invalid("texts", "must hold at least one text")
	case n > s.MaxBatchSize:
		return invalid("texts", "must not hold more than %d texts", s.MaxBatchSize)
	case body.TargetLanguages != nil && len(body.TargetLanguages) != n:
		return invalid("target_languages", "must be as long as texts")
	case body.SourceLanguages != nil && len(body.SourceLanguages) != n:
		return invalid("source_languages", "must be as long as texts")
	case body.TargetLanguages == nil:
		if _, err := resolve("target_language", body.TargetLanguage); err != nil {
			return err
		}
	}
	_, err := resolveSource("source_language", body.SourceLanguage)
	return err
}

// translateAll translates the texts side by side, so that the runtime can batch them.
func (s *service) translateAll(ctx context.Context, model Model, body batchBody, id string) []batchItem {
	items := make([]batchItem, len(body.Texts))
	for i, err := range s.each(len(items), id, func(i int) error {
		result, err := s.translateItem(ctx, model, body, i)
		items[i] = batchItem{Index: i, translation: &result}
		return err
	}) {
		if err != nil {
			items[i] = batchItem{Index: i, Failure: asError(err)}
		}
	}
	return items
}

func (s *service) translateItem(ctx context.Context, model Model, body batchBody, i int) (translation, error) {
	one := translateBody{Text: body.Texts[i], TargetLanguage: body.TargetLanguage, SourceLanguage: body.SourceLanguage, BeamSize: body.BeamSize}
	if body.TargetLanguages != nil {
		one.TargetLanguage = body.TargetLanguages[i]
	}
	if body.SourceLanguages != nil {
		one.SourceLanguage = body.SourceLanguages[i]
	}
	request, err := s.parseRequest(one)
	if err != nil {
		return translation{}, err
	}
	request.Lane = ctranslate2.Bulk // people who wait for one text go first
	return s.translateOne(ctx, model, request)
}

func (a *batchAnswer) count() {
	for _, item := range a.Results {
		if item.Failure != nil {
			a.Failed++
		} else {
			a.Succeeded++
		}
	}
}

// log adds to the access log what the texts come to.
func (a *batchAnswer) log(f logrus.Fields) {
	var source, target mixed
	characters, inference := 0, 0.0
	for _, item := range a.Results {
		if item.translation != nil {
			source.add(item.SourceLanguage)
			target.add(item.TargetLanguage)
			characters += item.CharacterCount
			inference += item.InferenceTime
		}
	}
	f[telemetry.FieldSource], f[telemetry.FieldTarget] = string(source), string(target)
	f[telemetry.FieldCharacters], f[telemetry.FieldInferenceTime] = characters, inference
	f["model_version"] = a.ModelVersion
}

// finish gives an item what it shares with the whole answer.
func (i *batchItem) finish(a batchAnswer) {
	if i.Failure != nil {
		i.Failure.RequestID = a.RequestID
		return
	}
	i.RequestID, i.Timestamp = a.RequestID, a.Timestamp
}
