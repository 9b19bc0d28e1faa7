package reload

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
)

// generation is what models are opened from. But for pin, and for what a listing
// tells of it later, it does not change.
type generation struct {
	revision string
	source   string // for people
	dir      string // holds the files, unless fsys does
	fsys     fs.FS
	files    []modelstore.File
	unlisted bool   // the Hub's cache has no listing of it, so that files may be missing
	pin      string // the revision that an operator had asked for when it served; guarded by Controller.mu
}

// size returns the bytes of all files.
func (g *generation) size() int64 {
	if g == nil {
		return 0
	}
	var n int64
	for _, f := range g.files {
		n += f.Size
	}
	return n
}

// A source is where models come from. The loop calls it; changed and watched
// are called while it works.
type source interface {
	// name is the source for people.
	name() string
	// resolve returns the commit that a revision names now ("" names the
	// configured one). fromDisk asks for what is on this machine.
	resolve(ctx context.Context, revision string, fromDisk bool) (string, error)
	// fetch brings the files of a revision, which resolve returned as commit,
	// to this machine.
	fetch(ctx context.Context, revision, commit string, fromDisk bool) (*generation, error)
	// present describes what of a commit is on this machine, or returns nil.
	present(commit string) *generation
	// others lists the commits on this machine, the best first.
	others() []string
	// changed reports whether the disk has something else than commit.
	changed(commit string) bool
	// watched lists folders in which something happens when the disk changes.
	watched() []string
	// prune removes what is not in use.
	prune(inUse []string) error
	// close removes what is only of use to this process.
	close() error
}

// hubSource takes models from a repository on the Hub, by way of its cache.
// Blobs there are named by their content and never change, so that they can be
// mapped where they are.
type hubSource struct {
	client         *hub.Client
	repo, revision string
	files          []string
	keep           int
	held           map[string]func() // commit → release; other processes don't prune what is held
}

func (s *hubSource) name() string { return s.repo + "@" + s.revision }

func (s *hubSource) named(revision string) string {
	if revision == "" {
		return s.revision
	}
	return revision
}

func (s *hubSource) resolve(ctx context.Context, revision string, fromDisk bool) (string, error) {
	if !fromDisk {
		return s.client.Resolve(ctx, s.repo, s.named(revision))
	}
	cached := s.client.Cached
	if hub.IsCommit(revision) { // whoever asks for that one has nothing better
		cached = s.client.AnyCached
	}
	snapshot, err := cached(s.repo, s.named(revision), s.files...)
	return snapshot.Commit, err
}

// fetch asks for the revision and not for the commit, so that the cache learns
// which commit it names. Should it name another by now, that one is fetched.
func (s *hubSource) fetch(ctx context.Context, revision, commit string, fromDisk bool) (*generation, error) {
	s.hold(ctx, commit)
	var snapshot hub.Snapshot
	var err error
	if fromDisk {
		snapshot, err = s.client.AnyCached(s.repo, commit, s.files...)
	} else {
		snapshot, err = s.client.Download(ctx, s.repo, s.named(revision), s.files...)
	}
	if err != nil {
		return nil, err
	}
	s.hold(ctx, snapshot.Commit)
	return s.generation(snapshot), nil
}

// hold keeps other processes from pruning a commit, until prune or close. In a
// cache that can't be written to, nobody prunes.
func (s *hubSource) hold(ctx context.Context, commit string) {
	if s.held[commit] != nil {
		return
	}
	if release, err := s.client.Hold(ctx, s.repo, commit); err == nil {
		s.held[commit] = release
	}
}

func (s *hubSource) generation(snapshot hub.Snapshot) *generation {
	g := &generation{revision: snapshot.Commit, source: s.repo, dir: snapshot.Dir, unlisted: snapshot.Unlisted}
	for _, f := range snapshot.Files {
		g.files = append(g.files, modelstore.File{Name: f.Path, Size: f.Size, SHA256: f.SHA256})
	}
	return g
}

func (s *hubSource) present(commit string) *generation {
	snapshot, err := s.client.AnyCached(s.repo, commit, s.files...)
	if err != nil {
		return nil
	}
	return s.generation(snapshot)
}

// cacheDir is the repository's folder in the cache.
func (s *hubSource) cacheDir() string {
	return filepath.Join(s.client.Cache(), "models--"+strings.ReplaceAll(s.repo, "/", "--"))
}

// others lists the snapshots, the newest first.
func (s *hubSource) others() []string {
	entries, err := os.ReadDir(filepath.Join(s.cacheDir(), "snapshots"))
	if err != nil {
		return nil
	}
	when := map[string]time.Time{}
	var commits []string
	for _, e := range entries {
		if info, err := e.Info(); err == nil && hub.IsCommit(e.Name()) {
			when[e.Name()] = info.ModTime()
			commits = append(commits, e.Name())
		}
	}
	slices.SortFunc(commits, func(a, b string) int { return when[b].Compare(when[a]) })
	return commits
}

func (s *hubSource) changed(commit string) bool {
	snapshot, err := s.client.Cached(s.repo, s.revision, s.files...)
	return err == nil && snapshot.Commit != commit
}

// watched are the folder of the revision's reference and those above it, which
// may have to come first.
func (s *hubSource) watched() []string {
	var dirs []string
	for dir := filepath.Dir(filepath.Join(s.cacheDir(), "refs", filepath.FromSlash(s.revision))); len(dir) >= len(s.client.Cache()); dir = filepath.Dir(dir) {
		dirs = append(dirs, dir)
	}
	return dirs
}

func (s *hubSource) prune(inUse []string) error {
	s.release(inUse)
	_, err := s.client.Prune(s.repo, s.keep, slices.DeleteFunc(inUse, func(r string) bool { return !hub.IsCommit(r) })...)
	return err
}

// release lets go of the commits that are not in use.
func (s *hubSource) release(inUse []string) {
	for commit, release := range s.held {
		if !slices.Contains(inUse, commit) {
			release()
			delete(s.held, commit)
		}
	}
}

func (s *hubSource) close() error {
	s.release(nil)
	return nil
}

// demo describes the demo models.
func (c *Controller) demo() *generation {
	g := &generation{revision: c.opts.DemoRevision, source: "demo", fsys: c.opts.Demo}
	_ = fs.WalkDir(g.fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			g.files = append(g.files, modelstore.File{Name: name, Size: info.Size()})
		}
		return err
	})
	return g
}

// demoSource has one generation for ever.
type demoSource struct{ g *generation }

func (s demoSource) name() string { return s.g.source }
func (s demoSource) resolve(_ context.Context, revision string, _ bool) (string, error) {
	if revision != "" && revision != s.g.revision {
		return "", errors.New("reload: the demo models have one revision: set MODEL_REPO or MODEL_DIR to serve others")
	}
	return s.g.revision, nil
}
func (s demoSource) fetch(context.Context, string, string, bool) (*generation, error) {
	return s.g, nil
}
func (s demoSource) present(string) *generation { return s.g }
func (s demoSource) others() []string           { return nil }
func (s demoSource) changed(string) bool        { return false }
func (s demoSource) watched() []string          { return nil }
func (s demoSource) prune([]string) error       { return nil }
func (s demoSource) close() error               { return nil }
