package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"github.com/sematech/sema/hub"
)

// runPull is `sema pull`: it downloads models into the cache, so that a service
// that starts there needs no network.
func runPull(ctx context.Context, args []string, std stdio) error {
	fs := newFlags("pull", std.err, "[options] [REPO[@REV]]", "Downloads a repository of the Hugging Face Hub (MODEL_REPO at MODEL_REVISION if none is named) and prints the folder of its files.")
	cache := fs.String("cache", "", "`folder` of the cache (as MODEL_CACHE_DIR; the Python client's if neither is set)")
	quiet := fs.Bool("quiet", false, "show no progress")
	var include []string
	fs.Func("include", "only files that match the `pattern`, such as '*.bin' or translation/; may be given again", func(p string) error {
		include = append(include, p)
		return nil
	})
	if err := fs.Parse(args); err != nil {
		return err
	}
	if fs.NArg() > 1 {
		return usageError("pull: one repository, after the options, not %q", fs.Args())
	}
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return err
	}
	repo, revision := cfg.ModelRepo, cfg.ModelRevision
	if fs.NArg() == 1 {
		repo, revision, _ = strings.Cut(fs.Arg(0), "@")
		if revision == "" {
			revision = "main"
		}
	}
	o := hubOptions(cfg, os.Environ())
	o.CacheDir = cmp.Or(*cache, o.CacheDir)
	p := &pullProgress{out: std.err, terminal: isTerminal(std.err)}
	if !*quiet {
		o.Progress, o.Logger = p.show, slog.New(slog.NewTextHandler(p, nil))
	}
	client, err := hub.New(o)
	if err != nil {
		return err
	}
	snapshot, err := client.Download(ctx, repo, revision, include...)
	p.end()
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, snapshot.Dir)
	return err
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// pullProgress shows a download: a bar on a terminal, else a line for each tenth.
type pullProgress struct {
	mu       sync.Mutex
	out      io.Writer
	terminal bool
	begun    time.Time
	shown    time.Time // when the bar was drawn
	tenth    int64     // of the last line
	drawn    bool      // the cursor is at the end of the bar
}

// barWidth is the bar's length in characters.
const barWidth = 30

func (p *pullProgress) show(at hub.Progress) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	if p.begun.IsZero() {
		p.begun = now
	}
	share := float64(at.Done) / float64(max(at.Total, 1))
	text := fmt.Sprintf("%3.0f%%  %s of %s  %s/s", 100*share, size(at.Done), size(at.Total), size(rate(at.Downloaded, now.Sub(p.begun))))
	tenth := int64(10 * share)
	switch {
	case p.terminal && (now.Sub(p.shown) > 100*time.Millisecond || at.Done == at.Total):
		filled := int(barWidth * share)
		fmt.Fprintf(p.out, "\r\x1b[K[%s%s] %s", strings.Repeat("#", filled), strings.Repeat(".", barWidth-filled), text)
		p.shown, p.drawn = now, true
	case !p.terminal && tenth > p.tenth:
		fmt.Fprintf(p.out, "pull: %s  %s\n", at.Repo, strings.TrimSpace(text))
		p.tenth = tenth
	}
}

// Write writes a line of the log, on a line of its own.
func (p *pullProgress) Write(line []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
	return p.out.Write(line)
}

// end leaves the bar's line.
func (p *pullProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprintln(p.out)
	}
}

func rate(bytes int64, d time.Duration) int64 {
	if d < time.Millisecond {
		return 0
	}
	return int64(float64(bytes) / d.Seconds())
}
