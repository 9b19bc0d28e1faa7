package reload_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
)

const detectorFile = "language_detection/lid.demo.ftz"

// inCache is a name in the repository's folder of the cache.
func inCache(o reload.Options, name ...string) string {
	return filepath.Join(append([]string{o.Hub.CacheDir, "models--" + strings.ReplaceAll(repo, "/", "--")}, name...)...)
}

// unlist makes of a snapshot what Python's client leaves that was asked for single
// files, or is an old one: there is no listing, and some files lack.
func unlist(t *testing.T, o reload.Options, commit string, lacks ...string) {
	t.Helper()
	err := os.Remove(inCache(o, "trees", commit+".json"))
	for _, name := range lacks {
		err = errors.Join(err, os.Remove(inCache(o, "snapshots", commit, name)))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// cachedPart returns options whose cache has such a part of the first commit.
func cachedPart(t *testing.T, h *hubtest.Server, lacks ...string) (o reload.Options, first string) {
	t.Helper()
	first = h.Commit(repo, "main", saying("Habari"))
	o = onHub(t, h)
	r := run(t, o)
	r.serves(first)
	r.end()
	unlist(t, o, first, lacks...)
	return o, first
}

// isWhole checks that all files of the models serve.
func (r *rig) isWhole() {
	r.Helper()
	if g := r.state("current"); len(g.Files) != 5 || !r.store.Current().Models.CanDetect() {
		r.Errorf("a part serves: %+v", g)
	}
	for _, f := range r.state("current").Files {
		if f.Name == modelFile && len(f.SHA256) != 64 {
			r.Errorf("file %+v", f)
		}
	}
}

func TestPartIsCompletedBeforeItServes(t *testing.T) {
	h := hubtest.New(t)
	o, first := cachedPart(t, h, detectorFile)
	r := run(t, o)
	r.serves(first)
	r.isWhole()
	if got := r.steps("start"); !strings.HasPrefix(good, got) {
		t.Errorf("events %s", got)
	}
}

// TestPartServesWhileTheHubIsAway: as long as there is nothing better.
func TestPartServesWhileTheHubIsAway(t *testing.T) {
	for name, lacks := range map[string][]string{"a part": {detectorFile}, "all": nil} {
		for _, trigger := range []string{"poll", "admin"} {
			t.Run(name+" "+trigger, func(t *testing.T) {
				h := hubtest.New(t)
				o, first := cachedPart(t, h, lacks...)
				h.Fault("", hubtest.Fault{Status: 503})
				r := run(t, o)
				r.serves(first)
				r.says("Habari")
				if n := len(r.state("current").Files); n != 5-len(lacks) {
					t.Errorf("%d files serve", n)
				}
				r.ask(modelstore.Request{Trigger: trigger, Force: true}, "failed")
				h.Heal()
				r.ask(modelstore.Request{Trigger: trigger}, map[bool]string{true: "swapped", false: "unchanged"}[len(lacks) > 0])
				r.isWhole()
				if g := r.state("previous"); g.State != "" {
					t.Errorf("what serves is what served before: %+v", g)
				}
				h.Forget()
				r.ask(modelstore.Request{Trigger: trigger, Force: true}, "unchanged")
				if n := len(h.Requests()); n != 1 {
					t.Errorf("%d requests for what is whole", n)
				}
			})
		}
	}
}

// TestWholeWithoutListingNeedsNoMemory: that there is memory for one generation
// alone does not keep what serves from being found whole.
func TestWholeWithoutListingNeedsNoMemory(t *testing.T) {
	h := hubtest.New(t)
	o, first := cachedPart(t, h)
	o.FreeMemory = func() (int64, bool) { return 80 << 20, true }
	h.Fault("", hubtest.Fault{Status: 503})
	r := run(t, o)
	r.serves(first)
	h.Heal()
	r.ask(modelstore.Request{}, "unchanged")
	r.isWhole()
}

// TestPartThatFailsIsTriedAgain: that a part can't be opened says nothing of the
// commit.
func TestPartThatFailsIsTriedAgain(t *testing.T) {
	h := hubtest.New(t)
	o, first := cachedPart(t, h, modelFile)
	h.Fault("", hubtest.Fault{Status: 503})
	r := run(t, o)
	r.until("the part fails", func() bool { return r.state("failed").Step == "open" })
	h.Heal()
	r.serves(first)
	r.isWhole()
}

// TestOlderSnapshotServesInPlaceOfAPart has another that serves until the Hub is
// back.
func TestOlderSnapshotServesInPlaceOfAPart(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	r.ask(modelstore.Request{}, "swapped")
	r.end()
	unlist(t, o, second, modelFile)
	h.Fault("", hubtest.Fault{Status: 503})
	r = run(t, o)
	r.serves(first)
	h.Heal()
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.says("Salamu")
	r.isWhole()
}

// TestPartThatAnotherClientBrings: the reference names a new commit as soon as
// another client has a file of it. The watch does not take that for new models.
func TestPartThatAnotherClientBrings(t *testing.T) {
	h := hubtest.New(t)
	first := h.Commit(repo, "main", saying("Habari"))
	o := onHub(t, h)
	r := run(t, o)
	r.serves(first)
	second := h.Commit(repo, "main", saying("Salamu"))
	bringOneFile(t, h, o, second)
	time.Sleep(10 * o.Debounce)
	if got, f := r.steps("watch"), r.state("failed"); got != "" || f.State != "" {
		t.Errorf("the watch did %s: %+v", got, f)
	}
	r.says("Habari")
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.says("Salamu")
	r.isWhole()
}

// bringOneFile does to a cache what Python's hf_hub_download does.
func bringOneFile(t *testing.T, h *hubtest.Server, o reload.Options, commit string) {
	t.Helper()
	from := onHub(t, h)
	c, err := hub.New(*from.Hub)
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join("snapshots", commit, vocabulary)
	_, err = c.Download(t.Context(), repo, commit, vocabulary)
	target, linkErr := os.Readlink(inCache(from, name))
	blob := filepath.Join("blobs", filepath.Base(target))
	data, readErr := os.ReadFile(inCache(from, blob))
	err = errors.Join(
		err, linkErr, readErr,
		os.WriteFile(inCache(o, blob), data, 0o644),
		os.MkdirAll(filepath.Dir(inCache(o, name)), 0o755),
		os.Symlink(target, inCache(o, name)),
		os.WriteFile(inCache(o, "refs", "main"), []byte(commit), 0o644),
	)
	if err != nil {
		t.Fatal(err)
	}
}
