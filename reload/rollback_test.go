package reload_test

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/translate"
)

// back rolls back and demands a result.
func (r *rig) back(want string) modelstore.Outcome {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 20*time.Second)
	defer cancel()
	outcome, err := r.Rollback(ctx)
	if err != nil || outcome.Result != want {
		r.Fatalf("rollback: %+v, %v", outcome, err)
	}
	return outcome
}

func TestRollback(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	if _, err := r.Rollback(t.Context()); !errors.Is(err, modelstore.ErrNoPrevious) {
		t.Errorf("%v", err)
	}
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	if o := r.back("swapped"); o.Revision != first || o.Previous != second {
		t.Errorf("%+v", o)
	}
	r.says("Habari")
	if g := r.state("failed"); g.Revision != second || g.Step != "rollback" {
		t.Errorf("generations %+v", r.Generations())
	}
	r.ask(modelstore.Request{Trigger: "poll"}, "failed") // the commit that was rolled back
	r.says("Habari")
	if _, err := r.Rollback(t.Context()); !errors.Is(err, modelstore.ErrNoPrevious) {
		t.Errorf("%v", err)
	}
	r.ask(modelstore.Request{Force: true}, "swapped")
	r.says("Salamu")
}

func TestRollbackOfAFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	r := run(t, inFolder(t, dir))
	first := r.other("")
	write(t, dir, saying("Salamu"))
	r.other(first)
	r.back("swapped") // from its private copy: the folder has it no more
	r.says("Habari")
	r.ask(modelstore.Request{Trigger: "poll"}, "failed")
}

// TestRolledBackFolderStays: what happens in the folder after a rollback does not
// bring back the models that it still has.
func TestRolledBackFolderStays(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	o := inFolder(t, dir)
	o.Debounce = 20 * time.Millisecond
	r := run(t, o)
	first := r.other("")
	write(t, dir, saying("Salamu"))
	second := r.other(first)
	if b := r.back("swapped"); b.Revision != first {
		t.Fatalf("%+v", b)
	}
	for range 10 {
		if err := os.WriteFile(filepath.Join(dir, ".touched"), []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
		time.Sleep(3 * o.Debounce)
	}
	r.says("Habari")
	if now := r.store.Current().Revision; now != first {
		t.Errorf("%s serves again", second)
	}
	r.ask(modelstore.Request{Force: true}, "swapped")
	r.says("Salamu")
}

// faulty is a runtime that fails, or loops, once it serves.
type faulty struct {
	translate.Translator
	loops  bool
	serves func() bool
}

func (f *faulty) TranslateBatch(ctx context.Context, source, prefix [][]string, opts ctranslate2.TranslationOptions) ([]ctranslate2.Result, error) {
	if !f.serves() {
		return f.Translator.TranslateBatch(ctx, source, prefix, opts)
	}
	if !f.loops {
		return nil, ctranslate2.ErrDiverged
	}
	results := make([]ctranslate2.Result, len(source))
	for i := range results {
		results[i].Hypotheses = [][]string{strings.Fields(strings.Repeat("▁no ", 100))}
	}
	return results, nil
}

func TestRecall(t *testing.T) {
	for name, c := range map[string]struct{ loops, replace bool }{"errors": {}, "loops": {loops: true}, "replaced": {replace: true}} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t)
			first := h.Commit(repo, "main", saying("Habari"))
			o := onHub(t, h)
			o.Probation, o.Replace = 100, c.replace
			var r *rig
			serving := func() string {
				if b := r.store.Current(); b != nil {
					return b.Revision
				}
				return "" // they are being replaced
			}
			opened := 0
			o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
				if opened++; opened != 2 {
					return translate.Open(dir, opts)
				}
				runtime, err := ctranslate2.Open(filepath.Join(dir, filepath.Dir(modelFile)), opts.Runtime)
				if err != nil {
					return nil, err
				}
				revision := filepath.Base(dir)
				serves := func() bool { return serving() == revision }
				return open(dir, &faulty{runtime, c.loops, serves}, runtime, opts)
			}
			r = run(t, o)
			r.serves(first)
			second := h.Commit(repo, "main", saying("Salamu"))
			r.ask(modelstore.Request{}, "swapped")
			failures := 0
			for range 100 {
				if serving() != second {
					break
				}
				failures++
				r.translate("Hello")
				r.translate(" ") // the client's fault
				time.Sleep(time.Millisecond)
			}
			r.serves(first)
			if failures <= 5 { // of 100
				t.Errorf("recalled after %d failures", failures)
			}
			r.says("Habari")
			r.until("the failure is told", func() bool { return r.state("failed").Revision == second })
			if g := r.state("failed"); g.Step != "rollback" || !strings.Contains(g.Error, "of its first") {
				t.Errorf("%+v", g)
			}
			r.ask(modelstore.Request{Trigger: "poll"}, "failed")
			r.scrape(`sema_reloads_total{trigger="recall",result="swapped",step=""} 1`)
		})
	}
}

// translate translates with what serves, whatever comes out, and waits for it as
// the service does while models are replaced.
func (r *rig) translate(text string) {
	b, err := r.store.Acquire()
	if errors.Is(err, modelstore.ErrEmpty) {
		if err = r.store.Await(r.Context()); err == nil {
			b, err = r.store.Acquire()
		}
	}
	if err != nil {
		r.Fatal(err)
	}
	defer b.Release()
	_, _ = b.Models.Translate(r.Context(), translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
}

// TestHealthyModelsStay has requests that fail by the client's fault.
func TestHealthyModelsStay(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Probation = 20
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	for range 30 {
		r.translate(" ")
		r.translate("Good morning")
	}
	r.ask(modelstore.Request{}, "unchanged")
	r.serves(second)
	if n := r.store.Current().Models.Counts(); n.Requests != 30 || n.Errors != 0 || n.Loops != 0 {
		t.Errorf("%+v", n)
	}
}

func TestReplace(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Replace = true
	var r *rig
	most := 0.0
	o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
		if r.store.Current() != nil || len(r.store.Retiring()) > 0 {
			most = math.Inf(1) // two at once
		}
		return translate.Open(dir, opts)
	}
	started := make(chan struct{})
	open := o.Open
	o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
		<-started
		return open(dir, opts)
	}
	r = run(t, o)
	close(started)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	if o := r.ask(modelstore.Request{}, "swapped"); o.Gap <= 0 || o.Gap > o.Seconds || o.Revision != second || o.Previous != first {
		t.Errorf("%+v", o)
	}
	r.says("Salamu")
	h.Commit(repo, "main", looping())
	if o := r.ask(modelstore.Request{}, "failed"); o.Step != "canary" || o.Gap <= 0 {
		t.Errorf("%+v", o)
	}
	r.says("Salamu") // the old ones are back
	r.back("swapped")
	r.says("Habari")
	if most > 0 {
		t.Error("two generations were open at once")
	}
}

// TestReplaceWaitsForRequests has a request that does not end: the old models
// come back.
func TestReplaceWaitsForRequests(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Replace, o.DrainTimeout = true, 50*time.Millisecond
	r := run(t, o)
	r.serves(first)
	held, err := r.store.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	second := h.Commit(repo, "main", saying("Salamu"))
	if o := r.ask(modelstore.Request{}, "failed"); o.Step != "drain" {
		t.Errorf("%+v", o)
	}
	r.says("Habari")
	if err := held.Release(); err != nil {
		t.Error(err)
	}
	r.ask(modelstore.Request{Trigger: "poll"}, "failed") // a gap for nothing is not tried again by itself
	r.ask(modelstore.Request{Force: true}, "swapped")
	r.serves(second)
}

func TestDrainIsBounded(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.DrainTimeout = 50 * time.Millisecond
	r := run(t, o)
	r.serves(first)
	held, err := r.store.Acquire()
	if err != nil {
		t.Fatal(err)
	}
	h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	if g := r.state("draining"); g.Revision != first || g.References != 1 {
		t.Errorf("generations %+v", r.Generations())
	}
	if got := r.steps("admin"); !strings.Contains(got, "drain:failed prune:ok done:swapped") {
		t.Errorf("events %s", got)
	}
	if err := held.Release(); err != nil || held.State() != modelstore.Closed {
		t.Errorf("%v, %s", err, held.State())
	}
}
