package handlers

import (
	"slices"

	"github.com/gofiber/fiber/v2"
)

// apiPrefix is where the routes are; the original service also has them without it.
const apiPrefix = "/api/v1"

// route is one address of the service.
type route struct {
	method, path string
	handler      fiber.Handler
	limited      bool // counts against the client's rate; what doesn't is asked for all the time, so it is logged less
}

// dialect is the routes of another service, whose clients know errors in its shape; nil is as ours.
type dialect struct {
	shape  errorShape
	routes []route
}

// install adds the middleware and all routes: the service's own and its documentation twice, and the other services'
// where their clients look for them.
func (s *service) install(app *fiber.App) {
	app.Use(s.observe, s.secure, s.cors, compress, s.modest, s.deadline)
	for _, r := range slices.Concat(s.routes(), s.adminRoutes(), s.documentRoutes()) {
		s.add(app, r, apiPrefix+r.path, nil)
		s.add(app, r, r.path, nil)
	}
	for _, d := range s.dialects() {
		for _, r := range d.routes {
			s.add(app, r, r.path, d.shape)
		}
	}
}

// add registers a route; what answers GET answers HEAD.
func (s *service) add(app *fiber.App, r route, pattern string, shape errorShape) {
	s.places[pattern] = shape
	app.Add(r.method, pattern, s.chain(r, pattern, shape)...)
	if r.method == fiber.MethodGet {
		app.Add(fiber.MethodHead, pattern, s.chain(r, pattern, shape)...)
	}
}

// place names the address of a request that ends before its route: it is refused early, or has another method.
func (s *service) place(c *fiber.Ctx) {
	if c.Locals(endpointKey) != nil {
		return
	}
	if shape, known := s.places[c.Path()]; known {
		c.Locals(endpointKey, c.Path())
		c.Locals(errorShapeKey, shape)
	}
}

// chain is the handlers of one address: name it for metrics and logs, limit it, answer.
func (s *service) chain(r route, pattern string, shape errorShape) []fiber.Handler {
	name := func(c *fiber.Ctx) error {
		c.Locals(endpointKey, pattern)
		c.Locals(quietKey, !r.limited)
		c.Locals(errorShapeKey, shape)
		return c.Next()
	}
	if r.limited {
		return []fiber.Handler{name, s.limit, r.handler}
	}
	return []fiber.Handler{name, r.handler}
}

// routes are the service's own, without their prefix.
func (s *service) routes() []route {
	return []route{
		{"POST", "/translate", s.postTranslate, true},
		{"POST", "/translate/batch", s.postTranslateBatch, true},
		{"POST", "/translate/stream", s.postTranslateStream, true},
		{"POST", "/detect-language", s.postDetect, true},
		{"POST", "/detect-language/batch", s.postDetectBatch, true},
		{"GET", "/languages", s.getLanguages, true},
		{"GET", "/languages/popular", s.getPopular, true},
		{"GET", "/languages/african", s.getAfrican, true},
		{"GET", "/languages/search", s.getSearch, true},
		{"GET", "/languages/stats", s.getStats, true},
		{"GET", "/languages/region/:region", s.getRegion, true},
		{"GET", "/languages/:code", s.getLanguage, true},
		{"GET", "/status", s.getStatus, false},
		{"GET", "/health", s.getHealth, false},
		{"GET", "/live", s.getLive, false},
		{"GET", "/ready", s.getReady, false},
		{"GET", "/metrics", s.getMetrics, false},
	}
}
