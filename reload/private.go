package reload

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// privatePrefix begins the names of private folders. They are hidden, so that
// nobody takes what is in them for models to serve, should they lie in the
// folder of those.
const privatePrefix = ".sema-models-"

// isPrivate reports whether dir is a private folder, of this version or of those
// before, which did not hide theirs: those show by their lock.
func isPrivate(dir string) bool {
	name := filepath.Base(dir)
	if strings.HasPrefix(name, privatePrefix) {
		return true
	}
	lock, err := os.Lstat(filepath.Join(dir, "lock"))
	return strings.HasPrefix("."+name, privatePrefix) && err == nil && lock.Mode().IsRegular()
}

// privateDir is a folder that belongs to this process. A lock file in it shows
// that the process lives; who comes later removes the folders of the dead.
type privateDir struct {
	dir  string
	lock *os.File
}

// newPrivateDir makes a folder below parent; "": where temporary files go.
func newPrivateDir(parent string) (*privateDir, error) {
	if parent == "" {
		parent = os.TempDir()
	}
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return nil, fmt.Errorf("reload: a folder for private copies: %w", err)
	}
	removeDead(parent)
	for {
		p, err := makePrivateDir(parent)
		if err != nil {
			return nil, fmt.Errorf("reload: a folder for private copies: %w", err)
		}
		if isMine(p.lock) {
			return p, nil
		}
		p.lock.Close() // who took the folder for a dead process's removes it
	}
}

// makePrivateDir makes a folder with a lock file that nobody has locked yet.
func makePrivateDir(parent string) (*privateDir, error) {
	dir, err := os.MkdirTemp(parent, privatePrefix)
	if err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &privateDir{dir, lock}, nil
}

// path is where the copy of a revision lies.
func (p *privateDir) path(revision string) string { return filepath.Join(p.dir, revision) }

// remove removes the folder.
func (p *privateDir) remove() error { return errors.Join(removeFolder(p.dir), p.lock.Close()) }

// removeFolder removes the lock last: whoever ends before it is done leaves a
// folder that shows that its process is dead.
func removeFolder(dir string) error {
	copies, err := filepath.Glob(filepath.Join(dir, "local-*"))
	for _, c := range copies {
		err = errors.Join(err, os.RemoveAll(c))
	}
	return errors.Join(err, os.RemoveAll(dir))
}

// removeDead removes the folders whose process has ended. One without a lock
// file is empty, and may be in the making.
func removeDead(parent string) {
	entries, _ := os.ReadDir(parent)
	for _, e := range entries {
		if !e.IsDir() || !isPrivate(filepath.Join(parent, e.Name())) {
			continue
		}
		dir := filepath.Join(parent, e.Name())
		lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_RDWR, 0)
		if err != nil {
			if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > time.Minute {
				_ = os.Remove(dir)
			}
			continue
		}
		if tryLock(lock) {
			_ = removeFolder(dir) // what can't be removed costs disk only
		}
		lock.Close()
	}
}
