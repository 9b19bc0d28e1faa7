package main

import (
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
	cache := hubCache(cfg, os.Getenv)
	o := reload.Options{
		Store: models, Repo: cfg.ModelRepo, Revision: cfg.ModelRevision, Dir: cfg.ModelDir, PrivateDir: cfg.ModelCopyDir,
		Hub: &hub.Options{
			Endpoint: cfg.HFEndpoint, Token: cfg.HFToken.Reveal(), CacheDir: cache, Offline: cfg.HFHubOffline || hub.Offline(os.Getenv), Logger: telemetry.Slog(log),
		},
		Pipeline: pipelineOptions(cfg),
		Poll:     cfg.ReloadPollInterval, Replace: cfg.ReloadMode == "replace", KeepRevisions: cfg.KeepRevisions, DrainTimeout: cfg.DrainTimeout,
		Canary: reload.Canary{Off: !cfg.Canary, Latency: cfg.CanaryLatency, Golden: golden, MinChrF: float64(cfg.CanaryMinChrF)},
		Log:    log, Metrics: metrics,
	}
	if o.Hub.Token == "" {
		o.Hub.Token = hub.Token(os.Getenv)
	}
	if o.PrivateDir == "" {
		o.PrivateDir = filepath.Join(filepath.Dir(cache), "sema")
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
			return nil, fmt.Errorf("MODEL_DIR: %w", err)
		}
		return p, nil
	}
	client, err := hub.New(hub.Options{Endpoint: cfg.HFEndpoint, CacheDir: hubCache(cfg, os.Getenv), Offline: true})
	if err != nil {
		return nil, err
	}
	if snapshot, err := client.Cached(cfg.ModelRepo, cfg.ModelRevision); err == nil {
		return translate.Open(snapshot.Dir, pipelineOptions(cfg))
	}
	return translate.OpenFS(demo.Models(), ".", pipelineOptions(cfg))
}

// hubCache is the folder of the Hub's cache.
func hubCache(cfg config.Config, getenv func(string) string) string {
	if cfg.ModelCacheDir != "" {
		return cfg.ModelCacheDir
	}
	return hub.CacheDir(func(name string) string {
		if name == "HF_HOME" {
			return cfg.HFHome
		}
		return getenv(name)
	})
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
