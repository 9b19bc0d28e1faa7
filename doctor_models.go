package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/sematech/sema/config"
	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/translate"
)

// hubTimeout bounds the doctor's one request to the Hub.
const hubTimeout = 5 * time.Second

// foundModels are the models that the service would serve first.
type foundModels struct {
	source string // for people: a folder, a snapshot or the demo
	dir    string // "" if they are not on disk
	files  translate.Files
	fsys   fs.FS // nil: there are none
	bytes  int64
}

// checkModels looks for the models in the order in which the service does: the folder, the cache and the Hub, the demo.
func (d *doctor) checkModels(ctx context.Context) foundModels {
	if dir := d.cfg.ModelDir; dir != "" {
		m, err := findModels(dir, "MODEL_DIR "+dir)
		if err != nil {
			d.problem("models", "correct MODEL_DIR, or put model.bin, a SentencePiece model and a fastText model there", "MODEL_DIR: %v", err)
			return foundModels{}
		}
		d.ok("models", "%s: %s", m.source, size(m.bytes))
		return m
	}
	cached, found := d.checkCache()
	reachable := d.checkHub(ctx, found)
	switch {
	case found:
		return cached
	case reachable:
		d.note("models", "", "none are cached: the first start downloads %s, and /ready answers 503 until then", d.cfg.ModelRepo)
	case d.cfg.DemoFallback:
		d.warn("models", "make the Hub reachable, `sema pull` where it is, or set MODEL_DIR", "there are no models but the embedded demo, which knows three languages")
	default:
		d.problem("models", "make the Hub reachable, `sema pull` where it is, set MODEL_DIR, or set DEMO_FALLBACK=true", "there are no models to serve: none are cached, the Hub can't be asked, and DEMO_FALLBACK is off")
		return foundModels{}
	}
	if !d.cfg.DemoFallback {
		return foundModels{}
	}
	m := foundModels{source: "the embedded demo", fsys: demo.Models()}
	m.files, _ = translate.FindFiles(m.fsys, translate.Options{})
	m.bytes = modelBytes(m.fsys, m.files)
	return m
}

// findModels looks for models in a folder.
func findModels(dir, source string) (foundModels, error) {
	m := foundModels{source: source, dir: dir, fsys: os.DirFS(dir)}
	if _, err := os.Stat(dir); err != nil {
		return m, err
	}
	var err error
	if m.files, err = translate.FindFiles(m.fsys, translate.Options{}); err != nil {
		return m, err
	}
	m.bytes = modelBytes(m.fsys, m.files)
	return m, nil
}

// modelBytes is the size of the files that are loaded.
func modelBytes(fsys fs.FS, f translate.Files) int64 {
	total := int64(0)
	for _, name := range []string{path.Join(f.Model, "model.bin"), f.SourceTokenizer, f.TargetTokenizer, f.Detector} {
		if info, err := fs.Stat(fsys, name); name != "" && err == nil {
			total += info.Size()
		}
	}
	return total
}

// checkCache says what the cache has of the repository, and returns the models of the configured revision.
func (d *doctor) checkCache() (foundModels, bool) {
	access, repo := hubOptions(d.cfg, d.environ), d.cfg.ModelRepo
	dir := access.CacheDir
	access.Offline = true
	client, err := hub.New(access)
	if err != nil {
		d.problem("cache", "correct HF_ENDPOINT and MODEL_CACHE_DIR", "%v", err)
		return foundModels{}, false
	}
	snapshots, _ := os.ReadDir(filepath.Join(dir, "models--"+strings.ReplaceAll(repo, "/", "--"), "snapshots"))
	snapshot, err := client.Cached(repo, d.cfg.ModelRevision)
	var m foundModels
	var unusable error
	if err == nil {
		m, unusable = findModels(snapshot.Dir, repo+" at "+snapshot.Commit[:12])
	}
	switch {
	case errors.Is(err, hub.ErrIncomplete), snapshot.Unlisted && unusable != nil:
		d.warn("cache", "let the service finish the download, or `sema pull`", "%s has %d snapshot(s) of %s, and that of %s is not complete", dir, len(snapshots), repo, d.cfg.ModelRevision)
		return foundModels{}, false
	case err != nil:
		d.note("cache", "", "%s has %d snapshot(s) of %s and none that is known as %s", dir, len(snapshots), repo, d.cfg.ModelRevision)
		return foundModels{}, false
	case unusable != nil:
		d.problem("cache", "check what the repository has", "%s of %s is cached, and can't be served: %v", d.cfg.ModelRevision, repo, unusable)
		return foundModels{}, false
	}
	d.ok("cache", "%s has %d snapshot(s) of %s; %s is %s, %s", dir, len(snapshots), repo, d.cfg.ModelRevision, snapshot.Commit[:12], size(m.bytes))
	return m, true
}

// checkHub asks the Hub for the revision with one HEAD request. cached says that there are models without it.
func (d *doctor) checkHub(ctx context.Context, cached bool) bool {
	access := hubOptions(d.cfg, d.environ)
	if access.Offline {
		d.note("hub", "", "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE): it is never asked, so that no new revision is seen")
		return false
	}
	status, err := d.askHub(ctx, access.Token)
	endpoint := config.Redacted(d.cfg.HFEndpoint)
	switch {
	case err != nil:
		d.warn("hub", "allow the connection, set HTTPS_PROXY, or set HF_HUB_OFFLINE=true to stop asking", "%s can't be reached: %v", endpoint, err)
		return false
	case status < 400:
		d.ok("hub", "%s answers, and %s at %s is there", endpoint, d.cfg.ModelRepo, d.cfg.ModelRevision)
		return true
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusNotFound:
		says := "without HF_TOKEN"
		if access.Token != "" {
			says = "with this HF_TOKEN (or the token of its file)"
		}
		report := d.warn
		if !cached && !d.cfg.DemoFallback {
			report = d.problem
		}
		report("hub", "correct MODEL_REPO and MODEL_REVISION, or set HF_TOKEN to a token that may read the repository", "%s answers %d for %s at %s %s: it does not exist, or it is private", endpoint, status, d.cfg.ModelRepo, d.cfg.ModelRevision, says)
		return false
	}
	d.warn("hub", "try again later", "%s answers %d", endpoint, status)
	return false
}

// askHub returns the status of a HEAD request. Its error shows neither the token nor the address.
func (d *doctor) askHub(ctx context.Context, token string) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, hubTimeout)
	defer cancel()
	address := strings.TrimSuffix(d.cfg.HFEndpoint, "/") + "/api/models/" + d.cfg.ModelRepo + "/revision/" + url.PathEscape(d.cfg.ModelRevision)
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, address, nil)
	if err != nil {
		return 0, errors.New("HF_ENDPOINT, MODEL_REPO and MODEL_REVISION make no address")
	}
	if token != "" {
		request.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	response, err := client.Do(request)
	var failed *url.Error
	if errors.As(err, &failed) {
		return 0, failed.Err
	}
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// checkLicences says what the models' licences allow.
func (d *doctor) checkLicences(m foundModels) {
	name := strings.ToLower(d.cfg.ModelRepo)
	if m.fsys != nil {
		name = strings.ToLower(m.source + "/" + m.files.Model)
	}
	switch {
	case m.fsys != nil && m.dir == "":
		d.ok("licence", "the embedded demo is MIT, models and data")
		return
	case strings.Contains(name, "nllb"), strings.Contains(name, "sema-utils"), strings.Contains(name, "sematrans"):
		d.note("licence", "for commercial use, serve a model whose licence allows it", "by their name these are NLLB-200's weights: CC-BY-NC-4.0, not for commercial use")
	default:
		says := "not stated beside the model"
		if l := statedLicence(m.fsys); l != "" {
			says = l + ", as its README says"
		}
		d.note("licence", "", "of the translation model: %s", says)
	}
	switch detector := strings.ToLower(path.Base(m.files.Detector)); {
	case strings.HasPrefix(detector, "lid.176"):
		d.note("licence", "name fastText as the source", "lid.176 is CC-BY-SA-3.0")
	case strings.HasPrefix(detector, "lid218"):
		d.note("licence", "for commercial use, serve another detector, such as lid.176", "lid218e is CC-BY-NC-4.0: not for commercial use")
	}
}

// statedLicence is that of the front matter of README.md, "" if there is none.
func statedLicence(fsys fs.FS) string {
	if fsys == nil {
		return ""
	}
	file, err := fsys.Open("README.md")
	if err != nil {
		return ""
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for n := 0; lines.Scan() && n < 100 && (n == 0) == (lines.Text() == "---"); n++ {
		if licence, found := strings.CutPrefix(lines.Text(), "license:"); found {
			return strings.TrimSpace(licence)
		}
	}
	return ""
}

// size prints bytes for people.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%d KiB", (n+1023)>>10)
}
