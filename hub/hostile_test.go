package hub_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

// entry is an entry of a listing.
func entry(path string, size int64) string {
	name, _ := json.Marshal(path)
	return fmt.Sprintf(`{"type":"file","path":%s,"size":%d,"oid":%q}`, name, size, strings.Repeat("a", 40))
}

// TestHostileListings refuses listings that would write elsewhere or take too
// much, and writes nothing.
func TestHostileListings(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	for name, body := range map[string]string{
		"parent":    entry("../x", 1),
		"parent 2":  entry("a/../../x", 1),
		"parent 3":  entry("..", 1),
		"absolute":  entry("/etc/x", 1),
		"itself":    entry(".", 1),
		"empty":     entry("", 1),
		"doubled":   entry("a//b", 1),
		"backslash": entry(`..\x`, 1),
		"zero":      entry("a\x00b", 1),
		"newline":   entry("a\nb", 1),
		"escape":    entry("a\x1b[2Jb", 1),
		"long":      entry(strings.Repeat("a", 5000), 1),
		"twice":     entry("a", 1) + "," + entry("a", 1),
		"negative":  entry("a", -1),
		"too large": entry("a", 1<<60),
		"sum":       entry("a", 1<<49) + "," + entry("b", 1<<49) + "," + entry("c", 1<<49),
		"sha1":      `{"type":"file","path":"a","size":1,"oid":"../../x"}`,
		"sha256":    fmt.Sprintf(`{"type":"file","path":"a","size":1,"oid":%q,"lfs":{"oid":"../x","size":1}}`, strings.Repeat("a", 40)),
		"no sha256": fmt.Sprintf(`{"type":"file","path":"a","size":1,"oid":%q,"lfs":{"size":1}}`, strings.Repeat("a", 40)),
		"types":     `{"type":"file","path":1}`,
		"many":      strings.Repeat(entry("a", 1)+",", 100_100) + entry("a", 1),
		"millions":  strings.Repeat("{},", 3_000_000) + "{}",
		"huge":      entry(strings.Repeat("a", 40<<20), 1),
		"deep":      strings.Repeat("[", 1_000_000),
	} {
		s.Heal()
		s.Forget()
		s.Fault("/tree/", hubtest.Fault{Status: 200, Body: "[" + body + "]"})
		c := client(t, s)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := c.Download(ctx, repo, "main")
		runtime.ReadMemStats(&after)
		if !errors.Is(err, hub.ErrInvalid) || len(err.Error()) > 1000 || len(s.Requests()) != 2 {
			t.Errorf("%s: %d requests, %.200v", name, len(s.Requests()), err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 400<<20 {
			t.Errorf("%s: %d MiB were allocated", name, n>>20)
		}
		if _, err := os.Stat(filepath.Join(c.Cache(), "models--org--name", "snapshots")); err == nil {
			t.Errorf("%s: something was written", name)
		}
	}
	s.Heal()
	for name, f := range map[string]hubtest.Fault{
		"no commit":   {Status: 200, Body: `{"sha":"../../x"}`},
		"not JSON":    {Status: 200, Body: `<html>`},
		"unasked 304": {Status: 304},
		"huge":        {Status: 200, Body: strings.Repeat(" ", 33<<20)},
	} {
		s.Heal()
		s.Fault("/revision/", f)
		if _, err := client(t, s).Resolve(ctx, repo, "main"); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, link := range map[string]string{"elsewhere": `<http://example.org/x>; rel="next"`, "endless": `<` + s.URL + `/api/models/org/name/tree/` + sha + `>; rel="next"`} {
		s.Heal()
		s.Fault("/tree/", hubtest.Fault{Status: 200, Body: "[]", Header: map[string]string{"Link": link}})
		if _, err := client(t, s).Download(ctx, repo, "main"); !errors.Is(err, hub.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHostilePages has a listing of many pages, each within the bounds, that would
// take much together: what is not allowed on the first is not kept for later.
func TestHostilePages(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", models())
	long := strings.Repeat("a", 100_000)
	for name, body := range map[string]string{
		"paths": entry(long, 1),
		"oids":  fmt.Sprintf(`{"type":"file","path":"a","size":1,"oid":%q}`, long),
		"lfs":   fmt.Sprintf(`{"type":"file","path":"a","size":1,"oid":%q,"lfs":{"oid":%q,"size":1}}`, strings.Repeat("a", 40), long),
	} {
		s.Heal()
		s.Forget()
		next := `<` + s.URL + `/api/models/org/name/tree/` + sha + `>; rel="next"`
		s.Fault("/tree/", hubtest.Fault{Status: 200, Body: "[" + body + "]", Header: map[string]string{"Link": next}})
		if _, err := client(t, s).Download(ctx, repo, sha); !errors.Is(err, hub.ErrInvalid) || len(err.Error()) > 1000 || count(s, "/tree/") != 1 {
			t.Errorf("%s: %d pages, %.200v", name, count(s, "/tree/"), err)
		}
	}
}

// TestSizesThatLie neither fills the disk nor takes what arrives for the file.
func TestSizesThatLie(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit(repo, "main", map[string][]byte{"a.txt": noise(2000, 1)})
	for _, size := range []int64{0, 1999, 2001, 1 << 50} {
		s.Heal()
		s.Fault("/tree/", hubtest.Fault{Status: 200, Body: "[" + entry("a.txt", size) + "]"})
		c := client(t, s, func(o *hub.Options) { o.Retries = 1 })
		_, err := c.Download(ctx, repo, sha)
		if !errors.Is(err, hub.ErrChecksum) && !errors.Is(err, hub.ErrUnavailable) && !errors.Is(err, hub.ErrNoSpace) {
			t.Errorf("%d: %v", size, err)
		}
		if _, err := c.Cached(repo, sha); err == nil {
			t.Errorf("%d: it is in the cache", size)
		}
	}
}

// TestManyFiles downloads thousands of files.
func TestManyFiles(t *testing.T) {
	s := hubtest.New(t)
	files := map[string][]byte{}
	for i := range 2500 {
		files[fmt.Sprintf("d%d/f%d.txt", i%7, i)] = fmt.Append(nil, i%100)
	}
	s.Commit(repo, "main", files)
	holds(t, download(t, client(t, s), "main"), files)
	if n := count(s, "/tree/"); n != 3 {
		t.Errorf("%d pages", n)
	}
}
