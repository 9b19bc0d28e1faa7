package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/config"
	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/hub"
)

// sema runs a command and returns its exit status and what it wrote.
func sema(t *testing.T, stdin string, args ...string) (status int, out, errors string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	status = run(context.Background(), args, stdio{strings.NewReader(stdin), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

func TestTranslate(t *testing.T) {
	status, out, errs := sema(t, "Good morning, how are you today?\n\n  Hello\n", "translate", "--to", "swh_Latn", "--from", "en")
	if want := "Habari ya asubuhi, habari yako leo?\n\n  Habari\n"; status != 0 || out != want {
		t.Errorf("status %d, %q, want %q; %s", status, out, want, errs)
	}
	file := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(file, []byte("Habari ya asubuhi"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, out, errs = sema(t, "", "translate", "--to", "eng", file); status != 0 || out != "Good morning\n" {
		t.Errorf("of a file: status %d, %q; %s", status, out, errs)
	}
}

func TestDetect(t *testing.T) {
	status, out, errs := sema(t, "Habari ya asubuhi\nBonjour, comment allez-vous ?\n12345\n", "detect")
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if status != 0 || len(lines) != 3 || !strings.HasPrefix(lines[0], "swh_Latn\t") || !strings.HasPrefix(lines[1], "fra_Latn\t") || !strings.HasPrefix(lines[2], "undetermined\t") {
		t.Errorf("status %d, %q; %s", status, out, errs)
	}
}

func TestCT2(t *testing.T) {
	model := "ctranslate2/testdata/models/nllb/int8"
	source := "eng_Latn ▁be zu </s>\n\neng_Latn ▁va ▁ze da </s>\n"
	status, out, errs := sema(t, source, "ct2", "--model", model, "--beam-size", "4", "--num-hypotheses", "2", "--log-probs", "--batch-size", "2", "--target-prefix", "swh_Latn", "--max-decoding-length", "6", "--threads", "1")
	if status != 0 {
		t.Fatal(status, errs)
	}
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 3 {
		t.Fatalf("%d lines for 3: %s", len(lines), out)
	}
	for i, line := range lines {
		var r struct {
			Hypotheses [][]string
			Scores     []float64
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil || len(r.Hypotheses) != 2 || len(r.Scores) != 2 || r.Hypotheses[0][0] != "swh_Latn" || len(r.Hypotheses[0]) > 6 {
			t.Errorf("line %d: %s, %v", i, line, err)
		}
	}
	if _, out, _ := sema(t, "</s>\n", "ct2", "--model", model); out != "{\"hypotheses\":[[]]}\n" {
		t.Errorf("of an empty source: %q", out)
	}
}

func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{"fly"}, 2, "fly"},
		{[]string{"translate"}, 2, "--to"},
		{[]string{"translate", "--to", "swahilli"}, 1, "swh_Latn"},
		{[]string{"translate", "--to", "zul_Latn", "--from", "eng_Latn"}, 1, "zul_Latn"},
		{[]string{"translate", "--to", "sw", "no such file"}, 1, "no such file"},
		{[]string{"translate", "--to", "sw", "--models", "no such folder"}, 1, "MODEL_DIR no such folder"},
		{[]string{"translate", "in.txt", "--to", "sw"}, 2, "options stand before FILE"},
		{[]string{"translate", "--to", "sw", "in.txt", "--from", "en"}, 2, "options before it"},
		{[]string{"config", "now"}, 2, "now"},
		{[]string{"healthcheck", "--now"}, 1, "-now"},
		{[]string{"detect", "a", "b"}, 2, "one file"},
		{[]string{"ct2"}, 2, "--model"},
		{[]string{"ct2", "--model", "no such folder"}, 1, "model.bin"},
		{[]string{"ct2", "--model", "ctranslate2/testdata/models/nllb/int8", "--beam-size", "0"}, 1, "beam size"},
		{[]string{"bench"}, 2, "shape"},
		{[]string{"bench", "--shape", "huge"}, 2, "nllb-600m"},
		{[]string{"serve", "now"}, 2, "now"},
		{[]string{"--help"}, 0, ""},
		{[]string{"translate", "-h"}, 0, ""},
		{[]string{"config", "--help"}, 0, "usage: sema config"},
		{[]string{"version", "--help"}, 0, "usage: sema version"},
		{[]string{"healthcheck", "--help"}, 0, "usage: sema healthcheck"},
	} {
		status, _, errs := sema(t, "Hello", c.args...)
		if status != c.status || !strings.Contains(errs, c.says) {
			t.Errorf("sema %q: status %d, want %d; %q does not say %q", c.args, status, c.status, errs, c.says)
		}
	}
}

func TestVersionAndConfig(t *testing.T) {
	if status, out, _ := sema(t, "", "version"); status != 0 || !strings.Contains(out, version) || !strings.Contains(out, "kernels") {
		t.Errorf("version: %d, %q", status, out)
	}
	t.Setenv("HF_TOKEN", "hf_verysecret")
	if status, out, _ := sema(t, "", "config"); status != 0 || !strings.Contains(out, "PORT") || strings.Contains(out, "verysecret") {
		t.Errorf("config: %d, %q", status, out)
	}
	t.Setenv("SEMA_CPU_ISA", "mmx")
	if status, _, errs := sema(t, "", "version"); status != 1 || !strings.Contains(errs, "SEMA_CPU_ISA") {
		t.Errorf("an unknown tier: %d, %q", status, errs)
	}
}

// TestAllMistakesTogether: a kernel tier that the machine lacks is one mistake among the others.
func TestAllMistakesTogether(t *testing.T) {
	t.Setenv("PORT", "99999")
	for _, name := range []string{"CPU_ISA", "SEMA_CPU_ISA"} {
		t.Setenv(name, "foo")
		for _, command := range []string{"serve", "config", "healthcheck"} {
			status, out, errs := sema(t, "", command)
			if status != 1 || out != "" || !strings.Contains(errs, "config: 2 mistake(s)") || !strings.Contains(errs, "\n  - PORT: ") || !strings.Contains(errs, "\n  - "+name+": ") {
				t.Errorf("%s: status %d, %q, %q", command, status, out, errs)
			}
		}
	}
	status, out, errs := sema(t, "", "doctor")
	if status != 1 || !strings.Contains(out, "PORT: ") || !strings.Contains(out, "SEMA_CPU_ISA: ") || !strings.Contains(out, "memory") {
		t.Errorf("doctor: status %d, %q, %q", status, out, errs)
	}
	for _, args := range [][]string{{"ct2", "--model", "ctranslate2/testdata/models/nllb/int8"}, {"bench", "--shape", "nllb-600m"}, {"translate", "--to", "sw"}} {
		if status, _, errs := sema(t, "", args...); status != 1 || !strings.Contains(errs, "SEMA_CPU_ISA") {
			t.Errorf("%q: status %d, %q", args, status, errs)
		}
	}
	t.Setenv("PORT", "0")
	status, _, errs = sema(t, "", "config")
	if status != 1 || !strings.Contains(errs, "config: 1 mistake(s)") || !strings.Contains(errs, "\n  - SEMA_CPU_ISA: ") {
		t.Errorf("a tier alone: status %d, %q", status, errs)
	}
}

// TestMistakesOfNames: what the Hub's client would refuse again and again is told at the start, by its variable.
func TestMistakesOfNames(t *testing.T) {
	t.Setenv("PORT", "99999")
	t.Setenv("MODEL_REPO", "a/b/c")
	t.Setenv("SEMA_MODEL_REVISION", "a b")
	for _, command := range []string{"serve", "config", "doctor"} {
		status, out, errs := sema(t, "", command)
		for _, want := range []string{"PORT: ", "MODEL_REPO: hub: \"a/b/c\" is not a repository name", "SEMA_MODEL_REVISION: hub: \"a b\" is not a revision"} {
			if status != 1 || !strings.Contains(out+errs, want) {
				t.Errorf("%s: status %d, no %s in %q, %q", command, status, want, out, errs)
			}
		}
		if command != "doctor" && !strings.Contains(errs, "config: 3 mistake(s)") {
			t.Errorf("%s: %q", command, errs)
		}
	}
	t.Setenv("PORT", "0")
	t.Setenv("MODEL_REPO", "../../x")
	t.Setenv("SEMA_MODEL_REVISION", "refs/pr/1")
	if status, _, errs := sema(t, "", "config"); status != 1 || !strings.Contains(errs, "config: 1 mistake(s):\n  - MODEL_REPO: ") {
		t.Errorf("status %d, %q", status, errs)
	}
}

// TestMistakesOfTheGoldenFile are told with the others by what needs the file.
func TestMistakesOfTheGoldenFile(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "golden.tsv")
	if err := os.WriteFile(bad, []byte("en\tsw\tonly three\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PORT", "99999")
	for _, file := range []string{"/nonexistent", bad} {
		t.Setenv("SEMA_CANARY_FILE", file)
		if status, _, errs := sema(t, "", "serve"); status != 1 || !strings.Contains(errs, "config: 2 mistake(s)") || !strings.Contains(errs, "\n  - SEMA_CANARY_FILE: ") || !strings.Contains(errs, file) {
			t.Errorf("serve: status %d, %q", status, errs)
		}
		if status, out, errs := sema(t, "", "doctor"); status != 1 || !strings.Contains(out, "SEMA_CANARY_FILE: ") {
			t.Errorf("doctor: status %d, %q, %q", status, out, errs)
		}
	}
	t.Setenv("PORT", "0")
	if status, _, errs := sema(t, "", "config"); status != 0 {
		t.Errorf("config: status %d, %q", status, errs)
	}
}

// TestKernelTierIsObeyed: commands with and without a configuration compute with the tier that is named.
func TestKernelTierIsObeyed(t *testing.T) {
	t.Cleanup(func() { _ = kernels.Use("") })
	for _, args := range [][]string{{"config"}, {"version"}, {"ct2", "--model", "ctranslate2/testdata/models/nllb/int8"}, {"translate", "--to", "sw", "--from", "en"}} {
		for _, want := range kernels.Available() {
			t.Setenv("CPU_ISA", want.String())
			if status, _, errs := sema(t, "Hello", args...); status != 0 || kernels.Active() != want {
				t.Errorf("%q: status %d, %v kernels, want %v; %s", args, status, kernels.Active(), want, errs)
			}
		}
	}
}

// TestWeightCopies: what serves is opened with copies of weights, in the folder for copies, unless WEIGHT_COPIES is false.
func TestWeightCopies(t *testing.T) {
	access := hub.Options{CacheDir: "/cache/hub"}
	for want, cfg := range map[string]config.Config{
		"/cache/sema": {WeightCopies: true}, "/else": {WeightCopies: true, ModelCopyDir: "/else"}, "": {ModelCopyDir: "/else"},
	} {
		if got := servedOptions(cfg, access).Runtime.CopyDir; filepath.ToSlash(got) != want {
			t.Errorf("%+v: copies go to %q, not %q", cfg, got, want)
		}
	}
}

func TestConfigHidesThePasswordOfAnAddress(t *testing.T) {
	t.Setenv("HF_ENDPOINT", "https://mirror:hunter2@hub.example.org/hf")
	if status, out, errs := sema(t, "", "config"); status != 0 || strings.Contains(out, "hunter2") || !strings.Contains(out, "https://mirror:xxxxx@hub.example.org/hf") {
		t.Errorf("status %d, %q, %q", status, out, errs)
	}
	for _, address := range []string{"mirror:hunter2@hub.example.org", "ftp://mirror:hunter2@hub.example.org", "https://mirror:hunter2@%zz"} {
		t.Setenv("HF_ENDPOINT", address)
		if status, out, errs := sema(t, "", "config"); status != 1 || !strings.Contains(errs, "HF_ENDPOINT") || strings.Contains(out+errs, "hunter2") {
			t.Errorf("%s: status %d, %q, %q", address, status, out, errs)
		}
	}
}

// TestServe starts the service on a free port, uses it and ends it.
func TestServe(t *testing.T) {
	t.Setenv("HOST", "127.0.0.1")
	t.Setenv("PORT", "0")
	t.Setenv("HF_HUB_OFFLINE", "true")
	t.Setenv("SPACE_ID", "o/n")
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	logs, w := io.Pipe()
	done := make(chan int, 1)
	go func() { done <- run(ctx, []string{"serve"}, stdio{strings.NewReader(""), io.Discard, w}); w.Close() }()
	address, ready := "", make(chan struct{})
	go func() {
		dec := json.NewDecoder(logs)
		for {
			var line struct{ Event, Address string }
			if dec.Decode(&line) != nil {
				return
			}
			if line.Event == "listening" {
				address = line.Address
			}
			if line.Event == "models_loaded" {
				close(ready)
			}
		}
	}()
	select {
	case <-ready:
	case <-time.After(20 * time.Second):
		t.Fatal("the service does not come up")
	}
	body := `{"text":"Hello, how are you?","target_language":"swh_Latn"}`
	resp, err := http.Post("http://"+address+"/api/v1/translate", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != 200 || !strings.Contains(string(answer), "Habari, hujambo?") {
		t.Errorf("%d %s", resp.StatusCode, answer)
	}
	page, err := http.Get("http://" + address + "/ui")
	if err != nil {
		t.Fatal(err)
	}
	page.Body.Close()
	if policy := page.Header.Get("Content-Security-Policy"); !strings.Contains(policy, "frame-ancestors 'self' https://huggingface.co") {
		t.Errorf("in a Space: %s", policy)
	}
	cancel()
	select {
	case status := <-done:
		if status != 0 {
			t.Errorf("the service ended with status %d", status)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the service does not end")
	}
}
