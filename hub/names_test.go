package hub_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

func TestNoHub(t *testing.T) {
	c, err := hub.New(hub.Options{Endpoint: "http://127.0.0.1:1", CacheDir: t.TempDir(), Backoff: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Download(ctx, repo, "main"); !errors.Is(err, hub.ErrUnavailable) {
		t.Error(err)
	}
	for _, endpoint := range []string{"huggingface.co", "ftp://x", "http://", "http://a b"} {
		if _, err := hub.New(hub.Options{Endpoint: endpoint, CacheDir: "x"}); err == nil {
			t.Errorf("%q is accepted", endpoint)
		}
	}
	if _, err := hub.New(hub.Options{}); err == nil {
		t.Error("no cache folder is accepted")
	}
}

func TestNames(t *testing.T) {
	s := hubtest.New(t)
	c := client(t, s)
	for _, name := range []string{"", "..", "../x", "a/../b", "a/b/c", "/a", "a//b", "a--b/c", "-a/b", "a/b?x", "a/b\n", strings.Repeat("a", 200)} {
		if hub.CheckRepo(name) == nil {
			t.Errorf("%q is the name of a repository", name)
		}
		if _, err := c.Download(ctx, name, "main"); err == nil {
			t.Errorf("the repository %q is accepted", name)
		}
		if _, err := c.Prune(name, 1); err == nil {
			t.Errorf("the repository %q is pruned", name)
		}
	}
	for _, revision := range []string{"", "..", "../../x", "a/../b", "/etc", "a//b", "a/", "a/./b", "-x", "a b", "a\x00"} {
		if hub.CheckRevision(revision) == nil {
			t.Errorf("%q is the name of a revision", revision)
		}
		if _, err := c.Resolve(ctx, repo, revision); err == nil {
			t.Errorf("the revision %q is accepted", revision)
		}
		if _, err := c.Cached(repo, revision); err == nil {
			t.Errorf("the revision %q is in the cache", revision)
		}
	}
	if len(s.Requests()) != 0 {
		t.Errorf("%+v", s.Requests())
	}
	sha := s.Commit(repo, "refs/pr/1", models())
	if got, err := c.Resolve(ctx, repo, "refs/pr/1"); got != sha || err != nil {
		t.Error(got, err)
	}
}

func TestEnvironment(t *testing.T) {
	env := func(pairs ...string) func(string) string {
		return func(name string) string {
			for i := 0; i < len(pairs); i += 2 {
				if pairs[i] == name {
					return pairs[i+1]
				}
			}
			return ""
		}
	}
	for _, test := range []struct {
		env  []string
		want string
	}{
		{[]string{"HF_HUB_CACHE", "/a", "HUGGINGFACE_HUB_CACHE", "/b", "HF_HOME", "/c"}, "/a"},
		{[]string{"HUGGINGFACE_HUB_CACHE", "/b", "HF_HOME", "/c"}, "/b"},
		{[]string{"HF_HOME", "/c", "XDG_CACHE_HOME", "/d"}, "/c/hub"},
		{[]string{"XDG_CACHE_HOME", "/d", "HOME", "/e"}, "/d/huggingface/hub"},
		{[]string{"HOME", "/e"}, "/e/.cache/huggingface/hub"},
		{[]string{"HF_HOME", "~/f", "HOME", "/e"}, "/e/f/hub"},
	} {
		if got := hub.CacheDir(env(test.env...)); got != test.want {
			t.Errorf("%q: %s, want %s", test.env, got, test.want)
		}
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("of_file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := hub.Token(env("HF_TOKEN", " of_env\n", "HF_TOKEN_PATH", file)); got != "of_env" {
		t.Error(got)
	}
	if got := hub.Token(env("HF_HOME", filepath.Dir(file))); got != "of_file" {
		t.Error(got)
	}
	if got := hub.Token(env("HF_TOKEN_PATH", "/nowhere")); got != "" {
		t.Error(got)
	}
	if hub.Offline(env("HF_HUB_OFFLINE", "0", "TRANSFORMERS_OFFLINE", "1")) || !hub.Offline(env("TRANSFORMERS_OFFLINE", "yes")) {
		t.Error("offline is not as the environment says")
	}
}
