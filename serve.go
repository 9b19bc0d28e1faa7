package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gofiber/fiber/v2"
	"github.com/redis/go-redis/v9"
	"github.com/sirupsen/logrus"
	ulule "github.com/ulule/limiter/v3"

	"github.com/sematech/sema/cache"
	"github.com/sematech/sema/config"
	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/limiter"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/telemetry"
)

// How Redis is used: a limiter waits this long for it and leaves it alone for so long after a failure; results live
// for a day.
const (
	redisTimeout = 100 * time.Millisecond
	redisPause   = 5 * time.Second
	resultLife   = 24 * time.Hour
)

// runServe is `sema serve`: it serves the REST API until ctx ends, then lets
// running requests finish.
func runServe(ctx context.Context, args []string, std stdio) error {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // before anything else: it would end the process
	defer signal.Stop(hangups)
	fs := newFlags("serve", std.err, "[--models DIR]", "Serves the REST API. The environment configures it: see docs/configuration.md.")
	models := fs.String("models", "", "`folder` of models to serve (as MODEL_DIR)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usageError("serve: unexpected argument %q", fs.Arg(0))
	}
	golden, problem := readGolden(os.Environ())
	cfg, err := loadConfig(os.Environ())
	if cfg, err = withMistakes(cfg, err, problem); err != nil {
		return err
	}
	if *models != "" {
		cfg.ModelDir = *models
	}
	return serve(ctx, cfg, golden, hangups, std)
}

// readGolden reads the file that CANARY_FILE names, if it does. Other commands need no such file.
func readGolden(environ []string) (golden reload.Golden, err error) {
	err = checkVariable(environ, "CANARY_FILE", func(name string) (err error) {
		golden, err = reload.ReadGolden(name)
		return err
	})
	return golden, err
}

// serve runs the service as cfg says, with models that translate golden well. A signal in hangups asks for a reload.
func serve(ctx context.Context, cfg config.Config, golden reload.Golden, hangups <-chan os.Signal, std stdio) error {
	log, err := telemetry.NewLogger(std.err, cfg.LogLevel, cfg.LogFormat)
	if err != nil {
		return err
	}
	metrics := telemetry.NewMetrics()
	models := &store{}
	control, err := newController(cfg, golden, models, log, metrics)
	if err != nil {
		return err
	}
	work, endWork := context.WithCancel(context.Background())
	defer endWork()
	var shuttingDown atomic.Bool
	options, err := serviceOptions(cfg, log, metrics)
	if err != nil {
		return err
	}
	options.Models, options.WaitForModel, options.Control = handlers.FromStore(models, handlers.Attempts(control)), awaitModels(models), control
	options.Context, options.ShuttingDown = work, shuttingDown.Load
	app, err := handlers.New(options)
	if err != nil {
		return err
	}
	listener, err := listen(cfg)
	if err != nil {
		return err
	}
	log.WithField("address", listener.Addr().String()).Info("listening")
	failed := make(chan error, 1)
	go func() { failed <- app.Listener(patientListener{listener, log}) }()
	stopModels := runModels(control, hangups, log)
	defer func() {
		stopModels()
		models.Swap(nil)
	}()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	shuttingDown.Store(true)
	log.Info("shutting_down")
	time.Sleep(cfg.ShutdownDelay)
	return shutdown(app, cfg.ShutdownTimeout, endWork, log)
}

// listen takes the configured address.
func listen(cfg config.Config) (net.Listener, error) {
	listener, err := net.Listen("tcp", net.JoinHostPort(cfg.Host, strconv.Itoa(cfg.Port)))
	if err != nil {
		return nil, fmt.Errorf("HOST and PORT: %w", err)
	}
	return listener, nil
}

// runModels runs what loads and changes the models. The function that it returns
// ends that and waits for it.
func runModels(control *reload.Controller, hangups <-chan os.Signal, log *logrus.Logger) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { reloadOnSignal(ctx, control, hangups) })
	running.Go(func() {
		if err := control.Run(ctx); err != nil {
			log.WithError(err).Error("reload_loop_ended")
		}
	})
	return func() {
		cancel()
		running.Wait()
	}
}

// shutdown waits for running requests and then ends those that are left.
func shutdown(app *fiber.App, timeout time.Duration, endWork func(), log *logrus.Logger) error {
	err := app.ShutdownWithTimeout(timeout)
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("shutdown_timeout")
		endWork()
		err = app.ShutdownWithTimeout(time.Second)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // a connection that nobody reads keeps nothing alive
	}
	return err
}

// serviceOptions turns the configuration into what handlers takes.
func serviceOptions(cfg config.Config, log *logrus.Logger, metrics *telemetry.Metrics) (handlers.Options, error) {
	shared, err := connectRedis(cfg.RedisURL.Reveal())
	if err != nil {
		return handlers.Options{}, err
	}
	options := handlers.Options{
		AppName: cfg.AppName, Version: version, Environment: cfg.Environment,
		Log: log, Metrics: metrics,
		Limits:        limiter.New(limitStore(cfg, shared, log), cfg.RateLimitPerMinute, cfg.RateLimitPerHour),
		MaxCharacters: cfg.MaxCharacters, MaxBatchSize: cfg.MaxBatchSize, BeamSize: cfg.BeamSize, MaxBeamSize: cfg.MaxBeamSize,
		QueueTokens: cfg.QueueTokens, ActiveTokens: cfg.ActiveTokens,
		BodyLimit: int(cfg.BodyLimit), ReadTimeout: cfg.ReadTimeout, WriteTimeout: cfg.WriteTimeout, IdleTimeout: cfg.IdleTimeout,
		RequestTimeout: cfg.RequestTimeout, CORSOrigins: cfg.CORSOrigins, CORSCredentials: cfg.CORSCredentials,
		TrustedProxies: cfg.TrustedProxies, ServeMetrics: cfg.EnableMetrics, APIKey: cfg.APIKey.Reveal(),
		AdminToken: cfg.AdminToken.Reveal(), WebhookSecret: cfg.WebhookSecret.Reveal(), ModelRepo: cfg.ModelRepo, ModelRevision: cfg.ModelRevision,
	}
	if cfg.AppVersion != "" {
		options.Version = cfg.AppVersion
	}
	if cfg.SpaceID != "" {
		options.FrameAncestors = []string{"'self'", "https://huggingface.co"}
	}
	if cfg.CacheSize > 0 {
		results := cache.New(int64(cfg.CacheSize))
		if shared != nil {
			results.Share(shared, "sema:result:", resultLife)
		}
		options.Cache = results
	}
	return options, nil
}

// connectRedis returns a client, or nil without an address. It connects when it is first used.
func connectRedis(url string) (*redis.Client, error) {
	if url == "" {
		return nil, nil
	}
	parsed, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("REDIS_URL is malformed") // the error would show the password
	}
	redis.SetLogger(silent{}) // what goes wrong is in our log, once
	parsed.MaxRetries = -1
	// Without the first, go-redis ignores our deadlines and waits out its own seconds for a server that hangs.
	parsed.ContextTimeoutEnabled = true
	parsed.DialTimeout, parsed.ReadTimeout, parsed.WriteTimeout = redisTimeout, redisTimeout, redisTimeout
	return redis.NewClient(parsed), nil
}

// silent keeps go-redis from writing lines of its own.
type silent struct{}

// Printf implements the interface that go-redis logs to.
func (silent) Printf(context.Context, string, ...any) {}

// limitStore is where rates are counted: in Redis if there is one, and here while it is away.
func limitStore(cfg config.Config, shared *redis.Client, log *logrus.Logger) ulule.Store {
	local := limiter.NewMemory(cfg.RateLimitClients, nil)
	if shared == nil {
		return local
	}
	return limiter.NewFallback(limiter.NewRedis(shared, "sema:limit:"), local, redisTimeout, redisPause, func(err error) {
		if err != nil {
			log.WithError(err).Warn("redis_away_limiting_locally")
			return
		}
		log.Info("redis_back")
	})
}

// runConfig prints the configuration in force and where each value came from.
func runConfig(_ context.Context, _ []string, std stdio) error {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return err
	}
	return config.Print(std.out, cfg, os.Environ())
}

// runHealthcheck asks the service on this machine whether it is ready, for containers without a shell.
func runHealthcheck(ctx context.Context, _ []string, std stdio) error {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return err
	}
	host := cfg.Host
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, strconv.Itoa(cfg.Port))+"/ready", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("not ready: %s", response.Status)
	}
	_, err = fmt.Fprintln(std.out, "ready")
	return err
}
