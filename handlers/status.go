package handlers

import (
	"bytes"
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofiber/fiber/v2"

	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

func (s *service) getStatus(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{
		"status": s.state(), "name": s.AppName, "version": s.Version, "environment": s.Environment,
		"models_loaded": s.loaded(), "uptime": time.Since(s.started).Seconds(), "timestamp": timestamp(),
	})
}

func (s *service) getLive(c *fiber.Ctx) error {
	return c.JSON(fiber.Map{"status": "alive"})
}

// getReady answers 200 only while a model serves and the service takes new work.
func (s *service) getReady(c *fiber.Ctx) error {
	if s.state() == "ready" {
		return c.JSON(fiber.Map{"status": "ready"})
	}
	c.Set(fiber.HeaderRetryAfter, "10")
	return c.Status(fiber.StatusServiceUnavailable).JSON(fiber.Map{"status": s.state(), "models": s.models()})
}

func (s *service) state() string {
	switch {
	case s.ShuttingDown():
		return "shutting_down"
	case s.loaded():
		return "ready"
	}
	return "loading"
}

func (s *service) loaded() bool {
	_, release, err := s.Models.Acquire()
	if err == nil {
		release()
	}
	return err == nil
}

func (s *service) models() []ModelStatus {
	if models := s.Models.Status(); models != nil {
		return models
	}
	return []ModelStatus{}
}

// getHealth is the detailed view: it proves that a translation works.
func (s *service) getHealth(c *fiber.Ctx) error {
	checked, failure := s.probe.check(c.UserContext(), s.Models)
	status, code := "healthy", fiber.StatusOK
	switch {
	case s.ShuttingDown():
		status, code = "shutting_down", fiber.StatusServiceUnavailable
	case failure != "":
		status, code = "unhealthy", fiber.StatusServiceUnavailable
	}
	return c.Status(code).JSON(fiber.Map{
		"status": status, "models_loaded": s.loaded(), "models": s.models(), "version": s.Version, "environment": s.Environment,
		"uptime": time.Since(s.started).Seconds(), "queue": s.queue.Status(), "timestamp": timestamp(),
		"memory":           fiber.Map{"resident_bytes": telemetry.ResidentBytes()},
		"last_translation": fiber.Map{"at": checked, "error": failure},
	})
}

func (s *service) getMetrics(c *fiber.Ctx) error {
	if !s.ServeMetrics {
		return fiber.ErrNotFound
	}
	var out bytes.Buffer
	if err := s.metrics.Write(&out); err != nil {
		return err
	}
	c.Set(fiber.HeaderContentType, "text/plain; version=0.0.4; charset=utf-8")
	return c.Send(out.Bytes())
}

// probeAge is how old the last translation may be before /health makes one of its own.
const probeAge = time.Minute

// probeTimeout bounds that translation.
const probeTimeout = 10 * time.Second

// probe knows when a real translation last worked. Its zero value has seen none.
type probe struct {
	last atomic.Int64 // Unix nanoseconds
	mu   sync.Mutex   // one probe at a time
}

func (p *probe) succeeded() { p.last.Store(time.Now().UnixNano()) }

// check returns when a translation last worked, making one if that is too long ago, and why it didn't if it didn't.
func (p *probe) check(ctx context.Context, models Models) (at, failure string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(time.Unix(0, p.last.Load())) > probeAge {
		if err := translateProbe(ctx, models); err != nil {
			failure = asError(err).Message
		} else {
			p.succeeded()
		}
	}
	if last := p.last.Load(); last > 0 {
		at = time.Unix(0, last).UTC().Format(time.RFC3339)
	}
	return at, failure
}

func translateProbe(ctx context.Context, models Models) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	model, release, err := models.Acquire()
	if err != nil {
		return err
	}
	defer release()
	source, target := probePair(model.Languages())
	_, err = model.Translate(ctx, translate.Request{Text: "Hello", Source: source, Target: target, BeamSize: 1})
	return err
}

// probePair is English to Swahili where the model serves both, else two languages that it does serve.
func probePair(served []string) (source, target string) {
	if len(served) < 2 || slices.Contains(served, "eng_Latn") && slices.Contains(served, "swh_Latn") {
		return "eng_Latn", "swh_Latn"
	}
	return served[0], served[1]
}
