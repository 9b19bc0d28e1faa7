package reload

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/translate"
)

// The steps of a reload, as events, metrics and generations name them.
const (
	stepResolve  = "resolve"
	stepMemory   = "memory"
	stepDownload = "download"
	stepOpen     = "open"
	stepWarm     = "warm"
	stepCanary   = "canary"
	stepSwap     = "swap"
	stepDrain    = "drain"
	stepPrune    = "prune"
	stepRollback = "rollback"
	stepDone     = "done"
)

// The results of an attempt.
const (
	swapped   = "swapped"
	unchanged = "unchanged"
	checked   = "checked"
	failed    = "failed"
)

// attempt is one reload under way. The loop's goroutine works on it.
type attempt struct {
	c              *Controller
	request        modelstore.Request
	fromDisk       bool          // make no request
	resolveTimeout time.Duration // 0: none
	untried        bool          // models that were good before need no canary
	history        []*generation // what is remembered after the swap, if rolls back
	rollsBack      bool
	former         *Counts // of the models that were let go before these were opened

	began   time.Time
	part    bool // the files may not be all
	outcome modelstore.Outcome
}

func (c *Controller) attempt(r modelstore.Request) *attempt {
	return &attempt{c: c, request: r, began: time.Now(), fromDisk: r.Trigger == "watch"}
}

// stepError says at which step an attempt failed.
type stepError struct {
	step string
	err  error
}

func (e *stepError) Error() string { return e.err.Error() }
func (e *stepError) Unwrap() error { return e.err }

// reload is one attempt from its start to its end.
func (c *Controller) reload(ctx context.Context, r modelstore.Request) (modelstore.Outcome, error) {
	a := c.attempt(r)
	return a.finish(ctx, a.run(ctx))
}

// run takes the steps to the models that the request names.
func (a *attempt) run(ctx context.Context) error {
	if err := a.step(stepResolve, func() error { return a.resolve(ctx) }); err != nil || a.outcome.Result == unchanged {
		return err
	}
	if err := a.step(stepMemory, a.foresee); err != nil {
		return err
	}
	var g *generation
	err := a.step(stepDownload, func() (err error) {
		g, err = a.bring(ctx)
		return err
	})
	if err != nil || a.outcome.Result == unchanged {
		return err
	}
	if err := a.memory(g); err != nil { // now that its size is known for sure
		return &stepError{stepMemory, err}
	}
	if a.request.DryRun && a.c.opts.Replace {
		a.outcome.Result = checked
		return nil
	}
	return a.load(ctx, g)
}

// step runs one step and tells how it went.
func (a *attempt) step(name string, do func() error) error {
	a.c.enter(a, name)
	start := time.Now()
	err := do()
	took := time.Since(start)
	var known *knownFailure
	if errors.As(err, &known) {
		return err // told when it happened
	}
	a.c.opts.Metrics.ReloadStep(name, took)
	event := modelstore.Event{Trigger: a.request.Trigger, Step: name, Result: "ok", Revision: a.outcome.Revision, Seconds: took.Seconds()}
	if err != nil {
		event.Result, event.Error = failed, err.Error()
		err = &stepError{name, err}
	} else if name != stepResolve { // each poll has one
		a.log().WithFields(logrus.Fields{"step": name, "seconds": took.Seconds()}).Info("reload_step")
	}
	a.c.events.emit(event)
	return err
}

func (a *attempt) log() *logrus.Entry {
	return a.c.opts.Log.WithFields(logrus.Fields{"trigger": a.request.Trigger, "model_version": a.outcome.Revision})
}

// resolve finds the commit and decides whether it is worth loading.
func (a *attempt) resolve(ctx context.Context) error {
	if a.resolveTimeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeoutCause(ctx, a.resolveTimeout, fmt.Errorf("%w: no answer within %s", hub.ErrUnavailable, a.resolveTimeout))
		defer cancel()
	}
	commit, err := a.c.source.resolve(ctx, a.request.Revision, a.fromDisk)
	if err != nil {
		if a.resolveTimeout > 0 && errors.Is(err, context.DeadlineExceeded) {
			return context.Cause(ctx)
		}
		return err
	}
	a.outcome.Revision = commit
	return a.refuse()
}

// bring fetches the files and decides whether they are worth loading, now that
// it is known which they are.
func (a *attempt) bring(ctx context.Context) (*generation, error) {
	g, err := a.fetch(ctx)
	if err != nil {
		return nil, err
	}
	a.part = g.unlisted
	if g.revision != a.outcome.Revision { // it moved on since it was resolved
		a.outcome.Revision = g.revision
		err = a.refuse()
	}
	if err == nil && a.c.confirm(g) {
		a.outcome.Result = unchanged
	}
	return g, err
}

// fetch brings the files. A dry run asks for the commit: if the cache learned
// from it what the revision names now, the watch would take that for new models.
func (a *attempt) fetch(ctx context.Context) (*generation, error) {
	revision := a.request.Revision
	if a.request.DryRun {
		revision = a.outcome.Revision
	}
	return a.c.source.fetch(ctx, revision, a.outcome.Revision, a.fromDisk)
}

// refuse ends the attempt if the revision serves already, all of it, or failed
// before. That the disk has what an operator rather went back from than waited for is no
// reason to load it.
func (a *attempt) refuse() error {
	if now := a.c.serving(); now != nil && now.revision == a.outcome.Revision && !a.completes(now) {
		a.outcome.Result = unchanged
		return nil
	}
	if f, known := a.c.failure(a.outcome.Revision); known && f.lasting && !a.request.Force {
		return &knownFailure{f}
	}
	if a.request.Trigger == "watch" && a.outcome.Revision == a.c.declined && !a.request.Force {
		return &knownFailure{failure{revision: a.outcome.Revision, step: stepRollback, reason: "a rollback interrupted it"}}
	}
	return nil
}

// completes reports whether the Hub may have files that lack in what serves.
func (a *attempt) completes(now *generation) bool {
	return now.unlisted && !a.fromDisk && !a.c.opts.Hub.Offline
}

// load opens the generation and makes it serve.
func (a *attempt) load(ctx context.Context, g *generation) error {
	a.outcome.Revision = g.revision
	if old := a.c.serving(); a.c.opts.Replace && old != nil {
		return a.replace(ctx, g, old)
	}
	models, err := a.open(ctx, g)
	if err != nil {
		return err
	}
	if a.request.DryRun {
		a.outcome.Result = checked
		return models.Close()
	}
	a.swap(models, g)
	a.drain(ctx)
	a.prune()
	return nil
}

// open opens the models and tries them. It leaves nothing behind if they fail.
func (a *attempt) open(ctx context.Context, g *generation) (*Models, error) {
	models := &Models{}
	err := a.step(stepOpen, func() (err error) {
		if g.fsys != nil {
			models.Pipeline, err = translate.OpenFS(g.fsys, ".", a.pipeline(g))
		} else {
			models.Pipeline, err = a.c.opts.Open(g.dir, a.pipeline(g))
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err = a.step(stepWarm, func() error { return a.c.warm(ctx, models.Pipeline) }); err == nil && !a.untried {
		err = a.step(stepCanary, func() error { return a.c.try(ctx, models.Pipeline) })
	}
	if err == nil {
		err = context.Cause(ctx) // from here on nothing stops a swap
	}
	if err != nil {
		return nil, errors.Join(err, models.Close())
	}
	return models, nil
}

// swap makes the models serve.
func (a *attempt) swap(models *Models, g *generation) {
	_ = a.step(stepSwap, func() error {
		c := a.c
		c.expect(a, models, g)
		a.outcome.Previous = c.install(a, g)
		c.opts.Store.Swap(modelstore.NewBundle(models, g.revision, g.source))
		c.opts.Metrics.Model("translation", g.revision, a.outcome.Previous)
		c.opts.Metrics.ModelLoad(time.Since(a.began))
		return nil
	})
	a.outcome.Result = swapped
	a.log().WithFields(logrus.Fields{
		"family": models.Family(), "languages": len(models.Languages()), "load_time": time.Since(a.began).Seconds(), "previous": a.outcome.Previous,
	}).Info("models_loaded")
}

// drain waits until the models before are closed, but not for ever and not if
// the new ones are to be rolled back.
func (a *attempt) drain(ctx context.Context) {
	err := a.step(stepDrain, func() error { return a.c.drain(ctx) })
	if err != nil && ctx.Err() == nil {
		a.log().WithFields(logrus.Fields{"step": stepDrain, "draining": len(a.c.opts.Store.Retiring())}).Warn("models_still_in_use")
	}
}

// drain waits for the store, within the bound, and returns memory.
func (c *Controller) drain(ctx context.Context) error {
	start := time.Now()
	ctx, cancel := context.WithTimeout(ctx, c.opts.DrainTimeout)
	defer cancel()
	if err := c.opts.Store.Drain(ctx); err != nil {
		return fmt.Errorf("reload: requests hold the models before still: %w", err)
	}
	c.opts.Metrics.Drain(time.Since(start))
	debug.FreeOSMemory()
	return nil
}

// prune removes what can't be gone back to.
func (a *attempt) prune() {
	a.notRemoved(a.step(stepPrune, func() error { return a.c.source.prune(a.c.inUse()) }))
}

// discard removes what was copied or downloaded and doesn't serve, but for what is tried
// again soon and for the newest snapshots. While nothing serves it only lets go of
// snapshots: one of them may have to serve yet, and other processes may prune them.
func (a *attempt) discard(triedAgain bool) {
	if a.outcome.Result == swapped {
		return
	}
	keep := a.c.inUse()
	if triedAgain {
		keep = append(keep, a.outcome.Revision)
	}
	if s, ok := a.c.source.(*hubSource); ok && a.c.serving() == nil {
		s.release(keep)
		return
	}
	a.notRemoved(a.c.source.prune(keep))
}

func (a *attempt) notRemoved(err error) {
	if err != nil {
		a.log().WithError(err).WithField("step", stepPrune).Warn("old_models_not_removed")
	}
}
