package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/config"
	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// store holds the models that serve.
type store = modelstore.Store[*reload.Models]

// newController returns what loads the models that cfg names and changes them
// from then on. They must translate golden well.
func newController(cfg config.Config, golden reload.Golden, models *store, log *logrus.Logger, metrics *telemetry.Metrics) (*reload.Controller, error) {
	access := hubOptions(cfg, os.Environ())
	access.Logger = telemetry.Slog(log)
	o := reload.Options{
		Store: models, Repo: cfg.ModelRepo, Revision: cfg.ModelRevision, Dir: cfg.ModelDir, PrivateDir: copyDir(cfg, access),
		Hub: &access, Pipeline: servedOptions(cfg, access),
		Poll: cfg.ReloadPollInterval, Replace: cfg.ReloadMode == "replace", KeepRevisions: cfg.KeepRevisions, DrainTimeout: cfg.DrainTimeout,
		Canary: reload.Canary{Off: !cfg.Canary, Latency: cfg.CanaryLatency, Golden: golden, MinChrF: float64(cfg.CanaryMinChrF)},
		Log:    log, Metrics: metrics,
	}
	if cfg.DemoFallback && cfg.ModelDir == "" { // who names a folder wants that or nothing
		o.Demo, o.DemoRevision = demo.Models(), demo.Revision
	}
	return reload.New(o)
}

// pipelineOptions are how models are opened.
func pipelineOptions(cfg config.Config) translate.Options {
	return translate.Options{BeamSize: cfg.BeamSize, Runtime: ctranslate2.Options{ComputeType: cfg.ComputeType, Threads: cfg.IntraThreads}}
}

// openModels opens what the service would serve without asking the Hub: the
// models in MODEL_DIR, those in the cache, or the demo.
func openModels(cfg config.Config) (*translate.Pipeline, error) {
	if cfg.ModelDir != "" {
		p, err := translate.Open(cfg.ModelDir, pipelineOptions(cfg))
		if err != nil {
			return nil, fmt.Errorf("MODEL_DIR %s: %w", cfg.ModelDir, err)
		}
		return p, nil
	}
	access := hubOptions(cfg, os.Environ())
	access.Offline = true
	client, err := hub.New(access)
	if err != nil {
		return nil, err
	}
	if snapshot, err := client.Cached(cfg.ModelRepo, cfg.ModelRevision); err == nil {
		return translate.Open(snapshot.Dir, pipelineOptions(cfg))
	}
	return translate.OpenFS(demo.Models(), ".", pipelineOptions(cfg))
}

// hubOptions is how every command reaches the Hub and its cache: as the configuration says, and where that leaves it open
// as huggingface_hub would, by variables of its own and the token's file. cfg was loaded from environ.
func hubOptions(cfg config.Config, environ []string) hub.Options {
	getenv := func(name string) string {
		value, _ := config.Lookup(environ, name)
		return value
	}
	return hub.Options{
		Endpoint: cfg.HFEndpoint, Token: hub.Token(getenv), Offline: hub.Offline(getenv),
		CacheDir: cmp.Or(cfg.ModelCacheDir, hub.CacheDir(getenv)),
	}
}

// servedOptions are pipelineOptions for models that serve, and so long that copies of weights pay.
func servedOptions(cfg config.Config, access hub.Options) translate.Options {
	o := pipelineOptions(cfg)
	if cfg.WeightCopies {
		o.Runtime.CopyDir = copyDir(cfg, access)
	}
	return o
}

// copyDir is the folder for private copies of MODEL_DIR, and for copies of weights.
func copyDir(cfg config.Config, access hub.Options) string {
	return cmp.Or(cfg.ModelCopyDir, filepath.Join(filepath.Dir(access.CacheDir), "sema"))
}

// awaitModels is handlers' WaitForModel.
func awaitModels(models *store) func(context.Context) error {
	return func(ctx context.Context) error {
		err := models.Await(ctx)
		if errors.Is(err, modelstore.ErrEmpty) {
			return handlers.ErrNoModel
		}
		return err
	}
}

// reloadOnSignal asks for a reload at each signal until ctx ends.
func reloadOnSignal(ctx context.Context, control modelstore.Controller, signals <-chan os.Signal) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-signals:
			_, _ = control.Reload(ctx, modelstore.Request{Trigger: "signal", Force: true}) // the loop logs how it ended
		}
	}
}
