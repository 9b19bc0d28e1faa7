package reload

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// TestPrivateFoldersAtOnce has processes that start at once look for folders of
// the dead: none takes that of another which lives. What two controllers do in
// the moment that matters can't be told from outside.
func TestPrivateFoldersAtOnce(t *testing.T) {
	parent := t.TempDir()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 500 {
				p, err := newPrivateDir(parent)
				if err != nil {
					t.Error(err)
					return
				}
				removeDead(parent)
				if _, err := os.Stat(filepath.Join(p.dir, "lock")); err != nil {
					t.Errorf("taken for a dead process's: %v", err)
				}
				if err := p.remove(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if left, err := os.ReadDir(parent); err != nil || len(left) > 0 {
		t.Errorf("%v are left: %v", left, err)
	}
}
