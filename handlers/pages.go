package handlers

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"embed"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/flores"
)

//go:embed assets
var assets embed.FS

// openAPI describes the service; openAPIAdmin and openAPIWebhook have what those routes add to its components and paths.
var (
	//go:embed openapi.json
	openAPI []byte
	//go:embed openapi_admin.json
	openAPIAdmin []byte
	//go:embed openapi_webhook.json
	openAPIWebhook []byte
)

// pagePolicy lets pages load only what this server has: no inline script, no other host. The documentation's
// libraries set styles on elements, which has to be allowed. Who may frame them is an option.
const (
	pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
	docsPolicy = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'"
)

var mediaTypes = map[string]string{
	".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
}

// documentRoutes are the pages for people, what they load, and the document for programs.
func (s *service) documentRoutes() []route {
	return []route{
		{"GET", "/", s.page("swagger.html", docsPolicy), false},
		{"GET", "/docs", s.page("swagger.html", docsPolicy), false},
		{"GET", "/redoc", s.page("redoc.html", docsPolicy), false},
		{"GET", "/ui", s.page("ui.html", pagePolicy), false},
		{"GET", "/assets/:file", s.getAsset, false},
		{"GET", "/openapi.json", s.getOpenAPI, false},
	}
}

// page serves one embedded page under a policy.
func (s *service) page(file, policy string) fiber.Handler {
	body, err := assets.ReadFile("assets/" + file)
	if err != nil {
		panic("handlers: " + err.Error()) // embedded, so the tests see it
	}
	document := cached{body, tag(body)}
	policy += "; frame-ancestors " + cmp.Or(strings.Join(s.FrameAncestors, " "), "'none'")
	return func(c *fiber.Ctx) error {
		c.Set(fiber.HeaderContentSecurityPolicy, policy)
		if len(s.FrameAncestors) > 0 { // which it has no way to name
			c.Response().Header.Del(fiber.HeaderXFrameOptions)
		}
		return document.send(c, mediaTypes[path.Ext(file)])
	}
}

// tag is weak: answers may be compressed on their way.
func tag(body []byte) string {
	hash := fnv.New64a()
	_, _ = hash.Write(body)
	return fmt.Sprintf(`W/"%x"`, hash.Sum64())
}

// getAsset serves the pages' scripts and styles. The large ones are embedded compressed.
func (s *service) getAsset(c *fiber.Ctx) error {
	name := path.Base(c.Params("file"))
	media := mediaTypes[path.Ext(name)]
	if media == "" || path.Ext(name) == ".html" {
		return fiber.ErrNotFound
	}
	if body, err := assets.ReadFile("assets/" + name); err == nil {
		return cached{body, tag(body)}.send(c, media)
	}
	packed, err := assets.ReadFile("assets/" + name + ".gz")
	if err != nil {
		return fiber.ErrNotFound
	}
	return sendPacked(c, packed, media)
}

// sendPacked answers with a gzip file, unpacked for the rare client that doesn't take it so. Who says nothing, or * alone,
// gets what everybody understands.
func sendPacked(c *fiber.Ctx, packed []byte, media string) error {
	c.Vary(fiber.HeaderAcceptEncoding)
	if c.AcceptsEncodings("identity", "gzip") == "gzip" {
		c.Set(fiber.HeaderContentEncoding, "gzip")
		return cached{packed, tag(packed)}.send(c, media)
	}
	reader, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return err
	}
	body, err := io.ReadAll(reader)
	if err != nil {
		return err
	}
	return cached{body, tag(body)}.send(c, media)
}

func (s *service) getOpenAPI(c *fiber.Ctx) error {
	c.Set(fiber.HeaderContentType, fiber.MIMEApplicationJSON)
	return c.Send(s.describe(s.served()))
}

// describe fills the embedded OpenAPI document with this instance's limits and the languages that it serves.
func (s *service) describe(served []flores.Language) []byte {
	document := document{Components: components{SecuritySchemes: map[string]json.RawMessage{}}} // public routes have none
	mustUnmarshal(openAPI, &document)
	if s.administered() {
		document.add(openAPIAdmin)
	}
	if s.hooked() {
		document.add(openAPIWebhook)
	}
	if !s.administered() && !s.hooked() {
		document.Tags = document.Tags[:len(document.Tags)-1] // administration is the last
	}
	schemas := document.Components.Schemas
	document.Info["title"], document.Info["version"] = s.AppName, s.Version
	schemas["Text"]["description"] = fmt.Sprintf("At most %d characters (Unicode code points); more are answered with 413.", s.MaxCharacters)
	schemas["LanguageCode"]["enum"] = codes(served)
	schemas["BeamSize"]["anyOf"] = []any{map[string]any{"type": "integer", "minimum": 1, "maximum": s.MaxBeamSize}, map[string]any{"type": "null"}}
	for _, batch := range []string{"BatchRequest", "DetectBatchRequest"} {
		texts := schemas[batch]["properties"].(map[string]any)["texts"].(map[string]any)
		texts["maxItems"] = s.MaxBatchSize
	}
	return encode(document).body
}

// document is an OpenAPI document.
type document struct {
	OpenAPI    string            `json:"openapi"`
	Info       map[string]any    `json:"info"`
	Servers    json.RawMessage   `json:"servers"`
	Tags       []json.RawMessage `json:"tags"`
	Paths      json.RawMessage   `json:"paths"`
	Components components        `json:"components"`
}

// add adds the paths and components of an embedded part.
func (d *document) add(part []byte) {
	var added struct {
		Paths json.RawMessage `json:"paths"`
		components
	}
	mustUnmarshal(part, &added)
	d.Paths = joinObjects(d.Paths, added.Paths)
	maps.Copy(d.Components.Schemas, added.Schemas)
	maps.Copy(d.Components.Responses, added.Responses)
	maps.Copy(d.Components.SecuritySchemes, added.SecuritySchemes)
}

// components are the parts of an OpenAPI document that its paths refer to.
type components struct {
	Schemas         map[string]map[string]any  `json:"schemas"`
	Responses       map[string]json.RawMessage `json:"responses"`
	Headers         json.RawMessage            `json:"headers,omitempty"`
	SecuritySchemes map[string]json.RawMessage `json:"securitySchemes,omitempty"`
}

// mustUnmarshal reads an embedded document.
func mustUnmarshal(document []byte, into any) {
	if err := json.Unmarshal(document, into); err != nil {
		panic("handlers: OpenAPI: " + err.Error()) // embedded, so the tests see it
	}
}

// joinObjects appends b's members to a's; both are JSON objects with members. Their order stays, as pages show it.
func joinObjects(a, b json.RawMessage) json.RawMessage {
	a, b = bytes.TrimSuffix(bytes.TrimSpace(a), []byte("}")), bytes.TrimPrefix(bytes.TrimSpace(b), []byte("{"))
	return slices.Concat(a, []byte(","), b)
}

func codes(languages []flores.Language) []string {
	codes := make([]string, len(languages))
	for i, l := range languages {
		codes[i] = l.Code
	}
	return codes
}
