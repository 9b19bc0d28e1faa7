package handlers_test

import (
	"io"
	"testing"

	"github.com/valyala/fasthttp"

	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/limiter"
	"github.com/sematech/sema/telemetry"
)

// BenchmarkTranslate measures what the service adds to a translation: all middleware, limits, admission, log and
// metrics, without a network or a model.
func BenchmarkTranslate(b *testing.B) {
	logger, err := telemetry.NewLogger(io.Discard, "info", "json")
	if err != nil {
		b.Fatal(err)
	}
	app, err := handlers.New(handlers.Options{
		Models: &fakeModels{model: &fakeModel{}}, Log: logger, Metrics: telemetry.NewMetrics(),
		Limits: limiter.New(limiter.NewMemory(1000, nil), 1<<30, 1<<30),
	})
	if err != nil {
		b.Fatal(err)
	}
	handler := app.Handler()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			var c fasthttp.RequestCtx
			c.Request.Header.SetMethod("POST")
			c.Request.SetRequestURI("/api/v1/translate")
			c.Request.Header.SetContentType("application/json")
			c.Request.SetBodyString(hello)
			handler(&c)
			if c.Response.StatusCode() != 200 {
				b.Errorf("%d %s", c.Response.StatusCode(), c.Response.Body())
			}
		}
	})
}
