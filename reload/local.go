package reload

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sematech/sema/modelstore"
)

var (
	// errChanging: files of the folder change while they are read.
	errChanging = errors.New("reload: the files keep changing")
	errEmpty    = errors.New("reload: the folder has no files")
)

// localSource takes models from a folder whose files anyone may write to. A
// mapped file that is truncated kills the process that reads it, so what serves
// is a copy in a private folder.
type localSource struct {
	dir, parent string
	debounce    time.Duration
	asked       bool // for its revision, at least once

	mu       sync.Mutex
	seen     string // the state of the folder when its content was read last
	revision string // of that content
	private  *privateDir
	copies   map[string]*generation
}

func (s *localSource) name() string { return s.dir }

// localFile is a file of a folder as it looks from outside.
type localFile struct {
	name string // with slashes
	size int64
	time int64 // of the last change, ns
}

// maxDepth is how many folders deep files are looked for.
const maxDepth = 6

// listFiles returns the files below dir, sorted. It follows links and leaves
// out what is hidden, such as the folders that Kubernetes swaps, and copies:
// a copy of copies would have no end.
func listFiles(dir string) ([]localFile, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, fmt.Errorf("reload: %w", err)
	}
	var files []localFile
	var walk func(below string, depth int) error
	walk = func(below string, depth int) error {
		entries, err := os.ReadDir(filepath.Join(root, below))
		if err != nil {
			return fmt.Errorf("reload: %w", err)
		}
		for _, e := range entries {
			name := path.Join(below, e.Name())
			info, err := os.Stat(filepath.Join(root, name))
			switch {
			case strings.HasPrefix(e.Name(), "."), isPrivate(filepath.Join(root, name)):
			case err != nil:
				return fmt.Errorf("reload: %w", err)
			case info.IsDir() && depth < maxDepth:
				if err := walk(name, depth+1); err != nil {
					return err
				}
			case info.Mode().IsRegular():
				files = append(files, localFile{name, info.Size(), info.ModTime().UnixNano()})
			}
		}
		return nil
	}
	if err := walk("", 0); err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b localFile) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// look returns the state of the folder: its files' names, sizes and times.
func (s *localSource) look() (string, []localFile, error) {
	files, err := listFiles(s.dir)
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%w: %s", errEmpty, s.dir)
	}
	return fmt.Sprint(files), files, err
}

// settled waits until the folder has looked the same for the debounce time. Only
// at the start it takes files that are old at their word: later, somebody may be
// unpacking old files one by one.
func (s *localSource) settled(ctx context.Context) (string, []localFile, error) {
	first := !s.asked
	s.asked = true
	state, files, err := s.look()
	if err != nil || state == s.known() || first && s.old(files) {
		return state, files, err
	}
	var before []localFile
	for range 300 {
		select {
		case <-time.After(s.debounce):
		case <-ctx.Done():
			return "", nil, ctx.Err()
		}
		was := state
		before = files
		if state, files, err = s.look(); err != nil || state == was {
			return state, files, err
		}
	}
	return "", nil, fmt.Errorf("%w: %s: %s", errChanging, s.dir, strings.Join(changes(before, files), ", "))
}

// changes names what is in one list only, or differs.
func changes(before, after []localFile) []string {
	var names []string
	for _, f := range slices.Concat(before, after) {
		if (!slices.Contains(before, f) || !slices.Contains(after, f)) && !slices.Contains(names, f.name) {
			names = append(names, f.name)
		}
	}
	return names
}

// old reports whether nobody wrote for so long that nobody is writing.
func (s *localSource) old(files []localFile) bool {
	return !slices.ContainsFunc(files, func(f localFile) bool { return time.Since(time.Unix(0, f.time)) < 30*s.debounce })
}

func (s *localSource) known() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen
}

// resolve names the content of the folder. Its files are read if they look
// other than when they were read last.
func (s *localSource) resolve(ctx context.Context, revision string, _ bool) (string, error) {
	state, files, err := s.settled(ctx)
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	known := s.revision
	same := state == s.seen
	s.mu.Unlock()
	if !same {
		list, err := s.read(ctx, files, func(localFile) (io.WriteCloser, error) { return discard{}, nil })
		if err != nil {
			return "", err
		}
		known = localRevision(list)
		s.mu.Lock()
		s.seen, s.revision = state, known
		s.mu.Unlock()
	}
	if revision != "" && revision != known {
		return "", fmt.Errorf("reload: MODEL_DIR has no revisions to choose from: what is in %s serves, now as %s", s.dir, known)
	}
	return known, nil
}

// read reads the files, hashes them and writes them to what sink returns.
func (s *localSource) read(ctx context.Context, files []localFile, sink func(localFile) (io.WriteCloser, error)) ([]modelstore.File, error) {
	var list []modelstore.File
	for _, f := range files {
		sum, err := s.readOne(ctx, f, sink)
		if err != nil {
			return nil, fmt.Errorf("reload: read %s: %w", f.name, err)
		}
		list = append(list, modelstore.File{Name: f.name, Size: f.size, SHA256: sum})
	}
	return list, nil
}

// copyBytes is how much is copied at a time: file systems keep what is written in
// such pieces in huge pages, where they are, which models are read faster from.
const copyBytes = 2 << 20

func (s *localSource) readOne(ctx context.Context, f localFile, sink func(localFile) (io.WriteCloser, error)) (string, error) {
	in, err := os.Open(filepath.Join(s.dir, filepath.FromSlash(f.name)))
	if err != nil {
		return "", err
	}
	defer in.Close()
	out, err := sink(f)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	buf := make([]byte, min(copyBytes, f.size+1))
	n, err := io.CopyBuffer(io.MultiWriter(out, sum), io.LimitReader(stoppable{ctx, in}, f.size+1), buf)
	if err = errors.Join(err, out.Close()); err != nil {
		return "", err
	}
	if n != f.size {
		return "", errChanging
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// stoppable is a reader that fails once ctx has ended.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

func (s stoppable) Read(p []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(p)
}

// discard writes nowhere.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) Close() error                { return nil }

// localRevision names a content: the names, sizes and sums of its files.
func localRevision(files []modelstore.File) string {
	sum := sha256.New()
	for _, f := range files {
		fmt.Fprintf(sum, "%q %d %s\n", f.Name, f.Size, f.SHA256)
	}
	return "local-" + hex.EncodeToString(sum.Sum(nil))[:16]
}

// fetch copies the folder. A file that changes meanwhile makes another
// revision, and an error.
func (s *localSource) fetch(ctx context.Context, _, commit string, _ bool) (*generation, error) {
	if g := s.present(commit); g != nil {
		return g, nil
	}
	files, err := listFiles(s.dir)
	if err != nil {
		return nil, err
	}
	if s.private == nil {
		if s.private, err = newPrivateDir(s.parent); err != nil {
			return nil, err
		}
	}
	dir := s.private.path(commit)
	list, err := s.read(ctx, files, func(f localFile) (io.WriteCloser, error) {
		to := filepath.Join(dir, filepath.FromSlash(f.name))
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return nil, err
		}
		return os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	})
	if err == nil && localRevision(list) != commit {
		err = fmt.Errorf("%w: %s", errChanging, s.dir)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	g := &generation{revision: commit, source: s.dir, dir: dir, files: list}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.copies == nil {
		s.copies = map[string]*generation{}
	}
	s.copies[commit] = g
	return g, nil
}

// present describes the copy of a revision.
func (s *localSource) present(commit string) *generation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.copies[commit]
}

func (s *localSource) others() []string { return nil }

// changed also reports a content that was read but does not serve: a dry run
// reads it first, if it comes before the watch looks.
func (s *localSource) changed(commit string) bool {
	state, _, err := s.look()
	s.mu.Lock()
	defer s.mu.Unlock()
	return err == nil && (state != s.seen || commit != "" && commit != s.revision)
}

// links are the names that lead to the folder: its own and, where that is a
// link, its target's. A link is swapped where it lies.
func (s *localSource) links() []string {
	name := located(s.dir)
	names := []string{name}
	for range 40 { // as many links as Linux follows
		target, err := os.Readlink(name)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(name), target)
		}
		name = located(target)
		names = append(names, name)
	}
	return names
}

// located resolves the links on the way to name, and not name itself: so are
// the events of the folder called that it lies in.
func located(name string) string {
	if absolute, err := filepath.Abs(name); err == nil {
		name = absolute
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(name))
	if err != nil {
		return name
	}
	return filepath.Join(dir, filepath.Base(name))
}

// watched are the folder with all below it, and the folders of the links that
// lead to it.
func (s *localSource) watched() []string {
	var dirs []string
	links := s.links()
	for _, link := range links {
		dirs = append(dirs, filepath.Dir(link))
	}
	root, err := filepath.EvalSymlinks(links[0])
	if err != nil {
		return dirs
	}
	return append(dirs, foldersBelow(root, 0)...)
}

// concerns returns what tells whether an event is about the models. Beside the
// links that lead to them lies what is none of theirs, such as a log.
func (s *localSource) concerns() func(name string) bool {
	links := s.links()
	root, err := filepath.EvalSymlinks(links[0])
	return func(name string) bool {
		if slices.Contains(links, name) || err == nil && isBelow(root, name) {
			return true
		}
		return !slices.ContainsFunc(links, func(link string) bool { return filepath.Dir(link) == filepath.Dir(name) })
	}
}

// isBelow reports whether name is dir or in it.
func isBelow(dir, name string) bool {
	rel, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rel)
}

// foldersBelow lists dir and its folders, those behind links too, but no copies.
func foldersBelow(dir string, depth int) []string {
	dirs := []string{dir}
	entries, err := os.ReadDir(dir)
	if err != nil || depth == maxDepth {
		return dirs
	}
	for _, e := range entries {
		below := filepath.Join(dir, e.Name())
		if info, err := os.Stat(below); err == nil && info.IsDir() && !isPrivate(below) {
			dirs = append(dirs, foldersBelow(below, depth+1)...)
		}
	}
	return dirs
}

// prune removes the copies that are not in use.
func (s *localSource) prune(inUse []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	for revision, g := range s.copies {
		if !slices.Contains(inUse, revision) {
			delete(s.copies, revision)
			errs = append(errs, os.RemoveAll(g.dir))
		}
	}
	return errors.Join(errs...)
}

// close removes all copies. Models that are open keep their mapped files.
func (s *localSource) close() error {
	if s.private == nil {
		return nil
	}
	return s.private.remove()
}
