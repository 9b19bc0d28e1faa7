package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/config"
	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/telemetry"
)

// A finding is one thing that the doctor looked at.
type finding struct {
	Level  string `json:"level"` // ok, note, warning; problem: it keeps the service from working
	Topic  string `json:"topic"`
	Says   string `json:"says"`
	Change string `json:"change,omitempty"` // what to do about it
}

// doctor looks at the machine for one configuration.
type doctor struct {
	cfg      config.Config
	environ  []string
	findings []finding
}

func (d *doctor) ok(topic, format string, args ...any) {
	d.findings = append(d.findings, finding{"ok", topic, fmt.Sprintf(format, args...), ""})
}

func (d *doctor) note(topic, change, format string, args ...any) {
	d.findings = append(d.findings, finding{"note", topic, fmt.Sprintf(format, args...), change})
}

func (d *doctor) warn(topic, change, format string, args ...any) {
	d.findings = append(d.findings, finding{"warning", topic, fmt.Sprintf(format, args...), change})
}

func (d *doctor) problem(topic, change, format string, args ...any) {
	d.findings = append(d.findings, finding{"problem", topic, fmt.Sprintf(format, args...), change})
}

// runDoctor is `sema doctor`.
func runDoctor(ctx context.Context, args []string, std stdio) error {
	fs := newFlags("doctor", std.err, "[--json]", "Says in plain words what this machine and the configuration mean for the service, and what to change.")
	asJSON := fs.Bool("json", false, "write one JSON object")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 0 {
		return usageError("doctor: unexpected argument %q", fs.Arg(0))
	}
	findings := examine(ctx, os.Environ())
	problems := 0
	for _, f := range findings {
		if f.Level == "problem" {
			problems++
		}
	}
	if err := printFindings(std.out, findings, problems, *asJSON); err != nil {
		return err
	}
	if problems > 0 {
		return fmt.Errorf("doctor: %d problem(s) keep the service from working", problems)
	}
	return nil
}

func printFindings(w io.Writer, findings []finding, problems int, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			Findings []finding `json:"findings"`
			Problems int       `json:"problems"`
		}{findings, problems})
	}
	out := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, f := range findings {
		fmt.Fprintf(out, "%s\t%s\t%s\n", f.Level, f.Topic, f.Says)
		if f.Change != "" {
			fmt.Fprintf(out, "\t\t→ %s\n", f.Change)
		}
	}
	return out.Flush()
}

// examine looks at everything that environ and the machine decide.
func examine(ctx context.Context, environ []string) []finding {
	d := &doctor{environ: environ}
	cfg, err := loadNames(environ)
	golden, problem := readGolden(environ)
	cfg, err = withMistakes(cfg, err, problem)
	var mistakes *config.Error
	if errors.As(err, &mistakes) {
		for _, m := range mistakes.Mistakes {
			d.problem("configuration", "correct it: docs/configuration.md lists what is allowed", "%s", m)
		}
		cfg, _ = config.Load(nil) // so that the machine can be looked at all the same
	}
	d.cfg = cfg
	if err == nil {
		d.checkConfiguration()
	}
	d.checkStart(golden)
	d.checkKernels()
	d.checkThreads()
	d.checkHugePages(os.ReadFile)
	m := d.checkModels(ctx)
	d.checkMemory(m)
	d.checkDisk(m)
	d.checkCopies()
	d.checkLicences(m)
	d.checkSpeed(m)
	d.checkRedis(ctx)
	return d.findings
}

// checkConfiguration looks for values that are allowed and likely not meant.
func (d *doctor) checkConfiguration() {
	before := len(d.findings)
	for _, name := range unknownVariables(d.environ) {
		d.warn("configuration", "compare with `sema config`", "%s is set, and no such variable exists", name)
	}
	c := d.cfg
	if c.SpaceID != "" && c.TrustedProxies == "" {
		d.warn("configuration", "set TRUSTED_PROXIES=huggingface", "in a Space all clients share the proxy's address, so that they share one rate limit")
	}
	if n := len(c.AdminToken.Reveal()); n > 0 && n < 16 {
		d.warn("configuration", "make one with `openssl rand -hex 24`", "ADMIN_TOKEN has %d characters, which can be guessed", n)
	}
	if n := len(c.WebhookSecret.Reveal()); n > 0 && n < 16 {
		d.warn("configuration", "make one with `openssl rand -hex 24`", "WEBHOOK_SECRET has %d characters, which can be guessed", n)
	}
	if c.RequestTimeout > c.WriteTimeout {
		d.warn("configuration", "make WRITE_TIMEOUT the longer one", "REQUEST_TIMEOUT %v is longer than WRITE_TIMEOUT %v, which ends a stream first", c.RequestTimeout, c.WriteTimeout)
	}
	if c.RateLimitPerMinute == 0 && c.RateLimitPerHour == 0 {
		d.note("configuration", "", "no rate limits: one client may use the whole machine")
	}
	if c.RateLimitPerHour > 0 && c.RateLimitPerMinute > c.RateLimitPerHour {
		d.warn("configuration", "make RATE_LIMIT_PER_HOUR the larger one", "RATE_LIMIT_PER_HOUR %d is below RATE_LIMIT_PER_MINUTE %d", c.RateLimitPerHour, c.RateLimitPerMinute)
	}
	if len(d.findings) == before {
		d.ok("configuration", "nothing looks like a mistake; `sema config` prints what is in force")
	}
}

// checkStart tries what serve does before it answers.
func (d *doctor) checkStart(golden reload.Golden) {
	log := logrus.New()
	log.SetOutput(io.Discard)
	if _, err := newController(d.cfg, golden, &store{}, log, telemetry.NewMetrics()); err != nil {
		d.problem("configuration", "correct it: the service does not start with it", "%v", err)
	}
	listener, err := listen(d.cfg)
	switch {
	case err == nil:
		_ = listener.Close()
	case errors.Is(err, syscall.EADDRINUSE):
		d.note("address", "", "port %d is in use, by the service itself if it runs here", d.cfg.Port)
	default:
		d.problem("address", "set HOST to an address of this machine, or to none for all, and PORT to one that this user may open", "%v", err)
	}
}

// unknownVariables are those with our prefix that the configuration lacks. Two name tools for tests.
func unknownVariables(environ []string) []string {
	known := map[string]bool{config.Prefix + "PYTHON": true, config.Prefix + "SCHEMATHESIS": true}
	for _, row := range config.Table(config.Config{}, nil) {
		known[config.Prefix+row.Name] = true
	}
	var unknown []string
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, config.Prefix) && !known[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// checkKernels says which kernels compute, and why.
func (d *doctor) checkKernels() {
	available := kernels.Available()
	if err := chooseKernels(d.environ); err != nil { // told here whatever else is wrong with the configuration
		d.problem("processor", "unset CPU_ISA, or set it to one of those", "%v", err)
		return
	}
	best, active := available[0], kernels.Active()
	features := cmp.Or(cpuFeatures(), "nothing that the kernels use")
	switch {
	case active != best:
		d.warn("processor", "unset CPU_ISA", "CPU_ISA forces the %v kernels; this processor has %s and can run %v, which is faster", active, features, best)
	case best == kernels.Generic:
		d.warn("processor", "run on a machine with AVX2, or on arm64", "only the portable kernels run here: this processor has %s. Expect a tenth of the speed", features)
	default:
		d.ok("processor", "%v kernels, the best of %v: this processor has %s", active, available, features)
	}
}

// checkThreads compares the threads with the processors that the process may use.
func (d *doctor) checkThreads() {
	may, threads := kernels.DefaultThreads(), d.cfg.IntraThreads
	switch {
	case threads > may:
		d.warn("threads", "set INTRA_THREADS=0, or allow the container more processors", "INTRA_THREADS is %d, and the process may use %d: the system stops the threads that are too many in the middle of their work", threads, may)
	case threads > 0 && threads < may:
		d.note("threads", "set INTRA_THREADS=0 to use all", "INTRA_THREADS leaves %d of %d processors idle", may-threads, may)
	default:
		d.ok("threads", "%d, as many as the process may use (affinity and the container's quota) of the machine's %d", may, machineCPUs())
	}
}

// checkRedis asks Redis whether it is there.
func (d *doctor) checkRedis(ctx context.Context) {
	client, err := connectRedis(d.cfg.RedisURL.Reveal())
	if err != nil || client == nil { // of an error the configuration's check told
		return
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	if client.Ping(ctx).Err() != nil { // the error may show the address
		d.warn("redis", "start it or correct REDIS_URL", "Redis does not answer; until it does, each replica counts rates and remembers results for itself")
		return
	}
	d.ok("redis", "answers")
}
