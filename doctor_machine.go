package main

import (
	"bufio"
	"errors"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/cpu"
	"golang.org/x/sys/unix"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/translate"
)

// cpuFeatures lists what the processor has of that which the kernels use.
func cpuFeatures() string {
	var has []string
	for _, feature := range []struct {
		name string
		has  bool
	}{
		{"AVX2", cpu.X86.HasAVX2}, {"FMA", cpu.X86.HasFMA}, {"AVX-VNNI", cpu.X86.HasAVXVNNI},
		{"AVX-512 F/BW/DQ/VL", cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512VL},
		{"AVX-512 VNNI", cpu.X86.HasAVX512VNNI}, {"AMX", cpu.X86.HasAMXTile && cpu.X86.HasAMXInt8},
		{"NEON", cpu.ARM64.HasASIMD || runtime.GOARCH == "arm64"}, {"dot product", cpu.ARM64.HasASIMDDP}, {"I8MM", cpu.ARM64.HasI8MM},
	} {
		if feature.has {
			has = append(has, feature.name)
		}
	}
	return strings.Join(has, ", ")
}

func machineCPUs() int { return runtime.NumCPU() }

// workBytes is what the service needs besides the models: texts, keys and values, caches. coarseBytes is the most that
// the coarse copy of a model's output layer takes, which is less than half of the model.
const (
	workBytes   = 300 << 20
	coarseBytes = 144 << 20
)

// checkMemory compares the models with the memory that the process may use.
func (d *doctor) checkMemory(m foundModels) {
	limit, whose := memoryLimit(os.ReadFile)
	need := m.bytes + min(m.bytes/2, coarseBytes) + workBytes + int64(d.cfg.CacheSize)
	both := need + m.bytes
	switch {
	case limit == 0:
		d.note("memory", "", "this system does not say how much there is; the models need about %s", size(need))
	case m.fsys == nil:
		d.ok("memory", "%s by the %s", size(limit), whose)
	case need > limit:
		d.problem("memory", "allow at least "+size(need)+", or serve a smaller model", "the models need about %s, and the %s is %s: the service would be stopped, or read its weights from disk all the time", size(need), whose, size(limit))
	case both > limit && d.cfg.ReloadMode != "replace":
		d.warn("memory", "set RELOAD_MODE=replace, or allow "+size(both), "one model fits in the %s of %s (it needs about %s) and two don't: a reload would be refused", whose, size(limit), size(need))
	default:
		d.ok("memory", "the %s is %s; the models need about %s, and %s while two are loaded", whose, size(limit), size(need), size(both))
	}
}

// memoryLimit is the smallest of the control groups' limits and the machine's memory, and whose it is; 0 if the system
// does not say.
func memoryLimit(read func(string) ([]byte, error)) (limit int64, whose string) {
	note := func(value string, unit int64, of string) {
		n, err := strconv.ParseInt(strings.TrimSpace(value), 10, 64) // an error is "max", or no limit
		if n = min(n, 1<<50) * unit; err == nil && n > 0 && (limit == 0 || n < limit) {
			limit, whose = n, of
		}
	}
	if info, err := read("/proc/meminfo"); err == nil {
		if fields := strings.Fields(string(info)); len(fields) > 1 && fields[0] == "MemTotal:" {
			note(fields[1], 1<<10, "machine's memory")
		}
	}
	groups, _ := read("/proc/self/cgroup")
	for lines := bufio.NewScanner(strings.NewReader(string(groups))); lines.Scan(); {
		fields := strings.SplitN(lines.Text(), ":", 3)
		if len(fields) != 3 {
			continue
		}
		file := "/sys/fs/cgroup%s/memory.max"
		if strings.Contains(","+fields[1]+",", ",memory,") {
			file = "/sys/fs/cgroup/memory%s/memory.limit_in_bytes"
		} else if fields[0] != "0" {
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			if value, err := read(path.Clean(strings.Replace(file, "%s", group, 1))); err == nil {
				note(string(value), 1, "container's limit")
			}
			if group == "/" {
				break
			}
		}
	}
	return limit, whose
}

// checkDisk looks whether the cache can be written and has room for the revisions that are kept.
func (d *doctor) checkDisk(m foundModels) {
	access := hubOptions(d.cfg, d.environ)
	if d.cfg.ModelDir != "" || access.Offline {
		return // nothing is downloaded
	}
	dir := access.CacheDir
	exists := nearest(dir)
	if !writable(exists) {
		report := d.problem
		if m.fsys != nil {
			report = d.warn
		}
		report("disk", "make it writable for user "+strconv.Itoa(os.Getuid())+", or set HF_HOME to a folder that is", "%s can't be written: models can't be downloaded", exists)
		return
	}
	var s unix.Statfs_t
	if unix.Statfs(exists, &s) != nil {
		return
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	switch {
	case m.dir != "" && free < m.bytes:
		d.warn("disk", "free "+size(m.bytes-free)+", or lower KEEP_REVISIONS", "%s has %s free, and one more revision needs %s", dir, size(free), size(m.bytes))
	case m.dir == "" && free < 5<<30:
		d.warn("disk", "allow some 5 GiB for NLLB-200 3.3B as int8, and as much for each revision kept", "%s has %s free for the first download", dir, size(free))
	default:
		d.ok("disk", "%s has %s free", dir, size(free))
	}
}

// hugePagesFile says, in brackets, for whom the system keeps memory in huge pages.
const hugePagesFile = "/sys/kernel/mm/transparent_hugepage/enabled"

// checkHugePages says whether weights can be read from huge pages.
func (d *doctor) checkHugePages(read func(string) ([]byte, error)) {
	modes, err := read(hugePagesFile)
	switch {
	case err != nil: // another system, or none at all: nothing can be done
	case strings.Contains(string(modes), "[never]"):
		d.note("huge pages", "write madvise to "+hugePagesFile, "they are off: where memory is fast, a token takes up to an eighth longer")
	default:
		d.ok("huge pages", "weights are read from them, where the file system keeps files in them (ext4 since Linux 6.16, XFS)")
	}
}

// checkCopies looks whether copies of MODEL_DIR's files, and of weights, can be written to where they go.
func (d *doctor) checkCopies() {
	dir := copyDir(d.cfg, hubOptions(d.cfg, d.environ))
	exists, whose := nearest(dir), "set MODEL_COPY_DIR to a folder on a disk that user "+strconv.Itoa(os.Getuid())+" may write to"
	switch {
	case d.cfg.ModelDir == "" && !d.cfg.WeightCopies:
	case writable(exists):
		d.ok("disk", "%s, where copies of weights and of MODEL_DIR's files go, can be written", dir)
	case d.cfg.ModelDir == "":
		d.warn("disk", whose+", or set WEIGHT_COPIES=false", "%s can't be written: copies of weights would go to %s, and without them a token takes up to a fourth longer", exists, dir)
	default:
		d.problem("disk", whose, "%s can't be written: MODEL_DIR's files are copied to %s before they serve", exists, dir)
	}
}

// writable tries it: permissions alone don't tell of read-only mounts.
func writable(dir string) bool {
	file, err := os.CreateTemp(dir, ".sema-doctor-*")
	if err != nil {
		return false
	}
	return errors.Join(file.Close(), os.Remove(file.Name())) == nil
}

// nearest is the closest folder above dir that exists.
func nearest(dir string) string {
	for {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir
		}
		dir = filepath.Dir(dir)
	}
}

// measuredBytes is how much memory the measurement of the read bandwidth reads.
const measuredBytes = 256 << 20

// checkSpeed opens the model, which proves that it can be served, and says how many tokens a second the memory allows:
// each token of a single request reads the decoder's weights once.
func (d *doctor) checkSpeed(m foundModels) {
	if limit, _ := memoryLimit(os.ReadFile); m.fsys == nil || limit > 0 && m.bytes+workBytes > limit {
		return
	}
	perToken, err := m.open(ctranslate2.Options{ComputeType: d.cfg.ComputeType, Threads: d.cfg.IntraThreads})
	if err != nil {
		d.problem("models", "get the files again, or serve others", "%s can't be served: %v", m.source, err)
		return
	}
	threads := d.cfg.IntraThreads
	if threads == 0 {
		threads = kernels.DefaultThreads()
	}
	executor := kernels.NewExecutor(threads)
	defer executor.Close()
	bandwidth := kernels.ReadBandwidth(executor, measuredBytes)
	tokens := bandwidth / float64(perToken)
	says := "at most %.0f tokens a second for one request at beam size 1: memory is read at %.1f GB/s now, and a token reads %s of weights. Requests at once share the reading"
	if tokens < 5 {
		d.warn("speed", "serve a smaller model, such as NLLB-200 600M or 1.3B, or use a machine with faster memory", says, tokens, bandwidth/1e9, size(perToken))
		return
	}
	if perToken < 64<<20 {
		says += "; so small a model fits the processor's caches and may be faster or bound by computing"
	}
	d.note("speed", "`sema bench` measures it", says, tokens, bandwidth/1e9, size(perToken))
}

// open opens and closes everything, and returns how many bytes of weights a token reads.
func (m foundModels) open(options ctranslate2.Options) (perToken int64, err error) {
	whole := func() (*translate.Pipeline, error) { return translate.Open(m.dir, translate.Options{Runtime: options}) }
	model := func() (*ctranslate2.Translator, error) {
		return ctranslate2.Open(filepath.Join(m.dir, filepath.FromSlash(m.files.Model)), options)
	}
	if m.dir == "" {
		whole = func() (*translate.Pipeline, error) {
			return translate.OpenFS(m.fsys, ".", translate.Options{Runtime: options})
		}
		model = func() (*ctranslate2.Translator, error) { return ctranslate2.OpenFS(m.fsys, m.files.Model, options) }
	}
	pipeline, err := whole()
	if err != nil {
		return 0, err
	}
	if err := pipeline.Close(); err != nil {
		return 0, err
	}
	translator, err := model()
	if err != nil {
		return 0, err
	}
	return translator.StepBytes(1, true), translator.Close()
}
