package handlers

import (
	"bytes"
	"context"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/flores"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// dialects are other translation services' addresses, for their clients.
func (s *service) dialects() []dialect {
	return []dialect{
		{libreError, s.libreRoutes()}, {deepLError, s.deepLRoutes()}, {googleError, s.googleRoutes()},
		{immersiveError, []route{{"POST", "/immersive", s.immersiveTranslate, true}}}, {nil, s.nllbRoutes()},
	}
}

// errorShape spells an error as another service does.
type errorShape func(*Error) (status int, body any)

// shaped makes a handler whose errors have another service's shape.
func shaped(shape errorShape, handler fiber.Handler) fiber.Handler {
	return func(c *fiber.Ctx) error {
		c.Locals(errorShapeKey, shape)
		return handler(c)
	}
}

// peerStatus is the code that the other services use: they know 400 where we say 422.
func peerStatus(e *Error) int {
	if e.Status() == fiber.StatusUnprocessableEntity {
		return fiber.StatusBadRequest
	}
	return e.Status()
}

// foreignShape tells requests to /translate that are not ours: LibreTranslate's by q or by being a form, Immersive
// Translate's by text_list.
func (s *service) foreignShape(c *fiber.Ctx) fiber.Handler {
	if isForm(c) || c.Query("q") != "" {
		return shaped(libreError, s.libreTranslate)
	}
	body := c.Request().Body()
	if !bytes.Contains(body, []byte(`"q"`)) && !bytes.Contains(body, []byte(`"text_list"`)) {
		return nil
	}
	var keys struct {
		Q        json.RawMessage `json:"q"`
		TextList json.RawMessage `json:"text_list"`
		Text     json.RawMessage `json:"text"`
	}
	switch err := json.Unmarshal(body, &keys); {
	case err != nil || keys.Text != nil:
		return nil
	case keys.TextList != nil:
		return shaped(immersiveError, s.immersiveTranslate)
	case keys.Q != nil:
		return shaped(libreError, s.libreTranslate)
	}
	return nil
}

// isForm says whether the body is a form, as web pages send it. JSON that curl calls a form, since nobody told it
// otherwise, is none: its sender should hear of the header and not of a form's fields.
func isForm(c *fiber.Ctx) bool {
	media := strings.ToLower(c.Get(fiber.HeaderContentType))
	if strings.HasPrefix(media, fiber.MIMEApplicationForm) {
		return !bytes.HasPrefix(bytes.TrimSpace(c.Request().Body()), []byte("{"))
	}
	return strings.HasPrefix(media, fiber.MIMEMultipartForm)
}

// stringList is one string or an array of them.
type stringList struct {
	values []string
	array  bool
}

// UnmarshalJSON implements json.Unmarshaler. Nothing stays of an earlier value under the same key.
func (l *stringList) UnmarshalJSON(data []byte) error {
	*l = stringList{array: bytes.HasPrefix(data, []byte("["))}
	if l.array {
		return json.Unmarshal(data, &l.values)
	}
	l.values = []string{""}
	return json.Unmarshal(data, &l.values[0])
}

// formValues returns all values of a field in the body and the query.
func formValues(c *fiber.Ctx, name string) []string {
	var values []string
	if form, err := c.MultipartForm(); err == nil {
		values = append(values, form.Value[name]...)
	}
	for _, value := range append(c.Request().PostArgs().PeekMulti(name), c.Context().QueryArgs().PeekMulti(name)...) {
		values = append(values, string(value))
	}
	for i := range values {
		values[i] = strings.ToValidUTF8(values[i], "\uFFFD")
	}
	return values
}

// formValue returns the first value of a field, or "".
func formValue(c *fiber.Ctx, name string) string {
	if values := formValues(c, name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// authorized says whether a client's key is the configured one.
func (s *service) authorized(key string) bool {
	return s.APIKey == "" || subtle.ConstantTimeCompare([]byte(key), []byte(s.APIKey)) == 1
}

// peerRequest is what the other services' requests come to.
type peerRequest struct {
	texts          []string
	source, target string // "" or a name of a language, "auto" for a source to detect
	field          string // what the caller calls its texts
	targetField    string
	sourceField    string
	markup         bool            // HTML or XML: translate what is between the tags
	xml            bool            // the markup is XML: no element's content is special
	escapeQuotes   bool            // in the translation of markup
	placeholders   bool            // keep {0} and the like
	ignoreTags     map[string]bool // whose content stays as it is
}

// peerResult is one text's translation.
type peerResult struct {
	text      string
	source    string // FLORES code; "" if nothing of the text needed translation, or if it can't be told
	detected  *detected
	inference float64 // seconds
}

// translatePeer translates all texts of a request; the first error ends it, as it does with the other services, but for
// those of a text's language.
func (s *service) translatePeer(c *fiber.Ctx, r peerRequest) ([]peerResult, error) {
	base, err := s.parsePeer(r)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.clientContext(c)
	defer cancel()
	results := make([]peerResult, len(r.texts))
	err = s.admit(ctx, strings.Join(r.texts, ""), base.BeamSize, func(model Model) error {
		c.Set(modelVersionHeader, model.Version)
		fields(c)["model_version"] = model.Version
		for _, err := range s.each(len(r.texts), requestID(c), func(i int) (err error) {
			results[i], err = s.translateParts(ctx, model, base, r, r.texts[i])
			if len(r.texts) > 1 && lacksLanguage(err) { // the others must not be lost: it stays as it is
				return nil
			}
			return err
		}) {
			if err != nil {
				return err
			}
		}
		return nil
	})
	logPeer(fields(c), results, base.Target, runes(r.texts))
	return results, err
}

func logPeer(f logrus.Fields, results []peerResult, target string, characters int) {
	var source mixed
	inference := 0.0
	for _, r := range results {
		source.add(r.source)
		inference += r.inference
	}
	f[telemetry.FieldSource], f[telemetry.FieldTarget] = string(source), target
	f[telemetry.FieldCharacters], f[telemetry.FieldInferenceTime] = characters, inference
}

func runes(texts []string) int {
	total := 0
	for _, text := range texts {
		total += utf8.RuneCountInString(text)
	}
	return total
}

func (s *service) parsePeer(r peerRequest) (translate.Request, error) {
	request := translate.Request{BeamSize: s.BeamSize}
	if len(r.texts) == 0 {
		return request, invalid(r.field, "is required")
	}
	for _, text := range r.texts {
		if strings.TrimSpace(text) == "" {
			continue
		}
		if err := s.checkText(r.field, text); err != nil {
			return request, err
		}
	}
	var err error
	if request.Target, err = resolve(r.targetField, r.target); err != nil {
		return request, err
	}
	request.Source, err = resolveSource(r.sourceField, r.source)
	return request, err
}

// each runs do for 0..n-1 side by side, so that the runtime can batch them, and returns their errors. A panic becomes
// one: on a goroutine of its own nobody else could catch it.
func (s *service) each(n int, id string, do func(i int) error) []error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			defer func() {
				if r := recover(); r != nil {
					errs[i] = s.recovered(r, id)
				}
			}()
			errs[i] = do(i)
		})
	}
	wg.Wait()
	return errs
}

// lacksLanguage says whether a text's language can't be told, or is detected and not served.
func lacksLanguage(err error) bool {
	var unsupported *translate.UnsupportedLanguageError
	return errors.Is(err, translate.ErrUndetermined) || errors.As(err, &unsupported) && unsupported.Detected
}

// translateParts translates what of a text is words and keeps the rest byte for byte. The parts have one language, told
// from all of them: a heading or a name is too little to tell it by. With an error it returns the text as it is and what
// is known of its language.
func (s *service) translateParts(ctx context.Context, model Model, base translate.Request, r peerRequest, text string) (peerResult, error) {
	parts := splitParts(text, r)
	result := peerResult{text: text}
	words := wording(parts)
	if words == "" {
		return result, nil
	}
	result.source = base.Source
	if base.Source == "" {
		found, err := detectSource(model, words)
		if err != nil {
			return result, err
		}
		base.Source, result.source, result.detected = found.Language, found.Language, found
	}
	return s.fillIn(ctx, model, base, parts, result)
}

// fillIn completes a result with the translation of its parts.
func (s *service) fillIn(ctx context.Context, model Model, base translate.Request, parts []part, result peerResult) (peerResult, error) {
	var out strings.Builder
	for _, part := range parts {
		if part.kept {
			out.WriteString(part.source)
			continue
		}
		request := base
		request.Text = part.text
		translated, err := s.translateOne(ctx, model, request)
		if err != nil {
			return result, result.blame(err)
		}
		result.inference += translated.InferenceTime
		out.WriteString(part.finish(translated.TranslatedText))
	}
	result.text = out.String()
	return result, nil
}

// detectSource tells the language of a text as the pipeline does when a request names none.
func detectSource(model Model, text string) (*detected, error) {
	found, err := model.Detect(text, 1)
	if err != nil {
		return nil, err
	}
	if found.Language == "" {
		return nil, translate.ErrUndetermined
	}
	return &detected{found.Language, found.Confidence}, nil
}

// blame says of a source language that is not served whether it was detected: the pipeline only sees it named.
func (r peerResult) blame(err error) error {
	var unsupported *translate.UnsupportedLanguageError
	if r.detected == nil || !errors.As(err, &unsupported) || unsupported.Role != "source" {
		return err
	}
	found := *unsupported
	found.Detected = true
	return &found
}

// shortCode is how other services name a language: ISO 639-1 where that means this language, else its FLORES code.
func shortCode(code string) string {
	language, ok := flores.Lookup(code)
	if !ok || language.ISO6391 == "" {
		return code
	}
	if back, err := flores.Resolve(language.ISO6391); err != nil || back.Code != code {
		return code
	}
	return language.ISO6391
}
