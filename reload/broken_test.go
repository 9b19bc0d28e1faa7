package reload_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/translate"
)

// TestBrokenModels has each kind of broken model refused, with the reason, while
// the one before serves.
func TestBrokenModels(t *testing.T) {
	for name, test := range map[string]struct {
		models     map[string][]byte
		fault      hubtest.Fault
		step, says string
	}{
		"truncated": {models: with(modelFile, func(m []byte) []byte { return m[:len(m)/2] }), step: "open", says: "file ends within"},
		"empty":     {models: with(modelFile, func([]byte) []byte { return nil }), step: "open", says: "model.bin"},
		"other architecture": {models: with(modelFile, func(m []byte) []byte {
			return bytes.Replace(m, []byte("TransformerSpec"), []byte("TransformerFoo!"), 1)
		}), step: "open", says: "TransformerFoo!"},
		"vocabulary mismatch":   {models: with(vocabulary, func(v []byte) []byte { return bytes.Replace(v, []byte(`"an",`), nil, 1) }), step: "open", says: "vocabular"},
		"others' vocabulary":    {models: foreign(), step: "open", says: "are of different models"},
		"no tokenizer":          {models: with("translation/tokenizer/sentencepiece.bpe.model", func([]byte) []byte { return []byte("no") }), step: "open", says: "sentencepiece"},
		"damaged detector":      {models: with("language_detection/lid.demo.ftz", func(d []byte) []byte { return d[:1000] }), step: "open", says: "lid.demo.ftz"},
		"not a number":          {models: notANumber(), step: "open", says: "not all numbers"},
		"overflows":             {models: overflowing(), step: "canary", says: "empty"},
		"loops":                 {models: looping(), step: "canary", says: "loops"},
		"says nothing":          {models: silent(), step: "canary", says: "empty"},
		"other script":          {models: shouting(), step: "canary", says: "script Cyrl"},
		"wrong bytes":           {models: saying("Salamu"), fault: hubtest.Fault{WrongBytes: true}, step: "download", says: "checksum"},
		"cut off":               {models: saying("Salamu"), fault: hubtest.Fault{CutAfter: 1000}, step: "download", says: "broke off"},
		"wrong detector labels": {models: with("language_detection/lid.demo.ftz", mislabel), step: "canary", says: "detected right"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hubtest.New(t)
			first := h.Commit(repo, "main", saying("Habari"))
			o := onHub(t, h)
			o.Backoff = time.Hour
			r := run(t, o)
			r.serves(first)
			bad := h.Commit(repo, "main", test.models)
			if test.fault.WrongBytes || test.fault.CutAfter > 0 {
				h.Fault("/(storage|resolve-cache)/", test.fault)
			}
			outcome := r.ask(modelstore.Request{Trigger: "poll"}, "failed")
			if outcome.Step != test.step || !strings.Contains(outcome.Error, test.says) || outcome.Revision != bad {
				t.Fatalf("%+v; want step %s with %q", outcome, test.step, test.says)
			}
			if g := r.state("failed"); g.Revision != bad || g.Step != test.step || g.Error != outcome.Error || g.At.IsZero() {
				t.Errorf("generations %+v", r.Generations())
			}
			r.says("Habari")
			if n := len(r.store.Retiring()); n > 0 {
				t.Errorf("%d bundles retire", n)
			}
			r.scrape(`sema_reloads_total{trigger="poll",result="failed",step="` + test.step + `"} 1`)
		})
	}
}

func TestFailedCommitIsNotRetriedUntilAsked(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	opened := 0
	o := onHub(t, h)
	o.Poll = 10 * time.Millisecond
	o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
		opened++ // by the loop alone
		return translate.Open(dir, opts)
	}
	r := run(t, o)
	r.serves(first)
	bad := h.Commit(repo, "main", looping())
	r.until("it fails", func() bool { return r.state("failed").Revision == bad })
	time.Sleep(100 * time.Millisecond)
	again := r.ask(modelstore.Request{Trigger: "webhook"}, "failed")
	if again.Step != "canary" || !strings.Contains(again.Error, "failed before") || opened != 2 {
		t.Errorf("%+v, opened %d times", again, opened)
	}
	r.scrape(`sema_reloads_total{trigger="poll",result="failed",step="canary"} 1`)
	if o := r.ask(modelstore.Request{Force: true}, "failed"); strings.Contains(o.Error, "failed before") || opened != 3 {
		t.Errorf("%+v, opened %d times", o, opened)
	}
	r.serves(h.Commit(repo, "main", saying("Salamu")))
}

// TestNothingElseServes has no models but bad ones: they are tried again and
// again, for want of others.
func TestNothingElseServes(t *testing.T) {
	h := hubtest.New(t)
	bad := h.Commit(repo, "main", looping())
	o := onHub(t, h)
	opened := make(chan struct{}, 100)
	o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
		opened <- struct{}{}
		return translate.Open(dir, opts)
	}
	r := run(t, o)
	for range 3 {
		<-opened
	}
	if g := r.state("failed"); g.Revision != bad || g.Step != "canary" {
		t.Errorf("%+v", g)
	}
	r.serves(h.Commit(repo, "main", saying("Habari")))
}

func TestReferenceIsBadAtTheNextStart(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	h.Commit(repo, "main", looping())
	r.ask(modelstore.Request{}, "failed")
	r.end()
	again := run(t, o)
	again.serves(first)
	if f := again.state("failed"); f.Step != "canary" {
		t.Errorf("generations %+v", again.Generations())
	}
}

func TestMemoryPreflight(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	free := int64(1 << 30)
	o := onHub(t, h)
	o.Backoff = time.Hour
	o.FreeMemory = func() (int64, bool) { return free, true }
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	free = 70 << 20 // 64 to work with and 6 for a model, but not for two
	h.Forget()
	if o := r.ask(modelstore.Request{}, "failed"); o.Step != "memory" || !strings.Contains(o.Error, "RELOAD_MODE=replace") {
		t.Errorf("%+v", o)
	}
	for _, q := range h.Requests() {
		if strings.Contains(q.Path, second) {
			t.Errorf("downloaded before the memory was looked at: %+v", q)
		}
	}
	free = 1 << 30
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped") // not the commit's fault: tried again
}

// TestCopiesNeedMemory opens models with copies of weights on the disk only where there is
// memory for these beside the weights.
func TestCopiesNeedMemory(t *testing.T) {
	for free, want := range map[int64]string{1 << 30: "copies", 75 << 20: ""} {
		h := hubtest.New(t)
		first := h.Commit(repo, "main", saying("Habari"))
		o := onHub(t, h)
		o.FreeMemory = func() (int64, bool) { return free, true }
		o.Pipeline.Runtime.CopyDir = "copies"
		var got atomic.Value
		o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
			got.Store(opts.Runtime.CopyDir)
			opts.Runtime.CopyDir = ""
			return translate.Open(dir, opts)
		}
		run(t, o).serves(first)
		if got.Load() != want {
			t.Errorf("with %d MiB free: copies go to %q, not %q", free>>20, got.Load(), want)
		}
	}
}

func TestCanaryOfTheOperator(t *testing.T) {
	file := filepath.Join(t.TempDir(), "golden.tsv")
	text := "# source\ttarget\ttext\treference\n\nen\tsw\tGood morning\tHabari ya asubuhi\r\neng_Latn\tfra_Latn\tThank you very much.\tMerci beaucoup.\n"
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	golden, err := reload.ReadGolden(file)
	if err != nil {
		t.Fatal(err)
	}
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Canary = reload.Canary{Golden: golden, MinChrF: 95, Sentences: []reload.Sentence{{Target: "swh_Latn", Text: "Thank you"}}}
	r := run(t, o)
	r.serves(first)
	h.Commit(repo, "main", saying("Takataka"))
	if o := r.ask(modelstore.Request{}, "failed"); o.Step != "canary" || !strings.Contains(o.Error, "95.0 is the floor") {
		t.Errorf("%+v", o)
	}
}

func TestSlowModels(t *testing.T) {
	h := hubtest.New(t)
	o := onHub(t, h)
	o.Canary.Latency = time.Nanosecond
	h.Commit(repo, "main", saying("Habari"))
	r := run(t, o)
	r.until("the canary fails", func() bool {
		f := r.state("failed")
		return f.Step == "canary" && strings.Contains(f.Error, "within 1ns")
	})
}

// stuck is a runtime that answers none of its first requests.
type stuck struct {
	*ctranslate2.Translator
	requests atomic.Int64
}

func (s *stuck) TranslateBatch(ctx context.Context, source, prefix [][]string, o ctranslate2.TranslationOptions) ([]ctranslate2.Result, error) {
	if s.requests.Add(-1) >= 0 {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Translator.TranslateBatch(ctx, source, prefix, o)
}

// TestSlowToWarm: models that don't get warm don't keep the loop for ever, and
// are refused only if they are slow in the canary too.
func TestSlowToWarm(t *testing.T) {
	for name, test := range map[string]struct {
		requests     int64 // that are not answered
		result, step string
	}{"at first": {1, "swapped", ""}, "always": {1000, "failed", "canary"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := hubtest.New(t)
			first := h.Commit(repo, "main", saying("Habari"))
			o := onHub(t, h)
			o.Canary.Latency = 500 * time.Millisecond
			opened := 0
			o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
				if opened++; opened == 1 {
					return translate.Open(dir, opts)
				}
				inner, err := ctranslate2.Open(filepath.Join(dir, filepath.Dir(modelFile)), opts.Runtime)
				if err != nil {
					return nil, err
				}
				slow := &stuck{Translator: inner}
				slow.requests.Store(test.requests)
				return open(dir, slow, inner, opts)
			}
			r := run(t, o)
			r.serves(first)
			h.Commit(repo, "main", saying("Salamu"))
			if o := r.ask(modelstore.Request{}, test.result); o.Step != test.step {
				t.Errorf("%+v", o)
			}
		})
	}
}

func TestWrongOptions(t *testing.T) {
	store := &modelstore.Store[*reload.Models]{}
	dir := t.TempDir()
	for name, o := range map[string]reload.Options{
		"no store":      {Dir: dir},
		"no source":     {Store: store},
		"empty setence": {Store: store, Dir: dir, Canary: reload.Canary{Sentences: []reload.Sentence{{Target: "swh_Latn"}}}},
	} {
		if _, err := reload.New(o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestWrongGoldenFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "golden.tsv")
	for _, text := range []string{"", "# nothing\n\n", "en\tsw\tonly three\n", "en\tsw\ttext\t \n", "en\txx\ttext\treference\n", strings.Repeat("en\tsw\ta\tb\n", 2001), strings.Repeat("x", 5<<20)} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := reload.ReadGolden(file); err == nil || !strings.Contains(err.Error(), file) {
			t.Errorf("%.30q: %v", text, err)
		}
	}
	for _, name := range []string{dir, filepath.Join(dir, "missing")} {
		if _, err := reload.ReadGolden(name); err == nil {
			t.Errorf("%s is read", name)
		}
	}
}

func TestSlowReaderOfEventsIsLetGo(t *testing.T) {
	h := hubtest.New(t)
	h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	_, next, stop := r.Events(0)
	defer stop()
	for range 40 {
		r.ask(modelstore.Request{}, "unchanged")
	}
	n := uint64(0)
	for event := range next { // ends, for the reader was too slow
		if event.ID <= n || event.Time.IsZero() {
			t.Fatalf("event %+v after %d", event, n)
		}
		n = event.ID
	}
	past, _, stop2 := r.Events(n)
	defer stop2()
	if len(past) == 0 || past[0].ID != n+1 {
		t.Errorf("the events after %d begin with %+v", n, past[:min(len(past), 1)])
	}
}

func TestRequestOfTheCallerEnds(t *testing.T) {
	h := hubtest.New(t)
	h.Fault("", hubtest.Fault{Delay: time.Hour})
	r := run(t, onHub(t, h))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := r.Reload(ctx, modelstore.Request{Trigger: "admin"}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}
