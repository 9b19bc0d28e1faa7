package memory

import (
	"bytes"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNameless makes files in both ways: their room is taken, they can be written and
// mapped, and they leave no name behind.
func TestNameless(t *testing.T) {
	const size = 4<<20 + 5
	dir := t.TempDir()
	if f, err := Nameless(dir, 1, 0); err != nil {
		t.Skipf("the folder of temporary files is no disk's: %v", err)
	} else {
		f.Close()
	}
	for name, open := range map[string]func(string) (*os.File, error){"nameless": nameless, "unnamed": unnamed} {
		f, err := open(dir)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		defer f.Close()
		if err := takeRoom(f, size, 0); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var stat unix.Stat_t
		if err := unix.Fstat(int(f.Fd()), &stat); err != nil || stat.Size != size || stat.Blocks*512 < size {
			t.Errorf("%s: %d bytes, %d blocks taken, %v", name, stat.Size, stat.Blocks, err)
		}
		want := bytes.Repeat([]byte("weights"), size/7)
		if _, err := f.WriteAt(want, 0); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		got, unmap, err := Map(f, size)
		if err != nil || !bytes.Equal(got[:len(want)], want) {
			t.Errorf("%s: others are mapped, %v", name, err)
		}
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("%s: left in the folder: %v, %v", name, left, err)
		}
		if err := unmap(); err != nil {
			t.Error(err)
		}
	}
}

// TestNamelessRefuses names folders that can't be written, are in memory or have no room.
func TestNamelessRefuses(t *testing.T) {
	dir := t.TempDir()
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		t.Fatal(err)
	}
	free := int64(fs.Bavail) * int64(fs.Frsize)
	type file struct {
		dir      string
		n, leave int64
	}
	refused := []file{{"/proc", 1 << 20, 0}, {dir, 1 << 60, 0}, {dir, 1 << 20, free}, {dir + "/none", 1, 0}}
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		refused = append(refused, file{"/dev/shm", 1 << 20, 0})
	}
	for _, r := range refused {
		if f, err := Nameless(r.dir, r.n, r.leave); err == nil {
			f.Close()
			t.Errorf("%+v", r)
		}
	}
}
