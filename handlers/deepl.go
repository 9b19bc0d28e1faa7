package handlers

import (
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"
)

// DeepL's limits of one request.
const (
	deepLTexts = 50
	deepLBytes = 128 << 10
)

// deepLRoutes are those of DeepL's API that its clients need to translate texts.
func (s *service) deepLRoutes() []route {
	return []route{
		{"POST", "/v2/translate", s.deepLTranslate, true},
		{"GET", "/v2/languages", s.deepLLanguages, true},
		{"POST", "/v2/languages", s.deepLLanguages, true},
		{"GET", "/v2/usage", s.deepLUsage, true},
		{"POST", "/v2/usage", s.deepLUsage, true},
	}
}

func deepLError(e *Error) (int, any) { return peerStatus(e), fiber.Map{"message": e.Message} }

// deepLBody is what DeepL's clients send, as JSON or as a form.
type deepLBody struct {
	Text        stringList `json:"text"`
	SourceLang  string     `json:"source_lang"`
	TargetLang  string     `json:"target_lang"`
	TagHandling string     `json:"tag_handling"`
	IgnoreTags  stringList `json:"ignore_tags"`
}

func (s *service) checkDeepLKey(c *fiber.Ctx) error {
	if !s.authorized(strings.TrimPrefix(c.Get(fiber.HeaderAuthorization), "DeepL-Auth-Key ")) {
		return fail(typeForbidden, "Invalid authentication key")
	}
	return nil
}

func (s *service) parseDeepL(c *fiber.Ctx) (deepLBody, error) {
	var body deepLBody
	if err := s.checkDeepLKey(c); err != nil {
		return body, err
	}
	if len(c.Request().Body()) > deepLBytes {
		return body, fail(typeBodyTooLarge, "Request size exceeds 128 KiB")
	}
	if isForm(c) {
		body = deepLBody{stringList{values: formValues(c, "text")}, formValue(c, "source_lang"), formValue(c, "target_lang"), formValue(c, "tag_handling"), stringList{values: formValues(c, "ignore_tags")}}
	} else if err := decodeJSON(c, &body); err != nil {
		return body, err
	}
	if len(body.Text.values) > deepLTexts {
		return body, invalid("text", "must not hold more than %d texts", deepLTexts)
	}
	return body, nil
}

// deepLTranslation is one translated text.
type deepLTranslation struct {
	DetectedSourceLanguage string `json:"detected_source_language"`
	Text                   string `json:"text"`
	BilledCharacters       int    `json:"billed_characters"`
}

func (s *service) deepLTranslate(c *fiber.Ctx) error {
	body, err := s.parseDeepL(c)
	if err != nil {
		return err
	}
	results, err := s.translatePeer(c, peerRequest{
		texts: body.Text.values, source: body.SourceLang, target: body.TargetLang,
		field: "text", sourceField: "source_lang", targetField: "target_lang",
		markup: body.TagHandling != "", xml: body.TagHandling == "xml", ignoreTags: splitTagNames(body.IgnoreTags.values),
	})
	if err != nil {
		return err
	}
	s.billed.Add(int64(runes(body.Text.values)))
	translations := make([]deepLTranslation, len(results))
	for i, r := range results {
		translations[i] = deepLTranslation{toDeepL(r.source), r.text, utf8.RuneCountInString(body.Text.values[i])}
		if r.source == "" {
			translations[i].DetectedSourceLanguage = strings.ToUpper(body.SourceLang)
		}
	}
	return c.JSON(fiber.Map{"translations": translations})
}

// splitTagNames reads names that come as a list, as a comma-separated string or both. They are a set: each tag of all
// texts is looked up in it.
func splitTagNames(values []string) map[string]bool {
	names := map[string]bool{}
	for name := range strings.FieldsFuncSeq(strings.ToLower(strings.Join(values, ",")), func(r rune) bool { return r == ',' || r == ' ' }) {
		names[name] = true
	}
	return names
}

// toDeepL is DeepL's code of a FLORES language.
func toDeepL(code string) string { return strings.ToUpper(shortCode(code)) }

// deepLLanguage is one entry of /v2/languages.
type deepLLanguage struct {
	Language          string `json:"language"`
	Name              string `json:"name"`
	SupportsFormality bool   `json:"supports_formality"`
}

// deepLVariants are the targets that DeepL names by region only.
var deepLVariants = map[string][]deepLLanguage{
	"EN": {{"EN-GB", "English (British)", false}, {"EN-US", "English (American)", false}},
	"PT": {{"PT-BR", "Portuguese (Brazilian)", false}, {"PT-PT", "Portuguese (European)", false}},
}

func (s *service) deepLLanguages(c *fiber.Ctx) error {
	if err := s.checkDeepLKey(c); err != nil {
		return err
	}
	target := formValue(c, "type") == "target"
	var list []deepLLanguage
	for _, l := range s.served() {
		code := toDeepL(l.Code)
		if variants := deepLVariants[code]; target && variants != nil {
			list = append(list, variants...)
			continue
		}
		list = append(list, deepLLanguage{code, l.Name, false})
	}
	return c.JSON(list)
}

// deepLLimit is more than anyone translates: clients stop when they reach it.
const deepLLimit = 1_000_000_000_000

// deepLUsage says how many characters were translated for DeepL's clients since the start.
func (s *service) deepLUsage(c *fiber.Ctx) error {
	if err := s.checkDeepLKey(c); err != nil {
		return err
	}
	return c.JSON(fiber.Map{"character_count": s.billed.Load(), "character_limit": deepLLimit})
}
