package hub_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
)

// TestRetriesAreToldOnce: who polls a Hub that stays away hears of it at the first poll, and again when it went away anew.
func TestRetriesAreToldOnce(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	var log bytes.Buffer
	c := client(t, s, func(o *hub.Options) { o.Retries, o.Logger = 2, slog.New(slog.NewTextHandler(&log, nil)) })
	poll := func(fails bool) int {
		t.Helper()
		log.Reset()
		if _, err := c.Resolve(ctx, repo, "main"); (err != nil) != fails {
			t.Error(err)
		}
		return strings.Count(log.String(), "level=WARN msg=hub_retry")
	}
	for range 2 {
		s.Fault("/revision/", hubtest.Fault{Status: 503})
		for i, want := range []int{2, 0, 0} {
			if got := poll(true); got != want {
				t.Errorf("poll %d: %d warnings, want %d", i, got, want)
			}
		}
		s.Heal()
		poll(false)
	}
}

// TestPrivateRepositoryIsExplained: the Hub answers alike for a repository that
// is private and for one that is missing. With a token that may not read it the
// status is another.
func TestPrivateRepositoryIsExplained(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.RequireToken(repo, "hf_verysecret")
	explained := func(what string, c *hub.Client, repo string) {
		t.Helper()
		_, err := c.Resolve(ctx, repo, "main")
		if !errors.Is(err, hub.ErrNotFound) || !strings.Contains(err.Error(), "does not exist, or it is private") || !strings.Contains(err.Error(), "HF_TOKEN") {
			t.Errorf("%s: %v", what, err)
		}
	}
	explained("private, without a token", client(t, s), repo)
	explained("missing", client(t, s), "sematech/nothing")
	s.Fault("/revision/", hubtest.Fault{Status: 404, Header: map[string]string{"X-Error-Code": "RepoNotFound"}})
	explained("private, with another's token", client(t, s, func(o *hub.Options) { o.Token = "hf_other" }), repo)
	s.Heal()
	s.Fault("/revision/", hubtest.Fault{Status: 404, Header: map[string]string{"X-Error-Code": "RevisionNotFound"}})
	if _, err := client(t, s).Resolve(ctx, repo, "main"); !errors.Is(err, hub.ErrNotFound) || strings.Contains(err.Error(), "HF_TOKEN") {
		t.Errorf("a missing revision: %v", err)
	}
}

// TestTricklingAnswer: an answer that comes, but never ends, is given up.
func TestTricklingAnswer(t *testing.T) {
	s := hubtest.New(t)
	s.Commit(repo, "main", models())
	s.Fault("/revision/", hubtest.Fault{Status: 200, Body: strings.Repeat(" ", 100_000), BytesPerSecond: 1000})
	c := client(t, s, func(o *hub.Options) { o.Timeout, o.Retries = 100*time.Millisecond, 1 })
	begin := time.Now()
	if _, err := c.Resolve(ctx, repo, "main"); !errors.Is(err, hub.ErrUnavailable) || time.Since(begin) > 20*time.Second {
		t.Errorf("%v after %v", err, time.Since(begin))
	}
}
