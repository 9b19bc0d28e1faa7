package reload_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/translate"
)

// inFolder are options for a local folder.
func inFolder(t testing.TB, dir string) reload.Options {
	o := quick()
	o.Dir, o.PrivateDir = dir, t.TempDir()
	return o
}

// other waits until something else than a revision serves, and returns it.
func (r *rig) other(revision string) string {
	r.Helper()
	r.until("something else than "+revision+" serves", func() bool { b := r.store.Current(); return b != nil && b.Revision != revision })
	return r.store.Current().Revision
}

func TestFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	r := run(t, inFolder(t, dir))
	first := r.other("")
	r.says("Habari")
	if g := r.state("current"); !strings.HasPrefix(first, "local-") || g.Source != dir || len(g.Files) != 5 || len(g.Files[0].SHA256) != 64 {
		t.Errorf("generation %+v", g)
	}
	r.ask(modelstore.Request{Trigger: "signal"}, "unchanged")
	write(t, dir, saying("Habari")) // the same content with other times
	time.Sleep(200 * time.Millisecond)
	r.ask(modelstore.Request{Trigger: "signal"}, "unchanged")
	write(t, dir, saying("Salamu"))
	second := r.other(first)
	r.says("Salamu")
	r.until("the watch is done", func() bool { return strings.HasSuffix(r.steps("watch"), good) })
	write(t, dir, saying("Habari"))
	if r.other(second) != first {
		t.Error("the same content has another revision")
	}
}

// TestSymlinkSwap swaps a folder as operators do: a link to it is renamed.
func TestSymlinkSwap(t *testing.T) {
	base := t.TempDir()
	write(t, filepath.Join(base, "v1"), saying("Habari"))
	write(t, filepath.Join(base, "v2"), saying("Salamu"))
	link(t, "v1", filepath.Join(base, "current"))
	r := run(t, inFolder(t, filepath.Join(base, "current")))
	first := r.other("")
	link(t, "v2", filepath.Join(base, "current"))
	r.other(first)
	r.says("Salamu")
	link(t, "v1", filepath.Join(base, "current"))
	r.serves(first)
}

// TestKubernetesVolume swaps as a kubelet does: the files are links through
// ..data, which is a link to a hidden folder.
func TestKubernetesVolume(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "..2026_1"), flat(saying("Habari")))
	write(t, filepath.Join(dir, "..2026_2"), flat(saying("Salamu")))
	link(t, "..2026_1", filepath.Join(dir, "..data"))
	for name := range flat(files()) {
		link(t, "..data/"+name, filepath.Join(dir, name))
	}
	r := run(t, inFolder(t, dir))
	first := r.other("")
	link(t, "..2026_2", filepath.Join(dir, "..data"))
	if err := os.RemoveAll(filepath.Join(dir, "..2026_1")); err != nil {
		t.Fatal(err)
	}
	r.other(first)
	r.says("Salamu")
}

// flat puts all files in one folder, as a volume of a ConfigMap has them.
func flat(models map[string][]byte) map[string][]byte {
	all := map[string][]byte{}
	for name, data := range models {
		all[filepath.Base(name)] = data
	}
	return all
}

// link puts a symbolic link in the place of another at once.
func link(t testing.TB, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name+".tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+".tmp", name); err != nil {
		t.Fatal(err)
	}
}

// TestPartialCopyIsNotLoaded copies slowly: nothing is opened until all is there.
func TestPartialCopyIsNotLoaded(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	o := inFolder(t, dir)
	o.Debounce = 100 * time.Millisecond
	r := run(t, o)
	first := r.other("")
	next := saying("Salamu")
	model := next[modelFile]
	delete(next, modelFile)
	write(t, dir, next)
	f, err := os.Create(filepath.Join(dir, filepath.FromSlash(modelFile)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for part := model; len(part) > 0; {
		n := min(len(part), 500_000)
		if _, err := f.Write(part[:n]); err != nil {
			t.Fatal(err)
		}
		part = part[n:]
		time.Sleep(30 * time.Millisecond)
		r.says("Habari")
	}
	r.other(first)
	r.says("Salamu")
	if g := r.state("failed"); g.State != "" {
		t.Errorf("a part was loaded: %+v", g)
	}
}

// TestFolderHasNoRevisions: a revision that is asked for is refused, and no Hub is
// to blame.
func TestFolderHasNoRevisions(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	r := run(t, inFolder(t, dir))
	first := r.other("")
	outcome, err := r.Reload(t.Context(), modelstore.Request{Trigger: "admin", Revision: "v1"})
	if !errors.Is(err, modelstore.ErrReloadFailed) || !errors.Is(err, modelstore.ErrNoHub) || outcome.Step != "resolve" ||
		!strings.Contains(outcome.Error, "MODEL_DIR has no revisions") || !strings.Contains(outcome.Error, first) {
		t.Errorf("%+v, %v", outcome, err)
	}
	r.ask(modelstore.Request{Revision: first}, "unchanged")
	h := hubtest.New(t)
	if _, err := run(t, onHub(t, h)).Reload(t.Context(), modelstore.Request{Trigger: "admin"}); !errors.Is(err, modelstore.ErrReloadFailed) || errors.Is(err, modelstore.ErrNoHub) {
		t.Errorf("without the Hub: %v", err)
	}
}

// makeNoise writes to a file again and again, until the test ends.
func makeNoise(t *testing.T, name string, every time.Duration) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			_, _ = f.WriteString("a line\n")
			time.Sleep(every)
		}
	})
	t.Cleanup(func() { cancel(); writer.Wait(); f.Close() })
}

// TestNoiseBesideTheFolder: a log beside the folder, or beside a link to it, does
// not put off what happens in the folder or to the link.
func TestNoiseBesideTheFolder(t *testing.T) {
	for name, folder := range map[string]string{"folder": "v1", "link": "current"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			write(t, filepath.Join(base, "v1"), saying("Habari"))
			write(t, filepath.Join(base, "v2"), saying("Jambo"))
			link(t, "v1", filepath.Join(base, "current"))
			makeNoise(t, filepath.Join(base, "server.log"), 20*time.Millisecond)
			o := inFolder(t, filepath.Join(base, folder))
			o.Debounce = 400 * time.Millisecond // 30 of them are 12 s
			r := run(t, o)
			first := r.other("")
			start := time.Now()
			write(t, filepath.Join(base, "v1"), saying("Salamu"))
			second := r.other(first)
			r.says("Salamu")
			if folder == "current" {
				link(t, "v2", filepath.Join(base, "current"))
				r.other(second)
				r.says("Jambo")
			}
			if d := time.Since(start); d > 10*time.Second {
				t.Errorf("the noise put it off by %s", d)
			}
		})
	}
}

// TestNoiseInTheFolder has a file that is no model written to without end: a slow
// copy is seen all the same, and not before it is whole.
func TestNoiseInTheFolder(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	makeNoise(t, filepath.Join(dir, ".log"), 5*time.Millisecond)
	o := inFolder(t, dir)
	o.Debounce = 150 * time.Millisecond // 30 of them are 4.5 s
	r := run(t, o)
	first := r.other("")
	next := saying("Salamu")
	stalled := copySlowly(t, filepath.Join(dir, filepath.FromSlash(modelFile)), next[modelFile], 6*time.Second)
	r.says("Habari")
	write(t, dir, next)
	r.other(first)
	r.says("Salamu")
	if g := r.state("failed"); g.State != "" && stalled < o.Debounce {
		t.Errorf("a part was loaded: %+v", g)
	}
}

// TestDryRunBeforeTheWatchLooks has noise put the watch off until a dry run has
// read the new models.
func TestDryRunBeforeTheWatchLooks(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	makeNoise(t, filepath.Join(dir, ".log"), 5*time.Millisecond)
	o := inFolder(t, dir)
	o.Debounce = 100 * time.Millisecond // noise puts the watch off by 3 s
	r := run(t, o)
	first := r.other("")
	write(t, dir, saying("Salamu"))
	r.ask(modelstore.Request{DryRun: true}, "checked")
	r.says("Habari")
	if left := copies(t, o); !slices.Equal(left, []string{first}) {
		t.Errorf("the dry run left a copy: %q", left)
	}
	r.other(first)
	r.says("Salamu")
}

// copySlowly writes to a file for some time and leaves it incomplete. It returns
// for how long the file rested at most: a busy machine makes any writer pause.
func copySlowly(t *testing.T, name string, data []byte, during time.Duration) (stalled time.Duration) {
	t.Helper()
	start := time.Now()
	for last := start; last.Sub(start) < during; time.Sleep(20 * time.Millisecond) {
		part := int64(len(data)) * int64(last.Sub(start)) / int64(2*during)
		if err := os.WriteFile(name, data[:part], 0o644); err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		stalled, last = max(stalled, now.Sub(last)), now
	}
	return stalled
}

// TestFileThatNeverRests: what keeps models from being loaded is named.
func TestFileThatNeverRests(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	o := inFolder(t, dir)
	o.Debounce = 5 * time.Millisecond
	r := run(t, o)
	r.other("")
	makeNoise(t, filepath.Join(dir, "server.log"), time.Millisecond)
	r.until("the failure names the file", func() bool { return strings.HasSuffix(r.state("failed").Error, ": server.log") })
	r.says("Habari")
}

// TestOldFilesUnpackedOneByOne: that each file is old does not say that all are there.
func TestOldFilesUnpackedOneByOne(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	o := inFolder(t, dir)
	o.Debounce = 150 * time.Millisecond
	r := run(t, o)
	first := r.other("")
	unpack := func(name string, data []byte) {
		to := filepath.Join(dir, filepath.FromSlash(name))
		write(t, dir, map[string][]byte{name: data})
		if err := os.Chtimes(to, time.Unix(1e9, 0), time.Unix(1e9, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for name, data := range saying("Habari") {
		unpack(name, data)
	}
	unpack("translation/tokenizer/sentencepiece.bpe.model", []byte("not whole yet"))
	wait := make(chan struct{})
	go func() { defer close(wait); r.ask(modelstore.Request{Trigger: "signal"}, "swapped") }()
	time.Sleep(50 * time.Millisecond)
	for name, data := range saying("Salamu") {
		unpack(name, data)
	}
	<-wait
	r.other(first)
	r.says("Salamu")
}

// TestCopyOverServedFile truncates the file that serves, which under a mapping
// would kill the process, and then completes it.
func TestCopyOverServedFile(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	r := run(t, inFolder(t, dir))
	first := r.other("")
	model := filepath.Join(dir, filepath.FromSlash(modelFile))
	if err := os.Truncate(model, 1000); err != nil {
		t.Fatal(err)
	}
	r.says("Habari")
	r.until("the part is refused", func() bool { return r.state("failed").Step == "open" })
	r.says("Habari")
	write(t, dir, saying("Salamu"))
	r.other(first)
	r.says("Salamu")
	for _, g := range r.Generations() {
		if g.State == "failed" && g.Step != "open" {
			t.Errorf("generation %+v", g)
		}
	}
}

func TestFolderThatComesLater(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "models")
	o := inFolder(t, dir)
	o.Demo, o.DemoRevision, o.Backoff = demo.Models(), demo.Revision, time.Hour
	r := run(t, o)
	r.serves(demo.Revision)
	write(t, dir, saying("Salamu"))
	r.other(demo.Revision)
	r.says("Salamu")
}

func TestPollSeesWhatIsNotWatched(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	o := inFolder(t, dir)
	o.Poll = 50 * time.Millisecond
	r := run(t, o)
	first := r.other("")
	write(t, dir, saying("Salamu"))
	r.other(first)
}

// TestPrivateCopiesGo looks at the disk: the copies of what can't be gone back
// to go at once, all others with the process, and those of a dead process with
// the next.
func TestPrivateCopiesGo(t *testing.T) {
	dir := t.TempDir()
	o := inFolder(t, dir)
	dead := filepath.Join(o.PrivateDir, ".sema-models-dead")
	write(t, dead, map[string][]byte{"lock": nil, "local-1/model.bin": []byte("x")})
	write(t, dir, saying("Habari"))
	r := run(t, o)
	revision := r.other("")
	living := run(t, o)
	living.other("")
	for _, word := range []string{"Salamu", "Jambo"} {
		write(t, dir, saying(word))
		revision = r.other(revision)
	}
	if _, err := os.Stat(dead); !os.IsNotExist(err) {
		t.Errorf("the copies of a dead process are left: %v", err)
	}
	living.end()
	r.says("Jambo")
	r.until("two copies are left", func() bool {
		copies, err := filepath.Glob(filepath.Join(o.PrivateDir, "*", "local-*"))
		return err == nil && len(copies) == 2
	})
	r.end()
	if left, err := os.ReadDir(o.PrivateDir); err != nil || len(left) > 0 {
		t.Errorf("%v are left: %v", left, err)
	}
}

// copies lists the revisions that copies are there of.
func copies(t *testing.T, o reload.Options) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(o.PrivateDir, "*", "local-*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range found {
		found[i] = filepath.Base(c)
	}
	return found
}

// TestFailedCopiesGo: what fails leaves nothing on the disk, and what fails for
// want of memory is not copied again each time that it is tried.
func TestFailedCopiesGo(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	var free atomic.Int64
	free.Store(1 << 30)
	o := inFolder(t, dir)
	o.FreeMemory = func() (int64, bool) { return free.Load(), true }
	r := run(t, o)
	first := r.other("")
	for n := range 3 {
		bad := notANumber()
		bad["note.txt"] = fmt.Append(nil, n)
		write(t, dir, bad)
		r.ask(modelstore.Request{Force: true}, "failed")
		if left := copies(t, o); !slices.Equal(left, []string{first}) {
			t.Errorf("after %d failures the copies %q are there", n+1, left)
		}
	}
	free.Store(90 << 20)
	large := saying("Salamu")
	large["note.txt"] = make([]byte, 20<<20)
	write(t, dir, large)
	second := r.ask(modelstore.Request{}, "failed")
	if left := copies(t, o); second.Step != "memory" || len(left) != 2 || !slices.Contains(left, second.Revision) {
		t.Errorf("%+v; the copies %q are there", second, left)
	}
	free.Store(1 << 30)
	r.serves(second.Revision)
	r.says("Salamu")
}

// TestCopiesInTheFolder has one volume for all: the copies lie in the folder that
// they are copies of, by its own name or by a link's, and are no part of it.
func TestCopiesInTheFolder(t *testing.T) {
	for name, below := range map[string]string{"folder": "data/sema", "itself": "data", "link": "link/sema"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			base := t.TempDir()
			dir := filepath.Join(base, "data")
			write(t, dir, saying("Habari"))
			link(t, "data", filepath.Join(base, "link"))
			o := inFolder(t, dir)
			o.PrivateDir = filepath.Join(base, below)
			unhidden := filepath.Join(o.PrivateDir, "sema-models-dead") // as versions before had them
			write(t, unhidden, map[string][]byte{"lock": nil, "local-1/model.bin": []byte("x")})
			r := run(t, o)
			first := r.other("")
			time.Sleep(10 * o.Debounce) // the watch has seen the copy come
			r.ask(modelstore.Request{Trigger: "signal"}, "unchanged")
			if g := r.state("current"); len(g.Files) != 5 || len(r.Generations()) != 1 {
				t.Errorf("generations %+v", r.Generations())
			}
			run(t, o).serves(first) // another process finds the same
			write(t, dir, saying("Salamu"))
			r.other(first)
			r.says("Salamu")
			p, err := translate.Open(dir, o.Pipeline) // as commands do
			if err != nil {
				t.Fatal(err)
			}
			p.Close()
		})
	}
}

// TestFolderNamedAsACopy: models may lie in a folder of such a name; a copy shows by its lock.
func TestFolderNamedAsACopy(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "sema-models-v1"), saying("Habari"))
	r := run(t, inFolder(t, dir))
	r.other("")
	r.says("Habari")
}

func TestDemoAlone(t *testing.T) {
	o := quick()
	o.Demo, o.DemoRevision = demo.Models(), demo.Revision
	r := run(t, o)
	r.serves(demo.Revision)
	r.ask(modelstore.Request{}, "unchanged")
	r.ask(modelstore.Request{Revision: "v2"}, "failed")
	if g := r.state("current"); g.Source != "demo" || len(g.Files) != 5 {
		t.Errorf("%+v", g)
	}
}

func TestEndsWhileItWaits(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, saying("Habari"))
	o := inFolder(t, dir)
	o.Debounce = time.Hour
	r := run(t, o)
	time.Sleep(50 * time.Millisecond)
	start := time.Now()
	r.end()
	if d := time.Since(start); d > time.Second {
		t.Errorf("it took %s", d)
	}
	if _, err := r.Reload(context.Background(), modelstore.Request{Trigger: "admin"}); err == nil {
		t.Error("a reload after the end")
	}
}
