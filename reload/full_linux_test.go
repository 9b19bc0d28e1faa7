package reload_test

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sematech/sema/modelstore"
)

// TestFullDisk has room for one private copy and not for two: the first serves
// on, nothing half-written is left, and the next is loaded once there is room.
func TestFullDisk(t *testing.T) {
	small := t.TempDir()
	if err := syscall.Mount("tmpfs", small, "tmpfs", 0, "size=9m"); err != nil {
		t.Skipf("a small file system can't be mounted: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(small, syscall.MNT_DETACH) })
	base := t.TempDir()
	write(t, filepath.Join(base, "v1"), saying("Habari"))
	write(t, filepath.Join(base, "v2"), saying("Salamu"))
	link(t, "v1", filepath.Join(base, "current"))
	o := inFolder(t, filepath.Join(base, "current"))
	o.PrivateDir, o.Backoff = small, time.Hour
	r := run(t, o)
	first := r.other("")
	link(t, "v2", filepath.Join(base, "current")) // at once: one attempt
	r.until("the disk is full", func() bool { return r.state("failed").State != "" })
	if f := r.state("failed"); f.Step != "download" || !strings.Contains(f.Error, "no space left") {
		t.Errorf("%+v", f)
	}
	r.says("Habari")
	if copies, err := filepath.Glob(filepath.Join(small, "*", "local-*")); err != nil || len(copies) != 1 {
		t.Errorf("copies %q, %v", copies, err)
	}
	if err := syscall.Mount("tmpfs", small, "tmpfs", syscall.MS_REMOUNT, "size=64m"); err != nil {
		t.Fatal(err)
	}
	r.ask(modelstore.Request{Trigger: "poll"}, "swapped")
	r.other(first)
	r.says("Salamu")
}
