package handlers

import (
	"context"
	"fmt"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/translate"
)

// nllbRoutes are nllb-api's version 4, and Immersive Translate's one address.
func (s *service) nllbRoutes() []route {
	return []route{
		{"GET", "/api/v4/translator", s.nllbTranslate, true},
		{"POST", "/api/v4/translator", s.nllbTranslate, true},
		{"GET", "/api/v4/translator/stream", s.nllbStream, true},
		{"GET", "/api/v4/language", s.nllbLanguage, true},
	}
}

// nllbBody is what nllb-api's clients send, in the query or as JSON.
type nllbBody struct {
	Text   string `json:"text"`
	Source string `json:"source"`
	Target string `json:"target"`
}

// parseNLLB applies nllb-api's defaults, English to Spanish.
func (s *service) parseNLLB(c *fiber.Ctx) (translate.Request, error) {
	body := nllbBody{c.Query("text"), c.Query("source"), c.Query("target")}
	if c.Method() == fiber.MethodPost {
		if err := decodeJSON(c, &body); err != nil {
			return translate.Request{}, err
		}
	}
	setDefault(&body.Source, "eng_Latn")
	setDefault(&body.Target, "spa_Latn")
	if err := s.checkText("text", body.Text); err != nil {
		return translate.Request{}, err
	}
	source, err := resolve("source", body.Source)
	if err != nil {
		return translate.Request{}, err
	}
	target, err := resolve("target", body.Target)
	return translate.Request{Text: body.Text, Source: source, Target: target, BeamSize: s.BeamSize}, err
}

func (s *service) nllbTranslate(c *fiber.Ctx) error {
	request, err := s.parseNLLB(c)
	if err != nil {
		return err
	}
	ctx, cancel := s.clientContext(c)
	defer cancel()
	return s.admit(ctx, request.Text, request.BeamSize, func(model Model) error {
		answer, err := s.translateOne(ctx, model, request)
		if err != nil {
			return err
		}
		c.Set(modelVersionHeader, model.Version)
		logTranslation(fields(c), answer)
		return c.JSON(fiber.Map{"result": answer.TranslatedText})
	})
}

// nllbStream sends the translation as bare events, whose data together is what nllbTranslate answers: one for each
// segment, with what is kept before it, and one for what comes after the last.
func (s *service) nllbStream(c *fiber.Ctx) error {
	request, err := s.parseNLLB(c)
	if err != nil {
		return err
	}
	name := excerpt(c.Query("event_type")) // it is repeated for each event
	return s.stream(c, request, func(ctx context.Context, model Model, events *eventWriter) error {
		flush := events.gather(&request, name)
		answer, err := s.translateOne(ctx, model, request)
		if err != nil {
			return err
		}
		flush()
		logTranslation(events.outcome.fields, answer)
		return nil
	})
}

// gather makes the request's callbacks collect text and send it at the end of each segment; flush sends what is left.
func (e *eventWriter) gather(request *translate.Request, name string) (flush func()) {
	var text strings.Builder
	flush = func() {
		if text.Len() > 0 {
			e.noteFirst(e.service)
			e.sendText(name, text.String())
			text.Reset()
		}
	}
	request.OnText = func(part string) { text.WriteString(part) }
	request.OnSegment = func(translate.Segment) { flush() }
	return flush
}

// lineEnds are what ends a line of an event besides a line feed.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// sendText writes an event whose data is text, not JSON.
func (e *eventWriter) sendText(name, text string) {
	if name = strings.Map(printable, name); name != "" {
		fmt.Fprintf(e.out, "event: %s\n", name)
	}
	for _, line := range strings.Split(lineEnds.Replace(text), "\n") {
		fmt.Fprintf(e.out, "data: %s\n", line)
	}
	fmt.Fprint(e.out, "\n")
	if e.out.Flush() != nil {
		e.cancel()
	}
}

// printable drops what could end a line of an event.
func printable(r rune) rune {
	if r < ' ' {
		return -1
	}
	return r
}

func (s *service) nllbLanguage(c *fiber.Ctx) error {
	model, release, err := s.acquire(c)
	if err != nil {
		return err
	}
	defer release()
	found, err := s.detectOne(model, "text", c.Query("text"), 1)
	if err != nil {
		return err
	}
	logDetection(fields(c), found)
	return c.JSON(fiber.Map{"language": found.DetectedLanguage, "confidence": found.Confidence})
}

func immersiveError(e *Error) (int, any) {
	return peerStatus(e), fiber.Map{"error": e.Title, "message": e.Message}
}

// immersiveBody is what the Immersive Translate extension sends to a custom service.
type immersiveBody struct {
	SourceLang string   `json:"source_lang"`
	TargetLang string   `json:"target_lang"`
	TextList   []string `json:"text_list"`
}

// immersiveTranslation is one translated text.
type immersiveTranslation struct {
	DetectedSourceLang string `json:"detected_source_lang"`
	Text               string `json:"text"`
}

// immersiveTranslate keeps the extension's placeholders, such as {0} and <b0></b0>.
func (s *service) immersiveTranslate(c *fiber.Ctx) error {
	var body immersiveBody
	if err := decodeJSON(c, &body); err != nil {
		return err
	}
	if len(body.TextList) > googleTexts {
		return invalid("text_list", "must not hold more than %d texts", googleTexts)
	}
	results, err := s.translatePeer(c, peerRequest{
		texts: body.TextList, source: body.SourceLang, target: body.TargetLang,
		field: "text_list", sourceField: "source_lang", targetField: "target_lang", markup: true, placeholders: true,
	})
	if err != nil {
		return err
	}
	translations := make([]immersiveTranslation, len(results))
	for i, r := range results {
		translations[i] = immersiveTranslation{body.SourceLang, r.text}
		if r.source != "" {
			translations[i].DetectedSourceLang = shortCode(r.source)
		}
	}
	return c.JSON(fiber.Map{"translations": translations})
}
