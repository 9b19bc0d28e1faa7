package reload_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
)

const good = "resolve:ok memory:ok download:ok open:ok warm:ok canary:ok swap:ok drain:ok prune:ok done:swapped"

func TestFirstBootAndReload(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	r.says("Habari")
	second := h.Commit(repo, "main", saying("Salamu"))
	o := r.ask(modelstore.Request{}, "swapped")
	if o.Revision != second || o.Previous != first || o.Seconds <= 0 || o.Gap != 0 {
		t.Errorf("outcome %+v", o)
	}
	r.says("Salamu")
	r.ask(modelstore.Request{}, "unchanged")
	for _, trigger := range []string{"start", "admin"} {
		if got := r.steps(trigger); !strings.HasPrefix(got, good) {
			t.Errorf("%s: events %s", trigger, got)
		}
	}
	current, previous := r.state("current"), r.state("previous")
	if current.Revision != second || previous.Revision != first || current.Requests != 1 || len(current.Files) != 5 || current.Source != repo || current.LoadedAt.IsZero() {
		t.Errorf("generations %+v", r.Generations())
	}
	for _, f := range current.Files {
		if f.Size == 0 || f.Name == modelFile && len(f.SHA256) != 64 {
			t.Errorf("file %+v", f)
		}
	}
	r.scrape(`sema_reloads_total{trigger="admin",result="swapped",step=""} 1`)
	r.scrape(`sema_reloads_total{trigger="admin",result="unchanged",step=""} 1`)
	r.scrape(`sema_model_info{model="translation",revision="` + second + `"} 1`)
}

func TestPollsConditionally(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	o.Poll = 20 * time.Millisecond
	r := run(t, o)
	r.serves(first)
	h.Forget()
	answered := func() []hubtest.Request {
		return slices.DeleteFunc(h.Requests(), func(q hubtest.Request) bool { return q.Status == 0 })
	}
	r.until("it polls", func() bool { return len(answered()) > 3 })
	for _, q := range answered()[1:] {
		if q.IfNoneMatch == "" || q.Status != 304 {
			t.Errorf("a poll is not conditional: %+v", q)
		}
	}
	r.serves(h.Commit(repo, "main", saying("Salamu")))
	r.says("Salamu")
}

func TestTriggersCoalesce(t *testing.T) {
	h := hubtest.New(t)
	r := run(t, onHub(t, h))
	r.serves(h.Commit(repo, "main", saying("Habari")))
	h.Commit(repo, "main", saying("Salamu"))
	entered, leave := make(chan struct{}), make(chan struct{})
	h.Fault("/revision/", hubtest.Fault{Times: 1, Before: func() { close(entered); <-leave }})
	h.Forget()
	var all sync.WaitGroup
	all.Go(func() { r.ask(modelstore.Request{Trigger: "admin"}, "swapped") })
	<-entered
	for _, trigger := range []string{"webhook", "signal", "poll", "watch", "admin", "admin", "admin"} {
		all.Go(func() { r.ask(modelstore.Request{Trigger: trigger}, "unchanged") })
	}
	time.Sleep(50 * time.Millisecond)
	close(leave)
	all.Wait()
	asked := 0
	for _, q := range h.Requests() {
		if strings.Contains(q.Path, "/revision/") {
			asked++
		}
	}
	if asked > 3 { // resolve and download of the first, resolve of the one more
		t.Errorf("the Hub was asked %d times", asked)
	}
}

func TestDryRun(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	if o := r.ask(modelstore.Request{DryRun: true}, "checked"); o.Revision != second {
		t.Errorf("%+v", o)
	}
	r.says("Habari")
	bad := h.Commit(repo, "main", notANumber())
	if o := r.ask(modelstore.Request{DryRun: true}, "failed"); o.Revision != bad || o.Step != "open" {
		t.Errorf("%+v", o)
	}
}

// TestDryRunSwapsNothingLater has the watch, which must not take what a dry run
// downloads for new models.
func TestDryRunSwapsNothingLater(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{DryRun: true}, "checked")
	time.Sleep(10 * o.Debounce)
	r.says("Habari")
	if got := r.steps("watch"); got != "" {
		t.Errorf("the watch did %s", got)
	}
	o.Hub.Offline = true
	run(t, o).serves(first) // the cache does not name the new commit yet
	r.ask(modelstore.Request{}, "swapped")
	r.says("Salamu")
	run(t, o).serves(second)
}

func TestRevisionStaysUntilTheConfiguredIsAskedFor(t *testing.T) {
	h := hubtest.New(t)
	old := h.Commit(repo, "v1", saying("Zamani"))
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	r.ask(modelstore.Request{Revision: "v1"}, "swapped")
	r.says("Zamani")
	r.ask(modelstore.Request{Trigger: "poll"}, "unchanged")
	r.ask(modelstore.Request{Trigger: "webhook"}, "unchanged")
	r.ask(modelstore.Request{Trigger: "signal"}, "swapped")
	r.says("Habari")
	r.ask(modelstore.Request{Revision: old}, "swapped")
	r.ask(modelstore.Request{}, "swapped")
	if o := r.ask(modelstore.Request{Revision: "v9"}, "failed"); o.Step != "resolve" {
		t.Errorf("%+v", o)
	}
	r.ask(modelstore.Request{Trigger: "poll"}, "unchanged")
}

// TestJoinedRequestsDoAllThatIsAskedFor has an operator's request wait together
// with one that asks for less.
func TestJoinedRequestsDoAllThatIsAskedFor(t *testing.T) {
	h := hubtest.New(t)
	h.Commit(repo, "v1", saying("Zamani"))
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, onHub(t, h))
	r.serves(first)
	r.ask(modelstore.Request{Revision: "v1"}, "swapped")
	entered, leave := make(chan struct{}), make(chan struct{})
	h.Fault("/revision/", hubtest.Fault{Times: 1, Before: func() { close(entered); <-leave }})
	r.queue(modelstore.Request{Trigger: "poll"})
	<-entered
	r.queue(modelstore.Request{Trigger: "watch"})
	r.queue(modelstore.Request{Trigger: "admin"})
	r.queue(modelstore.Request{Trigger: "poll"})
	close(leave)
	r.serves(first)
}

// queue asks for a reload and does not wait.
func (r *rig) queue(q modelstore.Request) {
	r.Helper()
	ctx, cancel := context.WithCancel(r.Context())
	cancel()
	if _, err := r.Reload(ctx, q); !errors.Is(err, context.Canceled) {
		r.Fatalf("%v", err)
	}
}

func TestOfflineStartMakesNoRequest(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	r.end()
	h.Forget()
	o.Hub.Offline, o.Poll = true, 20*time.Millisecond
	again := run(t, o)
	again.serves(first)
	again.says("Habari")
	again.ask(modelstore.Request{}, "unchanged")
	time.Sleep(100 * time.Millisecond)
	if n := len(h.Requests()); n > 0 {
		t.Errorf("%d requests", n)
	}
}

// TestTheSameFailureIsLoggedOnce: a poll that finds what the one before found is
// no news, an operator's reload that fails is.
func TestTheSameFailureIsLoggedOnce(t *testing.T) {
	h := hubtest.New(t)
	o := onHub(t, h)
	log, lines := logtest.NewNullLogger()
	o.Log, o.Hub.Offline = log, true // nothing is cached
	failures := func() (n int) {
		for _, line := range lines.AllEntries() {
			if line.Message == "reload_failed" {
				n++
			}
		}
		return n
	}
	r := run(t, o)
	r.until("the start has failed", func() bool { return failures() == 1 })
	for range 3 {
		r.ask(modelstore.Request{Trigger: "poll"}, "failed")
	}
	if n := failures(); n != 1 {
		t.Errorf("%d lines after polls that found the same", n)
	}
	r.ask(modelstore.Request{Trigger: "admin"}, "failed")
	if n := failures(); n != 2 {
		t.Errorf("%d lines after an operator's reload", n)
	}
}

func TestHubAway(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	run(t, o).serves(first)
	h.Fault("", hubtest.Fault{Status: 503})
	o.Poll = time.Hour
	cached := run(t, o) // what the cache has serves at once
	cached.serves(first)
	cached.until("the poll has failed", func() bool { return cached.state("failed").Step == "resolve" })
	second := h.Commit(repo, "main", saying("Salamu"))
	h.Heal()
	cached.serves(second) // by its back-off, long before the next poll
	cached.until("the failure is forgotten", func() bool { return cached.state("failed").State == "" })
}

func TestOtherSnapshotServesWhereTheReferenceIsNotCached(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	run(t, o).serves(first)
	h.Fault("", hubtest.Fault{Status: 503})
	o.Revision = "v2"
	run(t, o).serves(first)
}

func TestDemoUntilTheHubAnswers(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Salamu"))
	h.Fault("", hubtest.Fault{Delay: time.Hour})
	o := onHub(t, h)
	o.Demo, o.DemoRevision, o.StartTimeout = demo.Models(), demo.Revision, 100*time.Millisecond
	log, lines := logtest.NewNullLogger()
	o.Log = log
	r := run(t, o)
	r.serves(demo.Revision)
	r.says("Habari")
	for _, line := range lines.AllEntries() {
		if line.Level < logrus.WarnLevel {
			t.Errorf("a start with the demo is an error: %s: %v", line.Message, line.Data)
		}
	}
	if f := r.state("failed"); f.Step != "resolve" || f.Error == "" {
		t.Errorf("generations %+v", r.Generations())
	}
	h.Heal()
	r.serves(first)
	r.says("Salamu")
}

func TestKeepsTryingWithoutDemo(t *testing.T) {
	h := hubtest.New(t)
	r := run(t, onHub(t, h))
	r.until("it fails", func() bool { return r.state("failed").Step == "resolve" })
	if _, err := r.store.Acquire(); !errors.Is(err, modelstore.ErrEmpty) {
		t.Errorf("Acquire: %v", err)
	}
	r.serves(h.Commit(repo, "main", saying("Habari")))
}

func TestProgressOfTheFirstDownload(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	h.Fault("model.bin", hubtest.Fault{BytesPerSecond: 4 << 20})
	r := run(t, onHub(t, h))
	_, next, stop := r.Events(0)
	defer stop()
	r.until("the download is reported", func() bool {
		g := r.state("loading")
		return g.Step == "download" && g.Progress > 0 && g.Progress < 1 && g.Revision == first
	})
	r.serves(first)
	for event := range next {
		if event.Total > 0 && event.Step == "download" && event.Done <= event.Total {
			return
		}
		if event.Step == "done" {
			t.Fatal("no event told of the download's progress")
		}
	}
}

func TestSnapshotThatAnotherProcessBrings(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	other := run(t, o) // as `sema pull` and Python's client do
	other.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.serves(second)
	r.until("the watch has swapped", func() bool { return strings.Contains(r.steps("watch"), good) })
}

func TestOldSnapshotsArePruned(t *testing.T) {
	h := hubtest.New(t)
	o := onHub(t, h)
	first := h.Commit(repo, "main", saying("Habari"))
	r := run(t, o)
	r.serves(first)
	for _, word := range []string{"Salamu", "Jambo", "Hujambo"} {
		h.Commit(repo, "main", saying(word))
		r.ask(modelstore.Request{}, "swapped")
	}
	if left := snapshots(t, o); len(left) != 2 {
		t.Errorf("%v are left", left)
	}
}

// TestFailedSnapshotsArePruned has one bad commit after the other: the newest two stay,
// and the good one that serves.
func TestFailedSnapshotsArePruned(t *testing.T) {
	h := hubtest.New(t)
	o := onHub(t, h)
	good := h.Commit(repo, "main", saying("Habari"))
	r := run(t, o)
	r.serves(good)
	for range 4 {
		h.Commit(repo, "main", looping())
		r.ask(modelstore.Request{}, "failed")
	}
	if left := snapshots(t, o); len(left) != 3 || !slices.Contains(left, good) {
		t.Errorf("%v are left, of which %s serves", left, good)
	}
	r.says("Habari")
	next := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	r.serves(next)
}

// snapshots are the commits that the cache has.
func snapshots(t *testing.T, o reload.Options) (commits []string) {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(o.Hub.CacheDir, "models--sematech--sema-utils", "snapshots"))
	if err != nil {
		t.Error(err)
	}
	for _, e := range entries {
		commits = append(commits, e.Name())
	}
	return commits
}

func TestOtherProcessDoesNotPruneWhatServes(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	o.Revision, o.KeepRevisions = "next", 1
	next := h.Commit(repo, "next", saying("Salamu"))
	other := run(t, o)
	other.serves(next)
	for _, word := range []string{"Jambo", "Hujambo"} {
		h.Commit(repo, "next", saying(word))
		other.ask(modelstore.Request{}, "swapped")
	}
	h.SetRef(repo, "main", h.Commit(repo, "old", saying("Salamu")))
	r.ask(modelstore.Request{}, "swapped")
	r.back("swapped")
	r.says("Habari")
}

func TestStopped(t *testing.T) {
	h := hubtest.New(t)
	r := run(t, onHub(t, h))
	h.Fault("", hubtest.Fault{Delay: time.Hour})
	result := make(chan error)
	go func() {
		_, err := r.Reload(context.Background(), modelstore.Request{Trigger: "admin"})
		result <- err
	}()
	time.Sleep(20 * time.Millisecond)
	r.end()
	if err := <-result; !errors.Is(err, reload.ErrStopped) {
		t.Errorf("%v", err)
	}
	if _, err := r.Rollback(context.Background()); !errors.Is(err, reload.ErrStopped) {
		t.Errorf("%v", err)
	}
	if _, next, _ := r.Events(0); next != nil {
		if _, open := <-next; open {
			t.Error("events go on")
		}
	}
}
