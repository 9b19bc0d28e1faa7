package reload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/sematech/sema/modelstore"
)

// triggerRecall is the trigger of a rollback that nobody asked for.
const triggerRecall = "recall"

// interruption is why a reload ended before its swap.
type interruption struct{ by string } // the trigger of a rollback

func (e *interruption) Error() string {
	return "reload: interrupted by a rollback (" + e.by + "); what was downloaded is kept"
}

// interrupter returns the trigger of the rollback that interrupted; "": none did.
func interrupter(err error) string {
	var i *interruption
	if errors.As(err, &i) {
		return i.by
	}
	return ""
}

// breakOff ends an attempt whose context has ended. It is the commit's failure
// in no way, and not remembered as one.
func (a *attempt) breakOff(ctx context.Context) (modelstore.Outcome, error) {
	cause := context.Cause(ctx)
	by := interrupter(cause)
	if by == "" {
		return modelstore.Outcome{}, ErrStopped
	}
	if by != triggerRecall && !a.request.DryRun {
		a.c.declined = a.outcome.Revision
	}
	a.c.idleAgain(0)
	err := a.tell(&stepError{stepRollback, cause})
	return a.outcome, err
}

// goBack asks for a rollback of bad, nil for whatever serves. It returns nil if
// bad does not serve, or nothing did before. The queue's lock is held so that
// the reload that is interrupted is one that would have replaced bad.
func (c *Controller) goBack(bad *generation, trigger, reason string) *job {
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	now := c.serving()
	if now == nil || bad != nil && bad != now || len(c.before()) == 0 {
		return nil
	}
	return c.queue.addLocked(job{request: modelstore.Request{Trigger: trigger}, bad: now, reason: reason})
}

// rollback brings back the generation before the bad one, which counts as failed
// from then on. If something else serves by now, that was not meant.
func (c *Controller) rollback(ctx context.Context, j *job) (modelstore.Outcome, error) {
	history, bad := c.before(), c.serving()
	switch {
	case bad != nil && bad != j.bad:
		return modelstore.Outcome{Result: unchanged, Revision: bad.revision}, nil
	case bad == nil || len(history) == 0:
		return modelstore.Outcome{}, modelstore.ErrNoPrevious
	}
	g := history[len(history)-1]
	a := c.attempt(j.request)
	a.untried, a.rollsBack, a.history = true, true, history[:len(history)-1]
	a.outcome.Revision = g.revision
	outcome, err := a.finish(ctx, a.step(stepRollback, func() error { return a.load(ctx, g) }))
	if err == nil {
		c.remember(failure{bad.revision, bad.source, stepRollback, j.reason, time.Now().UTC(), true})
		c.unpin(g)
	}
	return outcome, err
}

// unpin lets go of the revision that an operator asked for if g, which a
// rollback brought back, is none of its commits.
func (c *Controller) unpin(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if g.pin != c.pinned {
		c.pinLocked("")
	}
}

// recall asks for a rollback of models whose first requests went wrong.
func (c *Controller) recall(m *Models, g *generation) {
	n := m.Counts()
	reason := fmt.Sprintf("of its first %d requests %d failed and %d looped", n.Requests, n.Errors, n.Loops)
	log := c.opts.Log.WithField("model_version", g.revision).WithField("reason", reason)
	if c.goBack(g, triggerRecall, reason) == nil {
		log.Warn("models_not_recalled") // they don't serve any more
		return
	}
	log.Error("models_recalled")
}

// The share of errors, or of loops, that is allowed in a probation: minShare,
// or worse times the share that the models before had.
const (
	minShare = 0.05
	worse    = 3
)

// probation watches the first requests of new models. It needs no test of
// significance: it strikes when more of all N have failed than are allowed,
// however few of them were made by then.
type probation struct {
	requests, errors, loops int64 // allowed
	struck                  atomic.Bool
	strike                  func()
}

// expect puts models on probation, if there are others to go back to.
func (c *Controller) expect(a *attempt, m *Models, g *generation) {
	before := a.former
	if old := c.opts.Store.Current(); old != nil {
		counts := old.Models.Counts()
		before = &counts
	}
	if before == nil || a.rollsBack || c.opts.Probation <= 0 {
		return
	}
	m.probation.Store(&probation{
		requests: int64(c.opts.Probation),
		errors:   allowed(c.opts.Probation, before.Errors, before.Requests),
		loops:    allowed(c.opts.Probation, before.Loops, before.Requests),
		strike:   func() { c.recall(m, g) },
	})
}

// allowed returns how many of n requests may go wrong.
func allowed(n int, wrong, of int64) int64 {
	share := minShare
	if of > 0 {
		share = max(share, worse*float64(wrong)/float64(of))
	}
	return int64(math.Ceil(share * float64(n)))
}

// judge looks at the counts after a request.
func (p *probation) judge(m *Models) {
	n := m.Counts()
	switch {
	case n.Requests > p.requests:
		m.probation.CompareAndSwap(p, nil)
	case (n.Errors > p.errors || n.Loops > p.loops) && p.struck.CompareAndSwap(false, true):
		p.strike()
	}
}
