// Package handlers is Sema's REST service: its routes, middleware, admission and the API shapes of other translation
// services, on Fiber. What translates is behind the Models interface.
package handlers

import (
	"bytes"
	"context"
	"slices"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/sirupsen/logrus"
	"github.com/valyala/fasthttp"

	"github.com/sematech/sema/limiter"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/telemetry"
)

// Options is what the service is built from. Models, Log and Metrics are required.
type Options struct {
	AppName, Version, Environment string

	Models  Models
	Log     *logrus.Logger
	Metrics *telemetry.Metrics
	Limits  *limiter.Limits // nil: none
	Cache   Cache           // nil: none

	// WaitForModel, if set, waits for the model that is about to replace the one just unloaded, up to ctx's end, whose
	// error it returns. It returns ErrNoModel at once if none is on its way.
	WaitForModel func(ctx context.Context) error

	Control       modelstore.Controller // what the admin routes drive; nil: they don't exist
	AdminToken    string                // of the admin routes; "": they don't exist
	WebhookSecret string                // that the Hub sends to /hooks/huggingface; "": it doesn't exist
	// ModelRepo and ModelRevision are the Hub's repository whose webhooks count, and the branch or tag of it.
	ModelRepo, ModelRevision string
	Heartbeat                time.Duration // between signs of life of idle streams

	// Context is the parent of all work; cancelling it ends what still runs. nil means context.Background().
	Context context.Context
	// ShuttingDown, if set, says that no new work is taken and /ready answers 503.
	ShuttingDown func() bool

	MaxCharacters int // of one text, in code points
	MaxBatchSize  int // texts of one batch request
	BeamSize      int // when a request names none
	MaxBeamSize   int

	QueueTokens, ActiveTokens int // bounds of the admission queue, in estimated tokens

	BodyLimit                              int           // bytes
	ReadTimeout, WriteTimeout, IdleTimeout time.Duration // of a connection
	RequestTimeout                         time.Duration // from arrival to answer, queueing included

	CORSOrigins     []string // "*" allows any
	CORSCredentials bool
	TrustedProxies  string // as ParseProxies reads it
	// FrameAncestors may show the pages in a frame, in the words of CSP's frame-ancestors; none: nobody.
	FrameAncestors []string

	ServeMetrics bool   // /metrics exists
	APIKey       string // for the DeepL, Google and LibreTranslate shapes; "" accepts any
}

// unknownMethod stands for every method that is not among methods.
const unknownMethod = "UNKNOWN"

// methods are those that get an answer of ours, if only 405; Fiber answers others with a bare 400.
var methods = append([]string{unknownMethod, "QUERY", "LINK", "UNLINK", "PROPFIND", "PROPPATCH", "MKCOL", "COPY", "MOVE", "LOCK", "UNLOCK", "SEARCH", "PURGE", "REPORT"}, fiber.DefaultMethods...)

// service is what the handlers share. Its fields don't change after New; what they hold is safe for concurrent use.
type service struct {
	Options
	log     *logrus.Logger
	metrics *telemetry.Metrics
	proxies Proxies
	queue   *Queue
	started time.Time
	probe   probe
	tables  languageTables
	places  map[string]errorShape // by the pattern of each route
	billed  atomic.Int64          // characters translated for DeepL's clients

	attempts *limiter.Memory // wrong secrets by client
	hooks    chan struct{}   // a place for each reload that webhooks wait for
}

// New builds the service. It fails on options that contradict each other.
func New(options Options) (*fiber.App, error) {
	options.setDefaults()
	proxies, err := ParseProxies(options.TrustedProxies)
	if err != nil {
		return nil, err
	}
	s := &service{
		Options: options, log: options.Log, metrics: options.Metrics, proxies: proxies,
		queue: NewQueue(options.ActiveTokens, options.QueueTokens), started: time.Now(),
		attempts: limiter.NewMemory(wrongClients, nil), hooks: make(chan struct{}, webhookReloads),
	}
	s.tables, s.places = newLanguageTables(), map[string]errorShape{}
	s.watchGauges()
	app := fiber.New(fiber.Config{
		AppName:                      options.AppName,
		DisableStartupMessage:        true,
		Immutable:                    true, // strings taken from a request outlive it, in logs and caches
		BodyLimit:                    options.BodyLimit,
		ReadTimeout:                  options.ReadTimeout,
		WriteTimeout:                 options.WriteTimeout,
		IdleTimeout:                  options.IdleTimeout,
		ReadBufferSize:               16 << 10,
		DisablePreParseMultipartForm: true,
		RequestMethods:               methods,
		ErrorHandler:                 s.answerEarly,
	})
	s.install(app)
	strict(app)
	return app, nil
}

// strict prepares requests for what Fiber makes nothing of: methods that it doesn't know, and a length that is told
// twice.
func strict(app *fiber.App) {
	server := app.Server()
	next := server.Handler
	server.Handler = func(c *fasthttp.RequestCtx) {
		if !slices.Contains(methods, string(c.Method())) {
			c.Request.Header.SetMethod(unknownMethod)
		}
		if lengths(c.Request.Header.RawHeaders()) > 1 {
			c.SetUserValue(ambiguousKey, true)
		}
		next(c)
	}
}

// lengths counts the headers that say how long the body is.
func lengths(headers []byte) (n int) {
	for line := range bytes.Lines(headers) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if bytes.EqualFold(name, []byte(fiber.HeaderContentLength)) || bytes.EqualFold(name, []byte(fiber.HeaderTransferEncoding)) {
			n++
		}
	}
	return n
}

func (o *Options) setDefaults() {
	setDefault(&o.Context, context.Background())
	setDefault(&o.AppName, "Sema")
	setDefault(&o.Version, "dev")
	setDefault(&o.Environment, "production")
	setDefault(&o.MaxCharacters, 5000)
	setDefault(&o.MaxBatchSize, 50)
	setDefault(&o.BeamSize, 1)
	setDefault(&o.MaxBeamSize, 8)
	setDefault(&o.QueueTokens, 1<<16)
	setDefault(&o.ActiveTokens, 1<<14)
	setDefault(&o.BodyLimit, 4<<20)
	setDefault(&o.ReadTimeout, 15*time.Second)
	setDefault(&o.WriteTimeout, 5*time.Minute)
	setDefault(&o.IdleTimeout, 2*time.Minute)
	setDefault(&o.RequestTimeout, time.Minute)
	setDefault(&o.Heartbeat, 15*time.Second)
	setDefault(&o.ModelRevision, "main")
	if o.ShuttingDown == nil {
		o.ShuttingDown = func() bool { return false }
	}
}

// setDefault fills in a field that the caller left at its zero value.
func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (s *service) watchGauges() {
	read := func(figure func(QueueStatus) int) func() float64 {
		return func() float64 { return float64(figure(s.queue.Status())) }
	}
	gauges := telemetry.Gauges{
		QueueRequests: read(func(q QueueStatus) int { return q.Waiting }),
		QueueTokens:   read(func(q QueueStatus) int { return q.WaitingTokens }),
		ActiveTokens:  read(func(q QueueStatus) int { return q.ActiveTokens }),
	}
	if s.Cache != nil {
		gauges.CacheBytes = func() float64 { return float64(s.Cache.Bytes()) }
	}
	if held, ok := s.Models.(interface{ References() int64 }); ok {
		gauges.ModelReferences = func() float64 { return float64(held.References()) }
	}
	s.metrics.Watch(gauges)
}
