package handlers

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/flores"
)

// languageInfo is one language in the answers of /languages.
type languageInfo struct {
	Name       string `json:"name"`
	NativeName string `json:"native_name"`
	Region     string `json:"region"`
	Script     string `json:"script"`
	ISO6391    string `json:"iso_639_1"`
	ISO6393    string `json:"iso_639_3"`
}

func infoOf(l flores.Language) languageInfo {
	return languageInfo{l.Name, l.NativeName, l.Region, l.Script, l.ISO6391, l.ISO6393}
}

// languageList is the answer of the routes that list languages.
type languageList struct {
	Languages map[string]languageInfo `json:"languages"`
	Total     int                     `json:"total"`
}

func listOf(languages []flores.Language) languageList {
	list := languageList{Languages: make(map[string]languageInfo, len(languages)), Total: len(languages)}
	for _, l := range languages {
		list.Languages[l.Code] = infoOf(l)
	}
	return list
}

// languageTables are the answers that never change, encoded once.
type languageTables struct {
	all, popular, african, stats cached
}

// cached is a body with its entity tag.
type cached struct {
	body []byte
	etag string
}

func newLanguageTables() languageTables {
	return languageTables{
		all:     encode(listOf(flores.All())),
		popular: encode(listOf(flores.Popular())),
		african: encode(listOf(flores.African())),
		stats:   encode(countLanguages(flores.All())),
	}
}

// encode makes a cached body of a value that always encodes.
func encode(value any) cached {
	body, err := json.Marshal(value)
	if err != nil {
		panic("handlers: " + err.Error())
	}
	return cached{body, tag(body)}
}

// send answers with the body, or with 304 when the client has it. Tables change only with the program.
func (t cached) send(c *fiber.Ctx, contentType string) error {
	c.Vary(fiber.HeaderAcceptEncoding)
	c.Set(fiber.HeaderETag, t.etag)
	c.Set(fiber.HeaderCacheControl, "public, max-age=3600, stale-while-revalidate=86400")
	if matches(c.Get(fiber.HeaderIfNoneMatch), t.etag) {
		return c.SendStatus(fiber.StatusNotModified)
	}
	c.Set(fiber.HeaderContentType, contentType)
	return c.Send(t.body)
}

// matches implements If-None-Match with weak comparison.
func matches(header, etag string) bool {
	for _, candidate := range strings.Split(header, ",") {
		candidate = strings.TrimSpace(candidate)
		if candidate == "*" || strings.TrimPrefix(candidate, "W/") == strings.TrimPrefix(etag, "W/") {
			return true
		}
	}
	return false
}

// languageStats is the answer of /languages/stats.
type languageStats struct {
	Total    int            `json:"total"`
	ByRegion map[string]int `json:"by_region"`
	ByScript map[string]int `json:"by_script"`
	African  int            `json:"african"`
}

func countLanguages(languages []flores.Language) languageStats {
	stats := languageStats{Total: len(languages), ByRegion: map[string]int{}, ByScript: map[string]int{}, African: len(flores.African())}
	for _, l := range languages {
		stats.ByRegion[l.Region]++
		stats.ByScript[l.Script]++
	}
	return stats
}

// served are the languages of the model that serves now; all, if there is none or it doesn't say.
func (s *service) served() []flores.Language {
	model, release, err := s.Models.Acquire()
	if err != nil {
		return flores.All()
	}
	defer release()
	codes := model.Languages()
	if codes == nil {
		return flores.All()
	}
	var languages []flores.Language
	for _, code := range codes {
		if language, known := flores.Lookup(code); known {
			languages = append(languages, language)
		}
	}
	return languages
}

// getLanguages answers in LibreTranslate's shape when asked to, or when it is that service's Python client, which sends
// an empty form.
func (s *service) getLanguages(c *fiber.Ctx) error {
	if err := oneOf(c, "format", "sema", "libre"); err != nil {
		return err
	}
	if err := oneOf(c, "available", "true", "false"); err != nil {
		return err
	}
	switch {
	case c.Query("format") == "libre" || isForm(c):
		return s.sendLibreLanguages(c)
	case c.Query("available") == "true":
		return c.JSON(listOf(s.served()))
	}
	return s.tables.all.send(c, fiber.MIMEApplicationJSON)
}

func (s *service) getPopular(c *fiber.Ctx) error {
	return s.tables.popular.send(c, fiber.MIMEApplicationJSON)
}

func (s *service) getAfrican(c *fiber.Ctx) error {
	return s.tables.african.send(c, fiber.MIMEApplicationJSON)
}

func (s *service) getStats(c *fiber.Ctx) error {
	return s.tables.stats.send(c, fiber.MIMEApplicationJSON)
}

func (s *service) getRegion(c *fiber.Ctx) error {
	region := pathParameter(c, "region")
	languages := flores.Region(region)
	if len(languages) == 0 {
		return fail(typeNotFound, "there is no such region", Detail{Field: "region", Message: "unknown", Suggestions: regions()})
	}
	return encode(listOf(languages)).send(c, fiber.MIMEApplicationJSON)
}

// regions lists the regions of the table, each once.
func regions() []string {
	var names []string
	seen := map[string]bool{}
	for _, l := range flores.All() {
		if !seen[l.Region] {
			seen[l.Region] = true
			names = append(names, l.Region)
		}
	}
	return names
}

// oneOf refuses a query parameter that is there and has none of the values.
func oneOf(c *fiber.Ctx, name string, values ...string) error {
	if c.Context().QueryArgs().Has(name) && !slices.Contains(values, c.Query(name)) {
		return invalid(name, "must be one of %s", strings.Join(values, ", "))
	}
	return nil
}

// maxQuery bounds what a search has to look for, in code points.
const maxQuery = 50

func (s *service) getSearch(c *fiber.Ctx) error {
	query := strings.TrimSpace(c.Query("q"))
	if query == "" {
		return invalid("q", "must not be empty")
	}
	if utf8.RuneCountInString(query) > maxQuery {
		return invalid("q", "must not be longer than %d characters", maxQuery)
	}
	return encode(listOf(flores.Search(query))).send(c, fiber.MIMEApplicationJSON)
}

func (s *service) getLanguage(c *fiber.Ctx) error {
	language, err := flores.Resolve(pathParameter(c, "code"))
	if err != nil {
		var unknown *flores.UnknownLanguageError
		notFound := fail(typeNotFound, "there is no such language")
		if errors.As(err, &unknown) {
			notFound.Details = append(notFound.Details, Detail{Field: "code", Message: "unknown", Suggestions: unknown.Suggestions})
		}
		return notFound
	}
	return encode(struct {
		Code string `json:"code"`
		languageInfo
	}{language.Code, infoOf(language)}).send(c, fiber.MIMEApplicationJSON)
}

// pathParameter is a decoded part of the path.
func pathParameter(c *fiber.Ctx, name string) string {
	decoded, err := url.PathUnescape(c.Params(name))
	if err != nil {
		return c.Params(name)
	}
	return decoded
}

// resolve turns a caller's name for a language into its FLORES code; field is the one to blame.
func resolve(field, name string) (string, error) {
	if name == "" {
		return "", invalid(field, "is required, a FLORES-200 code such as swh_Latn")
	}
	language, err := flores.Resolve(name)
	var unknown *flores.UnknownLanguageError
	if errors.As(err, &unknown) {
		return "", unknownLanguage(field, unknown)
	}
	return language.Code, err
}

// resolveSource is resolve for a language that may be left to detection, by "" or "auto".
func resolveSource(field, name string) (string, error) {
	if name == "" || strings.EqualFold(name, "auto") {
		return "", nil
	}
	return resolve(field, name)
}

func unknownLanguage(field string, err *flores.UnknownLanguageError) *Error {
	message := fmt.Sprintf("%q is not a language of FLORES-200", excerpt(err.Input))
	if len(err.Suggestions) > 0 {
		message += "; did you mean " + strings.Join(err.Suggestions, ", ") + "?"
	}
	return fail(typeLanguage, message, Detail{Field: field, Message: "unknown language", Suggestions: err.Suggestions})
}
