package reload

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/translate"
)

// errMemory: the models would not fit in what the process may take.
var errMemory = errors.New("reload: not enough memory")

// Models need memory besides their files: for work space and vocabularies, and
// for a coarse copy of the output layer, which takes less than half of their size
// and at most coarseMost.
const (
	headroom   = 64 << 20
	coarseMost = 144 << 20
)

// needed is what models of a size take.
func needed(size int64) int64 { return size + headroom + min(size/2, coarseMost) }

// foresee is memory before the download. Of what serves, and may lack files, most
// likely nothing has to be loaded.
func (a *attempt) foresee() error {
	if now := a.c.serving(); now != nil && now.revision == a.outcome.Revision {
		return nil
	}
	return a.memory(a.c.source.present(a.outcome.Revision))
}

// memory refuses models that don't fit. Page cache counts as free, but for the
// files that serve: they are mapped, and have to stay beside the new ones.
func (a *attempt) memory(g *generation) error {
	free, known := a.c.opts.FreeMemory()
	if !known {
		return nil
	}
	if need := a.need(g); need > free {
		return fmt.Errorf("%w: the models need %d MiB beside those that serve and %d MiB are free: raise the limit or set RELOAD_MODE=replace", errMemory, need>>20, free>>20)
	}
	return nil
}

// need is what g takes, beside the models that serve.
func (a *attempt) need(g *generation) int64 {
	now := a.c.serving()
	need := needed(g.size())
	if g == nil { // not here yet: likely as large as what serves
		need = needed(now.size())
	}
	if !a.c.opts.Replace {
		need += now.size()
	}
	return need
}

// pipeline is how g is opened. Copies of weights on the disk, as a rule a fourth of its
// size or less, lie in the page cache: there are none where they would push out the weights
// themselves, and what serves may have as many. Nor are there any for a dry run.
func (a *attempt) pipeline(g *generation) translate.Options {
	o := a.c.opts.Pipeline
	if o.Runtime.CopyDir == "" || a.request.DryRun {
		o.Runtime.CopyDir = ""
		return o
	}
	log := a.log()
	o.Runtime.OnCopied = func(bytes int, took time.Duration, err error) {
		if err != nil {
			log.WithError(err).Warn("weights_not_copied")
			return
		}
		log.WithFields(logrus.Fields{"bytes": bytes, "seconds": took.Seconds()}).Info("weights_copied")
	}
	if free, known := a.c.opts.FreeMemory(); known && free < a.need(g)+g.size()/2 {
		o.Runtime.CopyDir = ""
		log.WithField("free_bytes", free).Info("weights_not_copied")
	}
	return o
}

// systemMemory is FreeMemory of this system.
func systemMemory() (int64, bool) { return FreeMemory(os.DirFS("/")) }

// FreeMemory returns the bytes that this process may still take by the limits
// of its cgroup (version 2 or 1), the groups above it and the machine, which it
// reads from below root. Page cache counts as free. It reports false where the
// system does not say.
func FreeMemory(root fs.FS) (int64, bool) {
	free, known := field(root, "proc/meminfo", "MemAvailable:")
	free *= 1024
	note := func(n int64, ok bool) {
		if ok && (!known || n < free) {
			free, known = n, true
		}
	}
	group := ""
	for line := range lines(root, "proc/self/cgroup") {
		if rest, ok := strings.CutPrefix(line, "0::/"); ok {
			group = rest
		}
	}
	for dir := path.Clean("/" + group); ; dir = path.Dir(dir) {
		note(groupMemory(root, path.Join("sys/fs/cgroup", dir), "memory.max", "memory.current", "file", "shmem"))
		if dir == "/" {
			break
		}
	}
	note(groupMemory(root, "sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_cache", "total_shmem"))
	return max(free, 0), known
}

// noLimit is more than any limit. Version 1 has no word for none: it writes the most
// that it can count.
const noLimit = 1 << 60

// groupMemory is what a cgroup leaves: its limit less what is used, of which
// page cache can be had back and shared memory can't. These are not counted at the
// same moment, so that there can be more cache than is used.
func groupMemory(root fs.FS, dir, limitFile, usedFile, cache, shared string) (int64, bool) {
	limit, ok := number(root, path.Join(dir, limitFile))
	used, ok2 := number(root, path.Join(dir, usedFile))
	if !ok || !ok2 || limit >= noLimit {
		return 0, false // no such group, or no limit ("max")
	}
	cached, _ := field(root, path.Join(dir, "memory.stat"), cache)
	shmem, _ := field(root, path.Join(dir, "memory.stat"), shared)
	return limit - used + min(max(cached-shmem, 0), used), true
}

func number(root fs.FS, name string) (int64, bool) {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64)
	return n, err == nil
}

// field returns the number behind a key.
func field(root fs.FS, name, key string) (int64, bool) {
	for line := range lines(root, name) {
		if words := strings.Fields(line); len(words) > 1 && words[0] == key {
			n, err := strconv.ParseInt(words[1], 10, 64)
			return n, err == nil
		}
	}
	return 0, false
}

// lines yields the lines of a small file, none if it can't be read.
func lines(root fs.FS, name string) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		f, err := root.Open(name)
		if err != nil {
			return
		}
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if !yield(s.Text()) {
				return
			}
		}
	}
}
