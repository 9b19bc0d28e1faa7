package reload_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/translate"
)

// slowVocabulary makes the next download of a vocabulary take half a minute.
func slowVocabulary(h *hubtest.Server) {
	h.Fault("resolve-cache.*shared_vocabulary", hubtest.Fault{Times: 1, BytesPerSecond: len(files()[vocabulary]) / 30})
}

// ended is how a reload ended.
type ended struct {
	modelstore.Outcome
	err error
}

// downloading asks for a reload that lacks a vocabulary, returns once a part of
// that has arrived, and tells later how it ended.
func (r *rig) downloading(q modelstore.Request) <-chan ended {
	r.Helper()
	end := make(chan ended, 1)
	go func() {
		outcome, err := r.Reload(context.Background(), q)
		end <- ended{outcome, err}
	}()
	all := 0
	for _, data := range files() {
		all += len(data)
	}
	r.until("the download is under way", func() bool {
		return r.state("loading").Progress > 1.0001-float64(len(files()[vocabulary]))/float64(all)
	})
	return end
}

// askBack asks for a rollback and does not wait.
func (r *rig) askBack() {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	if _, err := r.Rollback(ctx); !errors.Is(err, context.Canceled) {
		r.Fatalf("%v", err)
	}
}

func TestRollbackInterruptsADownload(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	third := h.Commit(repo, "main", saying("Jambo"))
	slowVocabulary(h)
	interrupted := r.downloading(modelstore.Request{Trigger: "admin", Force: true})
	if o := r.back("swapped"); o.Revision != first || o.Previous != second {
		t.Errorf("%+v", o)
	}
	r.says("Habari")
	if g := r.state("failed"); g.Revision != second || g.Step != "rollback" {
		t.Errorf("generations %+v", r.Generations())
	}
	if e := <-interrupted; !errors.Is(e.err, modelstore.ErrReloadFailed) || e.Result != "failed" || e.Step != "rollback" || e.Revision != third || !strings.Contains(e.Error, "interrupted") {
		t.Errorf("%+v", e)
	}
	time.Sleep(10 * o.Debounce)
	r.says("Habari") // nothing comes by itself
	h.Forget()
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.says("Jambo")
	resumed := false
	for _, q := range h.Requests() {
		resumed = resumed || q.Range != ""
	}
	if !resumed {
		t.Error("the download began anew")
	}
}

// openWaits returns options under which the nth models are opened once leave is
// closed; entered is closed before.
func openWaits(t *testing.T, h *hubtest.Server, n int) (o reload.Options, entered, leave chan struct{}) {
	o = onHub(t, h)
	entered, leave = make(chan struct{}), make(chan struct{})
	opened := 0
	o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
		if opened++; opened == n {
			close(entered)
			<-leave
		}
		return translate.Open(dir, opts)
	}
	return o, entered, leave
}

// TestRollbackInterruptsAfterTheDownload: the disk has new models then, which
// must not make the watch load them.
func TestRollbackInterruptsAfterTheDownload(t *testing.T) {
	for name, replace := range map[string]bool{"beside": false, "in place": true} {
		t.Run(name, func(t *testing.T) {
			h := hubtest.New(t)
			first := h.Commit(repo, "main", saying("Habari"))
			o, entered, leave := openWaits(t, h, 3)
			o.Replace = replace
			r := run(t, o)
			r.serves(first)
			h.Commit(repo, "main", saying("Salamu"))
			r.ask(modelstore.Request{}, "swapped")
			third := h.Commit(repo, "main", saying("Jambo"))
			r.queue(modelstore.Request{Trigger: "admin"})
			<-entered
			r.askBack()
			close(leave)
			r.serves(first)
			time.Sleep(10 * o.Debounce)
			r.says("Habari")
			if got := r.steps("admin"); strings.Contains(got, "canary:ok done:failed") || strings.Count(got, "swap:ok") != 2 {
				t.Errorf("events %s", got)
			}
			r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
			r.serves(third)
		})
	}
}

// TestRollbackAskedTwice: the second one means the same models.
func TestRollbackAskedTwice(t *testing.T) {
	h := hubtest.New(t)
	o, entered, leave := openWaits(t, h, 4)
	o.KeepRevisions = 3
	r := run(t, o)
	r.serves(h.Commit(repo, "main", saying("Habari")))
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	h.Commit(repo, "main", saying("Jambo"))
	r.ask(modelstore.Request{}, "swapped")
	r.askBack()
	<-entered
	r.askBack()
	close(leave)
	r.ask(modelstore.Request{Trigger: "poll"}, "failed") // after both; the commit was rolled back
	r.serves(second)
	r.says("Salamu")
}

func TestRollbackWithNothingBeforeLeavesTheReloadAlone(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	entered, leave := make(chan struct{}), make(chan struct{})
	h.Fault("resolve-cache.*shared_vocabulary", hubtest.Fault{Times: 1, Before: func() { close(entered); <-leave }})
	r.queue(modelstore.Request{Trigger: "admin"})
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := r.Rollback(ctx); !errors.Is(err, modelstore.ErrNoPrevious) {
		t.Errorf("%v", err)
	}
	close(leave)
	r.serves(second)
}

// TestWaitingReloadDoesNotUndoARollback: who asked for it before did not mean
// the commit that was rolled back.
func TestWaitingReloadDoesNotUndoARollback(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	entered := make(chan struct{})
	h.Fault("/revision/", hubtest.Fault{Times: 1, Before: func() { close(entered) }, Delay: time.Minute})
	r.queue(modelstore.Request{Trigger: "poll"})
	<-entered
	r.queue(modelstore.Request{Trigger: "admin", Force: true})
	r.back("swapped")
	r.ask(modelstore.Request{Trigger: "poll"}, "failed")
	r.says("Habari")
}

// TestRecallInterruptsADownload: the models that fail go at once, and the reload
// goes on after that.
func TestRecallInterruptsADownload(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Probation = 20
	var r *rig
	opened := 0
	o.Open = func(dir string, opts translate.Options) (*translate.Pipeline, error) {
		if opened++; opened != 2 {
			return translate.Open(dir, opts)
		}
		runtime, err := ctranslate2.Open(filepath.Join(dir, filepath.Dir(modelFile)), opts.Runtime)
		if err != nil {
			return nil, err
		}
		serves := func() bool { return r.store.Current().Revision == filepath.Base(dir) }
		return open(dir, &faulty{runtime, false, serves}, runtime, opts)
	}
	r = run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	third := h.Commit(repo, "main", saying("Jambo"))
	slowVocabulary(h)
	end := r.downloading(modelstore.Request{Trigger: "webhook"})
	for range 5 {
		r.translate("Hello")
	}
	if e := <-end; e.err != nil || e.Revision != third || e.Previous != first {
		t.Errorf("%+v", e)
	}
	r.says("Jambo")
	r.until("the failure is told", func() bool { return r.state("failed").Revision == second })
	r.scrape(`sema_reloads_total{trigger="recall",result="swapped",step=""} 1`)
}

// TestRollbackLetsGoOfTheRevisionAskedFor: polls follow what is configured again.
func TestRollbackLetsGoOfTheRevisionAskedFor(t *testing.T) {
	h := hubtest.New(t)
	h.Commit(repo, "v1", saying("Zamani"))
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	log, lines := logtest.NewNullLogger()
	o.Log = log
	r := run(t, o)
	r.serves(first)
	r.ask(modelstore.Request{Revision: "v1"}, "swapped")
	r.back("swapped")
	h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.says("Salamu")
	var told []string
	for _, line := range lines.AllEntries() {
		if strings.HasSuffix(line.Message, "pinned") {
			told = append(told, line.Message+" "+line.Data["revision"].(string))
		}
	}
	if got := strings.Join(told, ", "); got != "revision_pinned v1, revision_unpinned v1" {
		t.Errorf("the log has %q", got)
	}
}

// TestRollbackWithinTheRevisionAskedFor: a commit before of the same branch is
// what was asked for still.
func TestRollbackWithinTheRevisionAskedFor(t *testing.T) {
	h := hubtest.New(t)
	h.Commit(repo, "v1", saying("Zamani"))
	r := run(t, onHub(t, h))
	r.serves(h.Commit(repo, "main", saying("Habari")))
	r.ask(modelstore.Request{Revision: "v1"}, "swapped")
	h.Commit(repo, "v1", saying("Salamu"))
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.back("swapped")
	r.says("Zamani")
	h.Commit(repo, "main", saying("Jambo"))
	r.ask(modelstore.Request{Trigger: "poll"}, "failed") // v1 names what was rolled back
	r.says("Zamani")
}
