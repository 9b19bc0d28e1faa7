package hub

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// repoDir is the folder of a repository in the cache.
func (c *Client) repoDir(repo string) string {
	return filepath.Join(c.opts.CacheDir, "models--"+strings.ReplaceAll(repo, "/", "--"))
}

func (c *Client) snapshotDir(repo, commit string) string {
	return filepath.Join(c.repoDir(repo), "snapshots", commit)
}

// cachedCommit returns the commit that a revision named when it was last seen.
func (c *Client) cachedCommit(repo, revision string) (string, error) {
	if IsCommit(revision) {
		return revision, nil
	}
	data, err := os.ReadFile(filepath.Join(c.repoDir(repo), "refs", filepath.FromSlash(revision)))
	commit := strings.TrimSpace(string(data))
	if err != nil || !IsCommit(commit) {
		return "", fmt.Errorf("%w: the cache %s does not know revision %s of %s", ErrOffline, c.opts.CacheDir, revision, repo)
	}
	return commit, nil
}

// writeRef notes which commit a revision names.
func (c *Client) writeRef(repo, revision, commit string) error {
	if revision == commit {
		return nil
	}
	path := filepath.Join(c.repoDir(repo), "refs", filepath.FromSlash(revision))
	if data, err := os.ReadFile(path); err == nil && string(data) == commit {
		return nil
	}
	return writeFile(c.repoDir(repo), path, []byte(commit))
}

// writeFile writes a file under a name of its own and renames it, so that a
// reader never sees a part and a crash leaves the old content or the new. The
// name is in the folder tmp, where a crash may leave it: among the references
// the Python client would take it for one.
func writeFile(tmp, path string, data []byte) error {
	if err := errors.Join(os.MkdirAll(tmp, 0o755), os.MkdirAll(filepath.Dir(path), 0o755)); err != nil {
		return fmt.Errorf("hub: write %s: %w", path, diskError(err))
	}
	f, err := os.CreateTemp(tmp, "*"+tmpSuffix)
	if err != nil {
		return fmt.Errorf("hub: write %s: %w", path, diskError(err))
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("hub: write %s: %w", path, diskError(err))
	}
	return nil
}

const tmpSuffix = ".tmp"

// treeFormat is the version of the listing that huggingface_hub keeps beside
// the snapshots. It tells, without a request, whether a snapshot is complete.
const treeFormat = 1

type treeListing struct {
	FormatVersion int                      `json:"format_version"`
	Files         map[string]treeEntryFile `json:"files"`
}

type treeEntryFile struct {
	Size      int64  `json:"size"`
	BlobID    string `json:"blob_id"`
	LFSSHA256 string `json:"lfs_sha256,omitempty"`
	LFSSize   int64  `json:"lfs_size,omitempty"`
}

func (c *Client) treePath(repo, commit string) string {
	return filepath.Join(c.repoDir(repo), "trees", commit+".json")
}

func (c *Client) writeTree(repo, commit string, files []File) error {
	t := treeListing{treeFormat, map[string]treeEntryFile{}}
	for _, f := range files {
		e := treeEntryFile{Size: f.Size, BlobID: f.BlobID, LFSSHA256: f.SHA256}
		if f.SHA256 != "" {
			e.LFSSize = f.Size
		}
		t.Files[f.Path] = e
	}
	data, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	return writeFile(c.repoDir(repo), c.treePath(repo, commit), data)
}

// readTree returns the cached listing of a commit, or nil if there is none that
// can be used.
func (c *Client) readTree(repo, commit string) []File {
	data, err := os.ReadFile(c.treePath(repo, commit))
	if err != nil {
		return nil
	}
	return parseTree(data)
}

func parseTree(data []byte) []File {
	var t treeListing
	if json.Unmarshal(data, &t) != nil || t.FormatVersion != treeFormat {
		return nil
	}
	files := make([]File, 0, len(t.Files))
	for path, e := range t.Files {
		f := File{Path: path, Size: e.Size, BlobID: e.BlobID, SHA256: e.LFSSHA256}
		if f.SHA256 != "" {
			f.Size = e.LFSSize
		}
		if f.check() != nil {
			return nil
		}
		files = append(files, f)
	}
	sortFiles(files)
	if checkFiles(files) != nil {
		return nil
	}
	return files
}

func sortFiles(files []File) {
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
}

// Snapshot is a commit's files in the cache.
type Snapshot struct {
	Repo   string
	Commit string
	Dir    string // the files under their paths, as symbolic links
	Files  []File // those that were asked for
	// Unlisted: the cache has no listing of the commit. Older Python clients keep
	// none, nor does one that is asked for a single file, so that this may be a part.
	Unlisted bool
}

// Cached returns the snapshot of a revision from the cache, without a request.
// The error wraps ErrOffline if there is none and ErrIncomplete if files are
// missing or have another size than they should, or if there is no listing that
// tells, but for a client that could not ask for one.
func (c *Client) Cached(repo, revision string, allow ...string) (Snapshot, error) {
	s, err := c.AnyCached(repo, revision, allow...)
	if err == nil && s.Unlisted && !c.opts.Offline {
		err = fmt.Errorf("%w: there is no listing of %s at %s that tells whether all is there", ErrIncomplete, repo, s.Commit)
	}
	return s, err
}

// AnyCached is Cached for who would rather have a part than nothing: of what is
// not listed it returns what is there.
func (c *Client) AnyCached(repo, revision string, allow ...string) (Snapshot, error) {
	if err := check(repo, revision); err != nil {
		return Snapshot{}, err
	}
	commit, err := c.cachedCommit(repo, revision)
	if err != nil {
		return Snapshot{}, err
	}
	s := Snapshot{Repo: repo, Commit: commit, Dir: c.snapshotDir(repo, commit)}
	if _, err := os.Stat(s.Dir); err != nil {
		return Snapshot{}, fmt.Errorf("%w: the cache has no snapshot %s of %s", ErrOffline, commit, repo)
	}
	if files := c.readTree(repo, commit); files != nil {
		s.Files = filter(files, allow)
		return s, s.complete()
	}
	s.Unlisted = true
	files, err := found(s.Dir)
	if s.Files = filter(files, allow); err == nil && len(s.Files) == 0 {
		err = fmt.Errorf("%w: no file of %s at %s is there", ErrIncomplete, repo, commit)
	}
	return s, err
}

// complete reports the first file that is not there as it should be.
func (s Snapshot) complete() error {
	for _, f := range s.Files {
		info, err := os.Stat(filepath.Join(s.Dir, filepath.FromSlash(f.Path)))
		if err != nil {
			return fmt.Errorf("%w: %s of %s at %s is missing", ErrIncomplete, f.Path, s.Repo, s.Commit)
		}
		if info.Size() != f.Size {
			return fmt.Errorf("%w: %s of %s at %s has %d bytes of %d", ErrIncomplete, f.Path, s.Repo, s.Commit, info.Size(), f.Size)
		}
	}
	return nil
}

// found returns the files below a snapshot's folder, sorted.
func found(dir string) ([]File, error) {
	var files []File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("%w: %s points nowhere", ErrIncomplete, path)
		}
		rel, err := filepath.Rel(dir, path)
		files = append(files, File{Path: filepath.ToSlash(rel), Size: info.Size()})
		return err
	})
	sortFiles(files)
	return files, err
}

// link makes a file of the snapshot a relative link to its blob, whose lock the
// caller has.
func (c *Client) link(repo, commit string, f File) error {
	dst := filepath.Join(c.snapshotDir(repo, commit), filepath.FromSlash(f.Path))
	if err := os.MkdirAll(filepath.Dir(dst), 0o755); err != nil {
		return fmt.Errorf("hub: link %s: %w", f.Path, diskError(err))
	}
	target, err := filepath.Rel(filepath.Dir(dst), c.blobPath(repo, f))
	if err != nil {
		return err
	}
	if now, err := os.Readlink(dst); err == nil && now == target {
		return nil
	}
	// A link is replaced by a rename: no moment without it. In the repository's
	// folder, a link that a crash leaves behind is taken for no file of the
	// snapshot and for no blob.
	tmp := filepath.Join(c.repoDir(repo), f.etag()+".link"+tmpSuffix)
	_ = os.Remove(tmp)
	if err := os.Symlink(target, tmp); err != nil {
		return fmt.Errorf("hub: link %s: %w", f.Path, diskError(err))
	}
	if err := os.Rename(tmp, dst); err != nil {
		return fmt.Errorf("hub: link %s: %w", f.Path, diskError(err))
	}
	return nil
}

func (c *Client) blobPath(repo string, f File) string {
	return filepath.Join(c.repoDir(repo), "blobs", f.etag())
}

// locksDir is the folder of a repository's locks.
func (c *Client) locksDir(repo string) string {
	return filepath.Join(c.opts.CacheDir, ".locks", filepath.Base(c.repoDir(repo)))
}

// Hold keeps a commit's snapshot from being pruned, by this process or another
// one on the same cache, until release is called or the process ends. It waits
// for whoever is removing it, but not longer than ctx.
func (c *Client) Hold(ctx context.Context, repo, commit string) (release func(), err error) {
	if err := check(repo, commit); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.locksDir(repo), 0o755); err != nil {
		return nil, fmt.Errorf("hub: hold %s of %s: %w", commit, repo, diskError(err))
	}
	return lockFile(ctx, c.holdPath(repo, commit), shared)
}

func (c *Client) holdPath(repo, commit string) string {
	return filepath.Join(c.locksDir(repo), commit+".snapshot.lock")
}

// cacheTag marks the folder for backup programs, as the Python client does.
const cacheTag = "Signature: 8a477f597d28d172789f06886806bc55\n# Models of the Hugging Face Hub, which can be downloaded again. See https://bford.info/cachedir/\n"

func (c *Client) tagCache() {
	path := filepath.Join(c.opts.CacheDir, "CACHEDIR.TAG")
	if _, err := os.Lstat(path); err == nil {
		return
	}
	if err := writeFile(filepath.Join(c.opts.CacheDir, ".locks"), path, []byte(cacheTag)); err != nil {
		c.opts.Logger.Warn("hub_cache_not_tagged", "reason", err.Error())
	}
}
