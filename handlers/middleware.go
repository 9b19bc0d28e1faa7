package handlers

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"net/netip"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/google/uuid"
	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/sematech/sema/limiter"
	"github.com/sematech/sema/telemetry"
)

// Keys of a request's locals.
type localKey int

const (
	requestIDKey  localKey = iota // string
	endpointKey                   // string: a route pattern
	errorShapeKey                 // errorShape: how another service spells errors
	fieldsKey                     // logrus.Fields for the access log
	startKey                      // time.Time
	quietKey                      // bool: log it at debug level unless it fails
	streamingKey                  // bool: the answer is not complete when its handler returns
	ambiguousKey                  // bool: the request tells its length twice
)

// observe wraps everything: it names the request, turns errors and panics into answers, and records the outcome.
func (s *service) observe(c *fiber.Ctx) error {
	start := time.Now()
	c.Locals(startKey, start)
	c.Set(fiber.HeaderXRequestID, requestID(c))
	if err := s.guarded(c); err != nil {
		if err := s.answerError(c, err); err != nil {
			return err
		}
	}
	elapsed := time.Since(start)
	setResponseTime(c, elapsed)
	if c.Locals(streamingKey) == nil {
		s.finish(s.outcomeOf(c), elapsed)
	}
	return nil
}

func setResponseTime(c *fiber.Ctx, elapsed time.Duration) {
	c.Set("X-Response-Time", fmt.Sprintf("%.3fms", float64(elapsed.Microseconds())/1000))
}

// guarded runs the rest of the chain and turns a panic into an error.
func (s *service) guarded(c *fiber.Ctx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = s.recovered(r, requestID(c))
		}
	}()
	if c.Locals(ambiguousKey) != nil { // a proxy may have understood another length: what follows may be somebody else's
		c.Context().SetConnectionClose()
		return fail(typeBadRequest, "the request tells its length twice")
	}
	return c.Next()
}

// recovered records a panic, called while it unwinds, and returns it as an error.
func (s *service) recovered(r any, id string) error {
	s.metrics.Panic()
	s.log.WithFields(logrus.Fields{telemetry.FieldRequestID: id, "panic": fmt.Sprint(r), "stack": string(debug.Stack())}).Error("panic")
	return fmt.Errorf("handlers: panic: %v", r)
}

// outcome is what the access log says of a request.
type outcome struct {
	id, method, endpoint string
	status               int
	client               string
	fields               logrus.Fields
	quiet                bool
}

func (s *service) outcomeOf(c *fiber.Ctx) outcome {
	return outcome{requestID(c), c.Method(), endpoint(c), c.Response().StatusCode(), s.clientAddress(c).String(), fields(c), c.Locals(quietKey) == true}
}

// finish records a request when its answer is complete.
func (s *service) finish(o outcome, elapsed time.Duration) {
	s.metrics.Request(o.endpoint, o.status, elapsed)
	entry := s.log.WithFields(o.fields).WithFields(logrus.Fields{
		telemetry.FieldRequestID: o.id, telemetry.FieldClientIP: o.client, telemetry.FieldTotalTime: elapsed.Seconds(),
		"method": o.method, "endpoint": o.endpoint, "status": o.status,
	})
	level := logrus.InfoLevel
	switch {
	case o.status >= 500:
		level = logrus.WarnLevel
	case o.quiet:
		level = logrus.DebugLevel
	}
	entry.Log(level, "request_completed")
}

// requestID is the caller's X-Request-ID if it is well formed, else a UUID of ours.
func requestID(c *fiber.Ctx) string {
	if id, ok := c.Locals(requestIDKey).(string); ok {
		return id
	}
	id := c.Get(fiber.HeaderXRequestID)
	if !wellFormedID(id) {
		id = uuid.NewString()
	}
	c.Locals(requestIDKey, id)
	return id
}

// wellFormedID accepts 8 to 128 characters that are safe in a header, a log line and a URL.
func wellFormedID(id string) bool {
	return len(id) >= 8 && len(id) <= 128 && strings.IndexFunc(id, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.:", r))
	}) < 0
}

// endpoint is the pattern of the route that answers; everything else shares one label, so that labels are bounded.
func endpoint(c *fiber.Ctx) string {
	if pattern, ok := c.Locals(endpointKey).(string); ok {
		return pattern
	}
	return "unmatched"
}

// fields returns the request's log fields, for handlers to add to.
func fields(c *fiber.Ctx) logrus.Fields {
	if f, ok := c.Locals(fieldsKey).(logrus.Fields); ok {
		return f
	}
	f := logrus.Fields{}
	c.Locals(fieldsKey, f)
	return f
}

// secure sets the headers that keep browsers from doing what an API never needs. Pages loosen the policy themselves.
func (s *service) secure(c *fiber.Ctx) error {
	setSecurityHeaders(c)
	return c.Next()
}

func setSecurityHeaders(c *fiber.Ctx) {
	c.Set(fiber.HeaderXContentTypeOptions, "nosniff")
	c.Set(fiber.HeaderXFrameOptions, "DENY")
	c.Set(fiber.HeaderReferrerPolicy, "no-referrer")
	c.Set(fiber.HeaderContentSecurityPolicy, "default-src 'none'; frame-ancestors 'none'")
	c.Set("Cross-Origin-Opener-Policy", "same-origin")
	c.Set(fiber.HeaderPermissionsPolicy, "camera=(), geolocation=(), microphone=()")
	c.Set(fiber.HeaderCacheControl, "no-store")
}

// exposed are the response headers that scripts of other origins may read.
const exposed = "X-Request-ID, X-Response-Time, X-Model-Version, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset, RateLimit, RateLimit-Policy, Retry-After, ETag"

// cors answers preflights and names the allowed origin.
func (s *service) cors(c *fiber.Ctx) error {
	if !s.allowOrigin(c) || c.Method() != fiber.MethodOptions || c.Get(fiber.HeaderAccessControlRequestMethod) == "" {
		return c.Next()
	}
	c.Set(fiber.HeaderAccessControlAllowMethods, "GET, HEAD, POST, OPTIONS")
	c.Set(fiber.HeaderAccessControlAllowHeaders, "Content-Type, Authorization, X-Request-ID")
	c.Set(fiber.HeaderAccessControlMaxAge, "86400")
	return c.SendStatus(fiber.StatusNoContent)
}

// allowOrigin lets the request's origin read the answer, if it may, and reports that; * never comes together with
// credentials. Answers to others vary as well: caches must not give them to origins that may.
func (s *service) allowOrigin(c *fiber.Ctx) bool {
	origin, all := c.Get(fiber.HeaderOrigin), slices.Contains(s.CORSOrigins, "*")
	if len(s.CORSOrigins) > 0 && !all {
		c.Vary(fiber.HeaderOrigin)
	}
	switch {
	case origin == "":
		return false
	case all:
		c.Set(fiber.HeaderAccessControlAllowOrigin, "*")
	case slices.Contains(s.CORSOrigins, origin):
		c.Set(fiber.HeaderAccessControlAllowOrigin, origin)
		if s.CORSCredentials {
			c.Set(fiber.HeaderAccessControlAllowCredentials, "true")
		}
	default:
		return false
	}
	c.Set(fiber.HeaderAccessControlExposeHeaders, exposed)
	return true
}

// compressFrom is the size from which an answer is worth compressing, in bytes.
const compressFrom = 1400

var compressor = fasthttp.CompressHandlerBrotliLevel(func(*fasthttp.RequestCtx) {}, fasthttp.CompressBrotliBestSpeed, fasthttp.CompressDefaultCompression)

// compress encodes large answers; streams stay as they are, since a compressor would hold events back.
func compress(c *fiber.Ctx) error {
	if err := c.Next(); err != nil {
		return err
	}
	if !c.Response().IsBodyStream() && len(c.Response().Body()) >= compressFrom {
		c.Vary(fiber.HeaderAcceptEncoding)
		compressor(c.Context())
	}
	return nil
}

// formFields is how many fields a form may have beside one for each text of a batch.
const formFields = 1000

// modest refuses bodies that would take far more memory than they are long: compressed ones, which fasthttp unpacks
// without a bound where they are forms, and forms of very many fields.
func (s *service) modest(c *fiber.Ctx) error {
	body, encoding := c.Request().Body(), c.Get(fiber.HeaderContentEncoding)
	if len(body) > 0 && encoding != "" && !strings.EqualFold(encoding, "identity") {
		return fail(typeMediaType, "the body must not be compressed")
	}
	media := strings.ToLower(c.Get(fiber.HeaderContentType)) // whatever the body looks like: fasthttp goes by this
	if most := formFields + s.MaxBatchSize; strings.HasPrefix(media, fiber.MIMEApplicationForm) && bytes.Count(body, []byte("&")) >= most {
		return fail(typeBadRequest, fmt.Sprintf("the form has more than %d fields", most))
	}
	return c.Next()
}

// deadline bounds the time of a request.
func (s *service) deadline(c *fiber.Ctx) error {
	ctx, cancel := context.WithTimeout(s.Context, s.RequestTimeout)
	defer cancel()
	c.SetUserContext(ctx)
	return c.Next()
}

// limit counts the request against its client's rate.
func (s *service) limit(c *fiber.Ctx) error {
	if s.Limits == nil {
		return c.Next()
	}
	decision, err := s.Limits.Take(c.UserContext(), limiter.ClientKey(s.clientAddress(c)))
	if err != nil {
		return err
	}
	if decision.Window == "" {
		return c.Next()
	}
	setRateHeaders(c, decision)
	if decision.Allowed {
		return c.Next()
	}
	s.metrics.RateLimited(decision.Window)
	return fail(typeRateLimited, fmt.Sprintf("more than %d requests per %s", decision.Limit, decision.Window)).retry(time.Until(decision.Reset))
}

// setRateHeaders sets both the customary headers and those of the IETF's draft.
func setRateHeaders(c *fiber.Ctx, d limiter.Decision) {
	wait := max(0, int64(math.Ceil(time.Until(d.Reset).Seconds())))
	c.Set("X-RateLimit-Limit", strconv.FormatInt(d.Limit, 10))
	c.Set("X-RateLimit-Remaining", strconv.FormatInt(d.Remaining, 10))
	c.Set("X-RateLimit-Reset", strconv.FormatInt(d.Reset.Unix(), 10))
	c.Set("RateLimit-Policy", fmt.Sprintf("%q;q=%d;w=%d", d.Window, d.Limit, int64(d.Period/time.Second)))
	c.Set("RateLimit", fmt.Sprintf("%q;r=%d;t=%d", d.Window, d.Remaining, wait))
}

// clientAddress is who sent the request, as far as the trusted proxies can be believed.
func (s *service) clientAddress(c *fiber.Ctx) netip.Addr {
	remote, _ := netip.AddrFromSlice(c.Context().RemoteIP())
	var forwarded []string
	for _, header := range c.Request().Header.PeekAll(fiber.HeaderXForwardedFor) {
		forwarded = append(forwarded, strings.Split(string(header), ",")...)
	}
	return s.proxies.Client(remote.Unmap(), forwarded)
}
