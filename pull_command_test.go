package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

// pull runs `sema pull` and returns what it wrote.
func pull(t *testing.T, args ...string) (out, errs string, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	err = runPull(context.Background(), args, stdio{strings.NewReader(""), &stdout, &stderr})
	return stdout.String(), stderr.String(), err
}

func TestPull(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit("org/name", "main", map[string][]byte{"translation/model.bin": make([]byte, 300_000), "config.json": []byte("{}")})
	s.RequireToken("org/name", "hf_verysecret")
	cache := t.TempDir()
	for name, value := range map[string]string{
		"HF_ENDPOINT": s.URL, "HF_HUB_CACHE": cache, "HF_TOKEN": "hf_verysecret", "MODEL_REPO": "org/name", "MODEL_REVISION": sha,
		"MODEL_CACHE_DIR": "", "HF_HUB_OFFLINE": "", "TRANSFORMERS_OFFLINE": "",
	} {
		t.Setenv(name, value)
	}
	want := filepath.Join(cache, "models--org--name", "snapshots", sha)
	out, errs, err := pull(t, "--include", "*.json", "--include", "README*", "org/name@main")
	if err != nil || out != want+"\n" || !strings.Contains(errs, "100%") || strings.Contains(errs, "verysecret") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	if _, err := os.Stat(filepath.Join(want, "translation/model.bin")); err == nil {
		t.Error("a file came that was not asked for")
	}
	home := t.TempDir()
	write(t, filepath.Join(home, "token"), "hf_verysecret\n")
	t.Setenv("HF_TOKEN", "")
	t.Setenv("SEMA_HF_HOME", home)
	s.Fault("storage", hubtest.Fault{Times: 1, CutAfter: 100_000})
	if out, errs, err = pull(t); err != nil || out != want+"\n" || !strings.Contains(errs, "retry") {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	if info, err := os.Stat(filepath.Join(want, "translation/model.bin")); err != nil || info.Size() != 300_000 {
		t.Error(err)
	}
	other := t.TempDir()
	if out, errs, err = pull(t, "--cache", other, "--quiet", "org/name"); err != nil || !strings.HasPrefix(out, other) || errs != "" {
		t.Errorf("%q, %q, %v", out, errs, err)
	}
	t.Setenv("MODEL_CACHE_DIR", other)
	t.Setenv("HF_HUB_OFFLINE", "1")
	s.Forget()
	if out, _, err = pull(t, "org/name"); err != nil || !strings.HasPrefix(out, other) || len(s.Requests()) != 0 {
		t.Errorf("%q, %v, %d requests", out, err, len(s.Requests()))
	}
	if _, _, err = pull(t, "org/unknown"); !errors.Is(err, hub.ErrOffline) {
		t.Error(err)
	}
	t.Setenv("SEMA_HF_HUB_OFFLINE", "0") // its twin still says 1
	if _, _, err = pull(t, "org/unknown"); !errors.Is(err, hub.ErrNotFound) && !errors.Is(err, hub.ErrUnauthorized) {
		t.Error(err)
	}
	for _, args := range [][]string{{"a", "b"}, {"--what"}, {"../x"}, {"a@..", "--cache", "x"}} {
		if _, _, err := pull(t, args...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestPullProgress(t *testing.T) {
	var out bytes.Buffer
	p := &pullProgress{out: &out, terminal: true}
	p.show(hub.Progress{Repo: "org/name", Done: 5 << 20, Total: 10 << 20, Downloaded: 5 << 20})
	if _, err := p.Write([]byte("retry\n")); err != nil {
		t.Fatal(err)
	}
	p.show(hub.Progress{Repo: "org/name", Done: 10 << 20, Total: 10 << 20, Downloaded: 10 << 20})
	p.end()
	text := out.String()
	if !strings.Contains(text, "[###############...............]  50%  5 MiB of 10 MiB") || !strings.Contains(text, "\x1b[Kretry\n") || !strings.HasSuffix(text, "/s\n") {
		t.Errorf("%q", text)
	}
}
