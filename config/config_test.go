package config_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
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
	environ := []string{"HF_TOKEN=hunter2", "REDIS_URL=redis://:hunter2@localhost", "ADMIN_TOKEN=hunter2"}
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
