package handlers

import (
	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/flores"
)

// libreRoutes are LibreTranslate's. Its /translate and /languages share their address with ours; under /libretranslate
// all of it is there, without any guessing.
func (s *service) libreRoutes() []route {
	settings := func(c *fiber.Ctx) error { return c.JSON(s.libreSettings()) }
	return []route{
		{"POST", "/detect", s.libreDetect, true},
		{"GET", "/frontend/settings", settings, false},
		{"POST", "/libretranslate/translate", s.libreTranslate, true},
		{"POST", "/libretranslate/detect", s.libreDetect, true},
		{"GET", "/libretranslate/languages", s.sendLibreLanguages, true},
		{"GET", "/libretranslate/frontend/settings", settings, false},
	}
}

func libreError(e *Error) (int, any) { return peerStatus(e), fiber.Map{"error": e.Message} }

// libreBody is what LibreTranslate's clients send, as JSON or as a form.
type libreBody struct {
	Q      stringList `json:"q"`
	Source string     `json:"source"`
	Target string     `json:"target"`
	Format string     `json:"format"`
	APIKey string     `json:"api_key"`
}

func (s *service) parseLibre(c *fiber.Ctx) (libreBody, error) {
	var body libreBody
	if isForm(c) || len(c.Request().Body()) == 0 {
		body = libreBody{stringList{values: formValues(c, "q")}, formValue(c, "source"), formValue(c, "target"), formValue(c, "format"), formValue(c, "api_key")}
		body.Q.array = len(body.Q.values) > 1
	} else if err := decodeJSON(c, &body); err != nil {
		return body, err
	}
	switch {
	case !s.authorized(body.APIKey):
		return body, fail(typeForbidden, "Invalid API key")
	case len(body.Q.values) == 0:
		return body, invalid("q", "is required")
	case len(body.Q.values) > s.MaxBatchSize:
		return body, invalid("q", "must not hold more than %d texts", s.MaxBatchSize)
	}
	return body, nil
}

// libreDetected is a detected language; its confidence is a percentage.
type libreDetected struct {
	Confidence float64 `json:"confidence"`
	Language   string  `json:"language"`
}

func (s *service) libreTranslate(c *fiber.Ctx) error {
	body, err := s.parseLibre(c)
	if err != nil {
		return err
	}
	results, err := s.translatePeer(c, peerRequest{
		texts: body.Q.values, source: body.Source, target: body.Target,
		field: "q", sourceField: "source", targetField: "target", markup: body.Format == "html",
	})
	if err != nil {
		return err
	}
	texts, found := make([]string, len(results)), make([]libreDetected, len(results))
	for i, r := range results {
		texts[i] = r.text
		if r.detected != nil {
			found[i] = libreDetected{r.detected.Confidence * 100, shortCode(r.detected.Language)}
		}
	}
	return c.JSON(libreAnswer(texts, found, body))
}

// libreAnswer holds arrays if the question did, and the detected language if that was asked for.
func libreAnswer(texts []string, found []libreDetected, body libreBody) fiber.Map {
	answer := fiber.Map{"translatedText": texts[0]}
	if body.Q.array {
		answer["translatedText"] = texts
	}
	if body.Source == "" || body.Source == "auto" {
		answer["detectedLanguage"] = found[0]
		if body.Q.array {
			answer["detectedLanguage"] = found
		}
	}
	return answer
}

func (s *service) libreDetect(c *fiber.Ctx) error {
	body, err := s.parseLibre(c)
	if err != nil {
		return err
	}
	model, release, err := s.acquire(c)
	if err != nil {
		return err
	}
	defer release()
	found, err := s.detectOne(model, "q", body.Q.values[0], 3)
	if err != nil {
		return err
	}
	logDetection(fields(c), found)
	answer := []libreDetected{}
	if found.DetectedLanguage != undetermined {
		answer = append(answer, libreDetected{found.Confidence * 100, shortCode(found.DetectedLanguage)})
	}
	for _, other := range found.Alternatives {
		answer = append(answer, libreDetected{other.Confidence * 100, shortCode(other.Language)})
	}
	return c.JSON(answer)
}

func (s *service) libreSettings() fiber.Map {
	return fiber.Map{
		"apiKeys": s.APIKey != "", "keyRequired": s.APIKey != "", "charLimit": s.MaxCharacters, "frontendTimeout": 500,
		"suggestions": false, "filesTranslation": false, "supportedFilesFormat": []string{},
		"language": fiber.Map{
			"source": fiber.Map{"code": "auto", "name": "Auto Detect"},
			"target": fiber.Map{"code": "en", "name": "English"},
		},
	}
}

// libreLanguage is one entry of LibreTranslate's list.
type libreLanguage struct {
	Code    string   `json:"code"`
	Name    string   `json:"name"`
	Targets []string `json:"targets"`
}

func (s *service) sendLibreLanguages(c *fiber.Ctx) error { return c.JSON(libreList(s.served())) }

// libreList lists every language with the same targets: all.
func libreList(languages []flores.Language) []libreLanguage {
	targets := make([]string, len(languages))
	for i, l := range languages {
		targets[i] = shortCode(l.Code)
	}
	list := make([]libreLanguage, len(languages))
	for i, l := range languages {
		list[i] = libreLanguage{targets[i], l.Name, targets}
	}
	return list
}
