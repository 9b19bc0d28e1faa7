package reload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
)

// loading is the attempt under way, for reports.
type loading struct {
	trigger, revision, step string
	done, total, received   int64
	told, logged            time.Time // of the last event and the last line about the download
}

// failure is an attempt that failed.
type failure struct {
	revision, source, step, reason string
	at                             time.Time
	lasting                        bool // the same commit would fail again
}

// rememberedFailures bounds the list of failures.
const rememberedFailures = 8

// knownFailure says that a commit failed before and was not tried again.
type knownFailure struct{ failure }

func (e *knownFailure) Error() string {
	return fmt.Sprintf("reload: %s failed before and is not tried again until asked: %s", e.revision, e.reason)
}

// lasting reports whether the commit is at fault, rather than the network, the
// disk or the memory, which may be better next time. What may be a part can be
// whole then. Requests that would not end when models were to be replaced count
// too, as does a part there: each attempt costs a gap.
func (a *attempt) lasting(step string, err error) bool {
	if a.part && a.outcome.Gap == 0 {
		return false
	}
	switch step {
	case stepOpen, stepWarm, stepCanary, stepDrain, stepRollback:
		return true
	}
	return errors.Is(err, hub.ErrChecksum)
}

// enter notes the step that an attempt is at; nil: there is none.
func (c *Controller) enter(a *attempt, step string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a == nil {
		c.loading = nil
		return
	}
	c.loading = &loading{trigger: a.request.Trigger, revision: a.outcome.Revision, step: step}
}

// How often a download makes an event, and a line in the log.
const (
	progressEvery    = 500 * time.Millisecond
	progressLogEvery = 10 * time.Second
)

// progress notes how far the Hub's client is with a download.
func (c *Controller) progress(p hub.Progress) {
	c.mu.Lock()
	l := c.loading
	if l == nil {
		c.mu.Unlock()
		return
	}
	c.opts.Metrics.Downloaded(p.Downloaded - l.received)
	l.done, l.total, l.received = p.Done, p.Total, p.Downloaded
	if time.Since(l.told) >= progressEvery {
		l.told = time.Now()
		c.events.emit(modelstore.Event{Trigger: l.trigger, Step: l.step, Revision: l.revision, Done: p.Done, Total: p.Total})
	}
	logs := p.Downloaded > 0 && time.Since(l.logged) >= progressLogEvery
	if logs {
		l.logged = time.Now()
	}
	revision := l.revision
	c.mu.Unlock()
	if logs { // without the lock: who reads the log may be slow
		c.logProgress(revision, p)
	}
}

func (c *Controller) logProgress(revision string, p hub.Progress) {
	c.opts.Log.WithFields(logrus.Fields{
		"source": p.Repo, "model_version": revision, "done_bytes": p.Done, "total_bytes": p.Total, "percent": 100 * p.Done / max(p.Total, 1),
	}).Info("download_progress")
}

// finish ends an attempt. Its failure is remembered, and counts for the
// back-off unless the commit is to blame.
func (a *attempt) finish(ctx context.Context, err error) (modelstore.Outcome, error) {
	if err != nil && ctx.Err() != nil {
		return a.breakOff(ctx)
	}
	var known *knownFailure
	if errors.As(err, &known) {
		a.c.idleAgain(0)
		a.outcome.Result, a.outcome.Step, a.outcome.Error = failed, known.step, known.Error()
		return a.outcome, fmt.Errorf("%w: %w", modelstore.ErrReloadFailed, known)
	}
	err = a.tell(err)
	retry := 0
	if err == nil {
		a.c.forgive(a.outcome.Revision)
	} else {
		f := failure{a.outcome.Revision, a.c.source.name(), a.outcome.Step, a.outcome.Error, time.Now().UTC(), a.lasting(a.outcome.Step, err)}
		a.c.remember(f)
		if !f.lasting || a.c.serving() == nil {
			retry = 1
		}
	}
	a.discard(retry > 0)
	a.c.idleAgain(retry)
	return a.outcome, err
}

// tell reports the end of an attempt to the log, the metrics and the events.
func (a *attempt) tell(err error) error {
	a.outcome.Seconds = time.Since(a.began).Seconds()
	if err != nil {
		at := &stepError{stepOpen, err}
		errors.As(err, &at)
		a.outcome.Result, a.outcome.Step, a.outcome.Error = failed, at.step, err.Error()
		a.logEnd().WithField("step", at.step).WithError(err).Log(a.level(), "reload_failed")
		err = fmt.Errorf("%w at step %s: %w", modelstore.ErrReloadFailed, at.step, err)
		if _, isHub := a.c.source.(*hubSource); !isHub {
			err = fmt.Errorf("%w: %w", err, modelstore.ErrNoHub)
		}
	} else if a.outcome.Gap > 0 {
		a.logEnd().Info("models_replaced")
	}
	a.c.opts.Metrics.Reload(a.request.Trigger, a.outcome.Result, a.outcome.Step)
	a.c.events.emit(modelstore.Event{
		Trigger: a.request.Trigger, Step: stepDone, Result: a.outcome.Result, Revision: a.outcome.Revision, Error: a.outcome.Error,
		Seconds: a.outcome.Seconds, Gap: a.outcome.Gap,
	})
	return err
}

// logEnd is the log with how long the attempt took, and for how long nothing
// served, if that was so.
func (a *attempt) logEnd() *logrus.Entry {
	log := a.log().WithField("seconds", a.outcome.Seconds)
	if a.outcome.Gap > 0 {
		log = log.WithField("gap_seconds", a.outcome.Gap)
	}
	return log
}

// level is that of the log line of a failure. What polling finds again and again
// while a Hub is away is no news, and no error that there is nothing yet where the
// demo takes the place.
func (a *attempt) level() logrus.Level {
	if a.request.Trigger == "start" && a.outcome.Step == stepResolve && a.c.opts.Demo != nil {
		return logrus.WarnLevel
	}
	f, known := a.c.failure(a.outcome.Revision)
	if known && a.request.Trigger == "poll" && f.step == a.outcome.Step && f.reason == a.outcome.Error {
		return logrus.DebugLevel
	}
	return logrus.ErrorLevel
}

// idleAgain notes that no attempt is under way, and whether the last one is to
// be tried again.
func (c *Controller) idleAgain(retry int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loading = nil
	c.retries = (c.retries + retry) * retry
}

// remember adds a failure, in the place of an earlier one of the same revision.
func (c *Controller) remember(f failure) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = slices.DeleteFunc(c.failed, func(x failure) bool { return x.revision == f.revision || x.revision == "" })
	c.failed = append(c.failed, f)
	if n := len(c.failed) - rememberedFailures; n > 0 {
		c.failed = slices.Delete(c.failed, 0, n)
	}
}

// forgive drops the failure of a revision that is good after all, and those of
// a source that could not be asked.
func (c *Controller) forgive(revision string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failed = slices.DeleteFunc(c.failed, func(x failure) bool { return x.revision == revision || x.revision == "" })
}

// failure returns how a revision failed.
func (c *Controller) failure(revision string) (failure, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.IndexFunc(c.failed, func(f failure) bool { return f.revision == revision })
	if i < 0 {
		return failure{}, false
	}
	return c.failed[i], true
}

// serving returns what serves, nil if nothing does.
func (c *Controller) serving() *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.current
}

// before returns what served before.
func (c *Controller) before() []*generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.history)
}

// install notes that g serves now and returns the revision before it.
func (c *Controller) install(a *attempt, g *generation) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.current
	c.current = g
	switch {
	case a.rollsBack:
		c.history = a.history
	case old != nil && old.revision != g.revision: // else a part of it served
		c.history = append(c.history, old)
		if n := len(c.history) - max(c.opts.KeepRevisions-1, 1); n > 0 {
			c.history = slices.Delete(c.history, 0, n)
		}
	}
	if old == nil {
		return ""
	}
	return old.revision
}

// confirm reports whether g is what serves, all of it, and notes what a listing
// tells of that.
func (c *Controller) confirm(g *generation) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.current
	if now == nil || now.revision != g.revision || !slices.EqualFunc(now.files, g.files, sameFile) {
		return false
	}
	now.files, now.unlisted = g.files, g.unlisted
	return true
}

// sameFile compares all but what only a listing tells.
func sameFile(a, b modelstore.File) bool { return a.Name == b.Name && a.Size == b.Size }

// forget notes that nothing serves any more.
func (c *Controller) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.current = nil
}

// inUse lists the revisions whose files are needed.
func (c *Controller) inUse() []string {
	var revisions []string
	for _, b := range c.opts.Store.Retiring() {
		revisions = append(revisions, b.Revision)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current != nil {
		revisions = append(revisions, c.current.revision)
	}
	for _, g := range c.history {
		revisions = append(revisions, g.revision)
	}
	return revisions
}

// Generations implements modelstore.Controller.
func (c *Controller) Generations() []modelstore.Generation {
	store := c.opts.Store
	var all []modelstore.Generation
	c.mu.Lock()
	defer c.mu.Unlock()
	if b := store.Current(); b != nil {
		all = append(all, describe("current", b, c.current))
	}
	for _, b := range store.Retiring() {
		all = append(all, describe("draining", b, nil))
	}
	for _, g := range slices.Backward(c.history) {
		all = append(all, modelstore.Generation{State: "previous", Revision: g.revision, Source: g.source, Files: g.files})
	}
	if l := c.loading; l != nil {
		g := modelstore.Generation{State: "loading", Revision: l.revision, Source: c.source.name(), Step: l.step}
		if l.total > 0 {
			g.Progress = float64(l.done) / float64(l.total)
		}
		all = append(all, g)
	}
	for _, f := range slices.Backward(c.failed) {
		all = append(all, modelstore.Generation{State: failed, Revision: f.revision, Source: f.source, Step: f.step, Error: f.reason, At: f.at})
	}
	return all
}

// describe describes a bundle, with the files of g if it is opened from them.
func describe(state string, b *modelstore.Bundle[*Models], g *generation) modelstore.Generation {
	d := modelstore.Generation{State: state, Revision: b.Revision, Source: b.Source, LoadedAt: b.LoadedAt.UTC(), Requests: b.Served(), References: b.References()}
	if g != nil && g.revision == b.Revision {
		d.Files = g.files
	}
	return d
}
