package reload_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
)

// The child process of TestKill gets these in its environment.
const (
	childEndpoint = "SEMA_TEST_ENDPOINT"
	childCache    = "SEMA_TEST_CACHE"
	childFolder   = "SEMA_TEST_FOLDER"
	childPrivate  = "SEMA_TEST_PRIVATE"
)

// TestMain serves as the process that TestKill kills.
func TestMain(m *testing.M) {
	if os.Getenv(childCache)+os.Getenv(childFolder) == "" {
		os.Exit(m.Run())
	}
	o := quick()
	o.Store = &modelstore.Store[*reload.Models]{}
	o.Dir, o.PrivateDir = os.Getenv(childFolder), os.Getenv(childPrivate)
	o.Repo, o.Poll = repo, 10*time.Millisecond
	o.Hub = &hub.Options{Endpoint: os.Getenv(childEndpoint), CacheDir: os.Getenv(childCache), Backoff: time.Millisecond}
	c, err := reload.New(o)
	if err != nil {
		os.Exit(1)
	}
	_ = c.Run(context.Background()) // until it is killed
}

// killed runs a child for a moment and kills it.
func killed(t *testing.T, after time.Duration, env ...string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), env...)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(after)
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); child.ProcessState.Exited() {
		t.Fatalf("the child ended by itself: %v", err)
	}
}

// kills is how often a process is killed: 200 times with SEMA_LONG=1.
func kills() int {
	if os.Getenv("SEMA_LONG") != "" {
		return 200
	}
	return 8
}

// TestKill kills a process at random points of downloads and swaps. After each,
// one that makes no request serves a commit that is whole.
func TestKill(t *testing.T) {
	h := hubtest.New(t)
	words := map[string]string{}
	latest := ""
	commit := func(word string) {
		models := saying(word)
		models[modelFile] = bytes.Clone(models[modelFile])
		positions := variable(models[modelFile], "decoder/position_encodings/encodings")
		positions[len(positions)-4] = byte(len(words)) // a number of its own, where no sentence gets to
		positions[len(positions)-3] = byte(len(words) >> 8)
		latest = h.Commit(repo, "main", models)
		words[latest] = word
	}
	commit("Habari")
	o := onHub(t, h)
	first := run(t, o)
	first.until("the first serves", func() bool { return first.store.Current() != nil })
	first.end()
	h.Fault("storage", hubtest.Fault{BytesPerSecond: 20 << 20}) // a model takes 0.3 s
	o.Hub.Offline = true
	served := map[string]bool{latest: true}
	for n := range kills() {
		if served[latest] {
			commit([]string{"Salamu", "Jambo", "Hujambo"}[n%3])
		}
		killed(t, 20*time.Millisecond+rand.N(400*time.Millisecond), childEndpoint+"="+h.URL, childCache+"="+o.Hub.CacheDir)
		r := run(t, o)
		r.until("something serves", func() bool { return r.store.Current() != nil })
		revision := r.store.Current().Revision
		r.says(words[revision])
		served[revision] = true
		if f := r.state("failed"); f.State != "" {
			t.Errorf("something half-written was tried: %+v", f)
		}
		r.end()
	}
	t.Logf("%d kills, %d commits served", kills(), len(served))
}

// TestKillWithPrivateCopies kills a process that copies; the next one removes
// what it left.
func TestKillWithPrivateCopies(t *testing.T) {
	dir, private := t.TempDir(), t.TempDir()
	write(t, dir, saying("Habari"))
	left := 0
	for range kills() {
		killed(t, 20*time.Millisecond+rand.N(200*time.Millisecond), childFolder+"="+dir, childPrivate+"="+private)
		copies, err := filepath.Glob(filepath.Join(private, "*", "*", "translation"))
		if err != nil || len(copies) > 1 {
			t.Fatalf("%d private copies, %v", len(copies), err)
		}
		left += len(copies)
	}
	o := inFolder(t, dir)
	o.PrivateDir = private
	r := run(t, o)
	r.other("")
	r.says("Habari")
	if copies, _ := filepath.Glob(filepath.Join(private, "*", "*")); len(copies) > 2 { // it and the lock
		t.Errorf("private copies %q", copies)
	}
	t.Logf("%d copies were left behind, each until the next start", left)
}
