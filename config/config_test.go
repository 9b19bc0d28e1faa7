package config_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/config"
)

var update = flag.Bool("update", false, "rewrite docs/configuration.md")

func TestDefaults(t *testing.T) {
	cfg, err := config.Load(nil)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Port != 8000 || cfg.MaxCharacters != 5000 || cfg.RateLimitPerMinute != 60 || cfg.RateLimitPerHour != 1000 {
		t.Errorf("defaults: %+v", cfg)
	}
	if !cfg.EnableMetrics || cfg.RequestTimeout != time.Minute || cfg.CacheSize != 64<<20 {
		t.Errorf("defaults: %+v", cfg)
	}
}

func TestTwinsAndSources(t *testing.T) {
	environ := []string{"PORT=9000", "SEMA_PORT=9001", "LOG_LEVEL=DEBUG", "SEMA_MAX_CHARACTERS=77", "HF_TOKEN=hf_abc", "BEAM_SIZE="}
	cfg, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Port != 9001 || cfg.LogLevel != "DEBUG" || cfg.MaxCharacters != 77 || cfg.BeamSize != 1 {
		t.Errorf("got %+v", cfg)
	}
	sources := map[string]string{}
	for _, row := range config.Table(cfg, environ) {
		sources[row.Name] = row.Source
	}
	for name, want := range map[string]string{"PORT": "SEMA_PORT", "LOG_LEVEL": "LOG_LEVEL", "MAX_CHARACTERS": "SEMA_MAX_CHARACTERS", "BEAM_SIZE": "default"} {
		if sources[name] != want {
			t.Errorf("%s from %q, want %q", name, sources[name], want)
		}
	}
}

func TestAllMistakesTogether(t *testing.T) {
	_, err := config.Load([]string{
		"PORT=70000", "MAX_CHARACTERS=many", "SEMA_LOG_LEVEL=loud", "REQUEST_TIMEOUT=5", "CORS_ORIGINS=*", "CORS_CREDENTIALS=true",
		"TRUSTED_PROXIES=10.0.0.0/8,proxy", "REDIS_URL=http://x", "RATE_LIMIT_PER_MINUTE=-1", "BODY_LIMIT=2TB", "BEAM_SIZE=9",
	})
	var mistakes *config.Error
	if !errors.As(err, &mistakes) {
		t.Fatalf("got %v", err)
	}
	for _, name := range []string{"PORT", "MAX_CHARACTERS", "SEMA_LOG_LEVEL", "REQUEST_TIMEOUT", "CORS_CREDENTIALS", "TRUSTED_PROXIES", "REDIS_URL", "RATE_LIMIT_PER_MINUTE", "BODY_LIMIT", "BEAM_SIZE"} {
		if !strings.Contains(err.Error(), "- "+name+": ") {
			t.Errorf("no mistake for %s in:\n%v", name, err)
		}
	}
	if len(mistakes.Mistakes) != 10 {
		t.Errorf("%d mistakes, want 10:\n%v", len(mistakes.Mistakes), err)
	}
}

func TestSecretsStayHidden(t *testing.T) {
	environ := []string{"HF_TOKEN=hunter2", "REDIS_URL=redis://:hunter2@localhost", "ADMIN_TOKEN=hunter2", "HTTPS_PROXY=http://u:hunter2@p:1", "http_proxy=u:hunter2@p:1"}
	cfg, err := config.Load(environ)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	if err := config.Print(&table, cfg, environ); err != nil {
		t.Fatal(err)
	}
	for _, printed := range []string{table.String(), fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, cfg.HFToken)} {
		if strings.Contains(printed, "hunter2") {
			t.Errorf("a secret is printed: %s", printed)
		}
	}
	if cfg.HFToken.Reveal() != "hunter2" {
		t.Error("Reveal lost the value")
	}
	_, err = config.Load([]string{"REDIS_URL=hunter2://x"})
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v", err)
	}
}

// TestRedisURL: what go-redis can't read is told with the other mistakes, without the password, even where that makes
// it unreadable.
func TestRedisURL(t *testing.T) {
	for _, url := range []string{
		"redis://u:hunter2@h:bad/0", "redis://u:hunter2@h:6379/hunter2", "redis://u:hunter2@h/0/1", "redis://u:hunter2@h?hunter2=1", "redis://u:hunter2/x@h:6379/0",
		"redis://u:hun#ter2@h", "redis://u:hunter2%zz@h", "redisfoo://u:hunter2@h", "http://u:hunter2@h", "u:hunter2@h:6379", "unix://", "hunter2",
	} {
		_, err := config.Load([]string{"SEMA_REDIS_URL=" + url, "PORT=x"})
		var mistakes *config.Error
		if !errors.As(err, &mistakes) || len(mistakes.Mistakes) != 2 || !strings.Contains(err.Error(), "- SEMA_REDIS_URL: must be an address") || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v", url, err)
		}
	}
	for _, url := range []string{"redis://", "redis://h", "redis://u:p%2Fw@h:6379/0", "rediss://:p@h/3?dial_timeout=1s", "redis://[::1]:6379", "unix://u:p@/run/redis.sock?db=1"} {
		if _, err := config.Load([]string{"REDIS_URL=" + url}); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// TestPrintOfOtherVariables: what decides is printed, whoever defined the variable.
func TestPrintOfOtherVariables(t *testing.T) {
	var table bytes.Buffer
	if err := config.Print(&table, config.Config{}, []string{"HF_HUB_CACHE=/hub", "TRANSFORMERS_OFFLINE=1", "https_proxy=http://proxy:3128", "HOME=/home/x"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`HF_HUB_CACHE +/hub +HF_HUB_CACHE`, `TRANSFORMERS_OFFLINE +1 `, `https_proxy +http://proxy:3128 `} {
		if !regexp.MustCompile(want).MatchString(table.String()) {
			t.Errorf("no %s in\n%s", want, table.String())
		}
	}
	if strings.Contains(table.String(), "/home/x") || strings.Contains(table.String(), "XDG_CACHE_HOME") {
		t.Errorf("too much:\n%s", table.String())
	}
}

// TestSecretsAreTrimmed: a file or a Kubernetes secret that echo made ends in a new line, which no header can carry.
func TestSecretsAreTrimmed(t *testing.T) {
	cfg, err := config.Load([]string{"HF_TOKEN=hf_abc\n", "ADMIN_TOKEN= admin ", "SEMA_WEBHOOK_SECRET=hook\r\n", "API_KEY=\tkey with space\n", "REDIS_URL=redis://localhost\n"})
	if err != nil {
		t.Fatal(err)
	}
	for want, got := range map[string]config.Secret{
		"hf_abc": cfg.HFToken, "admin": cfg.AdminToken, "hook": cfg.WebhookSecret, "key with space": cfg.APIKey, "redis://localhost": cfg.RedisURL,
	} {
		if got.Reveal() != want {
			t.Errorf("got %q, want %q", got.Reveal(), want)
		}
	}
	// Taken as not set, a blank key would let everybody in.
	_, err = config.Load([]string{"API_KEY=\n", "SEMA_ADMIN_TOKEN=  "})
	if err == nil || !strings.Contains(err.Error(), "- API_KEY: ") || !strings.Contains(err.Error(), "- SEMA_ADMIN_TOKEN: ") {
		t.Errorf("blank secrets: %v", err)
	}
}

// TestBooleans takes what huggingface_hub takes, in any case, and what Go does.
func TestBooleans(t *testing.T) {
	for text, want := range map[string]bool{
		"1": true, "ON": true, "on": true, "Yes": true, "YES": true, "TRUE": true, "true": true, "t": true,
		"0": false, "off": false, "OFF": false, "no": false, "No": false, "False": false, "false": false, "F": false,
	} {
		cfg, err := config.Load([]string{"HF_HUB_OFFLINE=" + text, "SEMA_ENABLE_METRICS=" + text})
		if err != nil || cfg.HFHubOffline != want || cfg.EnableMetrics != want {
			t.Errorf("%s: %v and %v, %v", text, cfg.HFHubOffline, cfg.EnableMetrics, err)
		}
	}
	for _, text := range []string{"2", "maybe", "y e s"} {
		if _, err := config.Load([]string{"HF_HUB_OFFLINE=" + text}); err == nil || !strings.Contains(err.Error(), "HF_HUB_OFFLINE: \""+text+"\" is not a valid boolean") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestLookup(t *testing.T) {
	environ := []string{"CPU_ISA=avx2", "SEMA_CPU_ISA=generic", "LOG_FORMAT=json", "SEMA_LOG_FORMAT=", "PORT=wrong", "HF_HUB_CACHE=/hub", "SEMA_HF_HUB_CACHE=/no"}
	for name, want := range map[string][2]string{"CPU_ISA": {"generic", "SEMA_CPU_ISA"}, "LOG_FORMAT": {"json", "LOG_FORMAT"}, "HOST": {"", ""}, "HF_HUB_CACHE": {"/hub", "HF_HUB_CACHE"}, "HOME": {"", ""}} {
		if value, source := config.Lookup(environ, name); value != want[0] || source != want[1] {
			t.Errorf("%s: %q from %q", name, value, source)
		}
	}
}

func TestBytes(t *testing.T) {
	for in, want := range map[string]int64{"0": 0, "512": 512, "64MiB": 64 << 20, "64mb": 64e6, "1 g": 1 << 30, "7k": 7 << 10, "12B": 12} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(in)); err != nil || int64(b) != want {
			t.Errorf("%q: %d, %v", in, b, err)
		}
	}
	for _, in := range []string{"", "-1", "x", "9999999999999g"} {
		var b config.Bytes
		if err := b.UnmarshalText([]byte(in)); err == nil {
			t.Errorf("%q: no error", in)
		}
	}
}

// TestDocumentation keeps docs/configuration.md equal to what the struct says; -update rewrites it.
func TestDocumentation(t *testing.T) {
	const path = "../docs/configuration.md"
	var want bytes.Buffer
	if err := config.Document(&want); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s is stale (%v): run go generate ./config", path, err)
	}
}

func ExampleLoad() {
	_, err := config.Load([]string{"PORT=http", "SEMA_BEAM_SIZE=0"})
	fmt.Println(err)
	// Output:
	// config: 2 mistake(s):
	//   - PORT: "http" is not a valid whole number
	//   - SEMA_BEAM_SIZE: must be at least 1, got 0
}
