package reload

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
)

// Run loads the first models and then does what triggers ask for, one reload at
// a time, until ctx ends. It leaves the store's models to whoever serves them,
// and nothing else: no goroutine, no watch and no file of this process. Call it
// once.
func (c *Controller) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { c.watch(ctx) })
	defer func() {
		cancel()
		watcher.Wait()
		c.stop()
	}()
	c.start(ctx)
	for ctx.Err() == nil {
		if !c.work(ctx) {
			c.idle(ctx)
		}
	}
	return c.source.close()
}

// work does the next job, if there is one.
func (c *Controller) work(ctx context.Context) bool {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	j := c.queue.next(cancel)
	if j != nil {
		c.serve(ctx, j)
	}
	return j != nil
}

// idle waits until there is something to do.
func (c *Controller) idle(ctx context.Context) {
	var due <-chan time.Time
	if d := c.delay(); d > 0 {
		timer := time.NewTimer(d)
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
	case <-c.queue.wake:
	case <-due:
		c.queue.add(job{request: modelstore.Request{Trigger: "poll"}})
	}
}

// delay returns when the source is asked next; 0: never. Jitter parts replicas
// that started together.
func (c *Controller) delay() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := c.opts.Poll
	if c.retries > 0 {
		d = min(c.opts.Backoff<<min(c.retries-1, 20), maxBackoff)
	}
	if d <= 0 {
		return 0
	}
	return d - d/10 + rand.N(d/5+1)
}

// stop ends what waits for the loop.
func (c *Controller) stop() {
	close(c.stopped)
	c.events.close()
}

// serve does one job. A reload that a recall interrupts begins anew after it:
// nobody decided against it.
func (c *Controller) serve(ctx context.Context, j *job) {
	if j.bad != nil {
		j.outcome, j.err = c.rollback(ctx, j)
		close(j.done)
		return
	}
	j.outcome, j.err = c.reload(ctx, c.aim(j.request))
	if interrupter(j.err) == triggerRecall {
		c.queue.again(j)
		return
	}
	if j.err == nil && !j.request.DryRun {
		c.pin(j.request)
	}
	close(j.done)
}

// aim fills in the revision: a revision that an operator asked for stays until
// an operator or a signal asks for the configured one, or a rollback leaves it.
// While nothing serves, what failed before is tried again.
func (c *Controller) aim(r modelstore.Request) modelstore.Request {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Revision == "" && !asksForConfigured(r.Trigger) {
		r.Revision = c.pinned
	}
	r.Force = r.Force || c.current == nil
	return r
}

func asksForConfigured(trigger string) bool { return trigger == "admin" || trigger == "signal" }

// pin remembers which revision an operator asked for, and that what serves is
// that revision's.
func (c *Controller) pin(r modelstore.Request) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.Revision != "" || asksForConfigured(r.Trigger) {
		c.pinLocked(r.Revision)
	}
	if c.current != nil {
		c.current.pin = c.pinned
	}
}

// pinLocked sets the revision that is followed instead of the configured one,
// and tells if it is another now.
func (c *Controller) pinLocked(revision string) {
	switch {
	case revision == c.pinned:
		return
	case revision == "":
		c.opts.Log.WithField("revision", c.pinned).Info("revision_unpinned")
	default:
		c.opts.Log.WithField("revision", revision).Info("revision_pinned")
	}
	c.pinned = revision
}

// start loads the first models: those in the cache at once, else those of the
// source, else what else the cache has, else the demo. What is served from the
// cache may be old, so the source is asked next.
func (c *Controller) start(ctx context.Context) {
	if s, isHub := c.source.(*hubSource); isHub {
		if commit, err := s.resolve(ctx, "", true); err == nil && c.boot(ctx, commit) {
			if c.opts.Poll > 0 && !c.opts.Hub.Offline && !hub.IsCommit(s.revision) {
				c.queue.add(job{request: modelstore.Request{Trigger: "poll"}})
			}
			return
		}
	}
	if c.first(ctx) {
		return
	}
	for _, commit := range c.source.others() {
		if ctx.Err() != nil || c.boot(ctx, commit) {
			return
		}
	}
	c.fallBack(ctx)
}

// boot serves a commit that is on this machine, without a request. It may be
// there though it could not be downloaded, for want of its listing.
func (c *Controller) boot(ctx context.Context, commit string) bool {
	f, known := c.failure(commit)
	if known && f.step != stepDownload || c.source.present(commit) == nil {
		return false
	}
	a := c.attempt(modelstore.Request{Trigger: "start", Revision: commit})
	a.fromDisk = true
	_, err := a.finish(ctx, a.run(ctx))
	return err == nil
}

// first loads from the source. With something else to serve, an answer that
// does not come soon counts as none; a download that has begun is waited for.
func (c *Controller) first(ctx context.Context) bool {
	a := c.attempt(modelstore.Request{Trigger: "start"})
	if _, isHub := c.source.(*hubSource); isHub && (c.opts.Demo != nil || len(c.source.others()) > 0) {
		a.resolveTimeout = c.opts.StartTimeout
	}
	_, err := a.finish(ctx, a.run(ctx))
	return err == nil
}

// fallBack serves the demo until the source has something.
func (c *Controller) fallBack(ctx context.Context) {
	_, isDemo := c.source.(demoSource)
	if c.opts.Demo == nil || isDemo || ctx.Err() != nil {
		return
	}
	a := c.attempt(modelstore.Request{Trigger: "start", Revision: c.opts.DemoRevision})
	if err := a.load(ctx, c.demo()); ctx.Err() == nil && a.tell(err) == nil {
		a.log().Warn("demo_models_serve_until_others_can_be_had")
	}
	c.enter(nil, "")
}
