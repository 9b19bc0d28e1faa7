package reload_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
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
	dead := filepath.Join(o.PrivateDir, "sema-models-dead")
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
