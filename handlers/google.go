package handlers

import "github.com/gofiber/fiber/v2"

// googleTexts is how many texts Google's API takes in one request.
const googleTexts = 128

// googleRoutes are Google Translate's v2.
func (s *service) googleRoutes() []route {
	const root = "/language/translate/v2"
	return []route{
		{"POST", root, s.googleTranslate, true},
		{"GET", root, s.googleTranslate, true},
		{"POST", root + "/detect", s.googleDetect, true},
		{"GET", root + "/detect", s.googleDetect, true},
		{"GET", root + "/languages", s.googleLanguages, true},
	}
}

func googleError(e *Error) (int, any) {
	code := peerStatus(e)
	return code, fiber.Map{"error": fiber.Map{
		"code": code, "message": e.Message, "errors": []fiber.Map{{"message": e.Message, "domain": "global", "reason": e.Type}},
	}}
}

// googleBody is what Google's clients send, as JSON, as a form or in the query.
type googleBody struct {
	Q      stringList `json:"q"`
	Source string     `json:"source"`
	Target string     `json:"target"`
	Format string     `json:"format"`
}

func (s *service) checkGoogleKey(c *fiber.Ctx) error {
	key := c.Query("key")
	if key == "" {
		key = c.Get("X-Goog-Api-Key")
	}
	if !s.authorized(key) {
		return fail(typeForbidden, "API key not valid")
	}
	return nil
}

func (s *service) parseGoogle(c *fiber.Ctx) (googleBody, error) {
	var body googleBody
	if err := s.checkGoogleKey(c); err != nil {
		return body, err
	}
	if isForm(c) || len(c.Request().Body()) == 0 {
		body = googleBody{stringList{values: formValues(c, "q")}, formValue(c, "source"), formValue(c, "target"), formValue(c, "format")}
	} else if err := decodeJSON(c, &body); err != nil {
		return body, err
	}
	if n := len(body.Q.values); n == 0 || n > googleTexts {
		return body, invalid("q", "must hold 1 to %d texts", googleTexts)
	}
	return body, nil
}

// googleTranslation is one translated text.
type googleTranslation struct {
	TranslatedText         string `json:"translatedText"`
	DetectedSourceLanguage string `json:"detectedSourceLanguage,omitempty"`
}

func (s *service) googleTranslate(c *fiber.Ctx) error {
	body, err := s.parseGoogle(c)
	if err != nil {
		return err
	}
	results, err := s.translatePeer(c, peerRequest{
		texts: body.Q.values, source: body.Source, target: body.Target,
		field: "q", sourceField: "source", targetField: "target", markup: body.Format != "text",
		escapeQuotes: true, // as Google does
	})
	if err != nil {
		return err
	}
	translations := make([]googleTranslation, len(results))
	for i, r := range results {
		translations[i].TranslatedText = r.text
		if r.detected != nil {
			translations[i].DetectedSourceLanguage = shortCode(r.detected.Language)
		}
	}
	return c.JSON(fiber.Map{"data": fiber.Map{"translations": translations}})
}

// googleDetection is one detected language.
type googleDetection struct {
	Language   string  `json:"language"`
	IsReliable bool    `json:"isReliable"`
	Confidence float64 `json:"confidence"`
}

func (s *service) googleDetect(c *fiber.Ctx) error {
	body, err := s.parseGoogle(c)
	if err != nil {
		return err
	}
	model, release, err := s.acquire(c)
	if err != nil {
		return err
	}
	defer release()
	var all []detection
	detections := [][]googleDetection{}
	for _, text := range body.Q.values {
		found, err := s.detectOne(model, "q", text, 1)
		if err != nil {
			return err
		}
		all = append(all, found)
		detections = append(detections, []googleDetection{{shortCode(found.DetectedLanguage), false, found.Confidence}})
	}
	logDetection(fields(c), all...)
	return c.JSON(fiber.Map{"data": fiber.Map{"detections": detections}})
}

func (s *service) googleLanguages(c *fiber.Ctx) error {
	if err := s.checkGoogleKey(c); err != nil {
		return err
	}
	named := c.Query("target") != ""
	var list []fiber.Map
	for _, l := range s.served() {
		entry := fiber.Map{"language": shortCode(l.Code)}
		if named {
			entry["name"] = l.Name
		}
		list = append(list, entry)
	}
	return c.JSON(fiber.Map{"data": fiber.Map{"languages": list}})
}
