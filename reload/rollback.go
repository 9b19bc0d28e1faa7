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

// rollback brings back the generation before the one that serves, which counts
// as failed from then on.
func (c *Controller) rollback(ctx context.Context, trigger, reason string) (modelstore.Outcome, error) {
	history, bad := c.before(), c.serving()
	if len(history) == 0 || bad == nil {
		return modelstore.Outcome{}, modelstore.ErrNoPrevious
	}
	g := history[len(history)-1]
	a := c.attempt(modelstore.Request{Trigger: trigger})
	a.untried, a.rollsBack, a.history = true, true, history[:len(history)-1]
	a.outcome.Revision = g.revision
	outcome, err := a.finish(ctx, a.step(stepRollback, func() error { return a.load(ctx, g) }))
	if err == nil {
		c.remember(failure{bad.revision, bad.source, stepRollback, reason, time.Now().UTC(), true})
	}
	return outcome, err
}

// recall rolls back models whose first requests went wrong, if they still serve.
func (c *Controller) recall(ctx context.Context, m *Models) {
	if !c.serves(m) {
		return
	}
	n := m.Counts()
	reason := fmt.Sprintf("of its first %d requests %d failed and %d looped", n.Requests, n.Errors, n.Loops)
	c.opts.Log.WithField("model_version", c.serving().revision).WithField("reason", reason).Error("models_recalled")
	_, err := c.rollback(ctx, "recall", reason)
	if errors.Is(err, modelstore.ErrNoPrevious) {
		c.opts.Log.WithError(err).Warn("models_not_recalled")
	}
}

func (c *Controller) serves(m *Models) bool {
	b := c.opts.Store.Current()
	return b != nil && b.Models == m
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
func (c *Controller) expect(a *attempt, m *Models) {
	old := c.opts.Store.Current()
	if old == nil || a.rollsBack || c.opts.Probation <= 0 {
		return
	}
	before := old.Models.Counts()
	m.probation.Store(&probation{
		requests: int64(c.opts.Probation),
		errors:   allowed(c.opts.Probation, before.Errors, before.Requests),
		loops:    allowed(c.opts.Probation, before.Loops, before.Requests),
		strike: func() {
			select {
			case c.suspect <- m:
			default:
			}
		},
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
