package reload

import (
	"context"
	"errors"
	"time"
)

// replace makes g serve where two generations don't fit in memory: it empties
// the store, so that requests wait or are refused, lets the models go and opens
// the new ones. If that fails it brings the old ones back.
func (a *attempt) replace(ctx context.Context, g, old *generation) error {
	gap := time.Now()
	defer func() { a.outcome.Gap = time.Since(gap).Seconds() }()
	if b := a.c.opts.Store.Current(); b != nil {
		counts := b.Models.Counts()
		a.former = &counts
	}
	a.c.opts.Store.Vacate()
	var models *Models
	err := a.step(stepDrain, func() error { return a.c.drain(ctx) })
	if err == nil {
		models, err = a.open(ctx, g)
	}
	if interrupter(context.Cause(ctx)) != "" && err != nil {
		return err // the rollback follows, and fills the store
	}
	if err != nil {
		return errors.Join(err, a.restore(ctx, old))
	}
	a.swap(models, g)
	a.prune()
	return nil
}

// restore brings back the models that were let go.
func (a *attempt) restore(ctx context.Context, old *generation) error {
	b := a.c.attempt(a.request)
	b.untried, b.rollsBack, b.history = true, true, a.c.before()
	models, err := b.open(ctx, old)
	if err != nil {
		a.c.opts.Store.Swap(nil) // nobody needs to wait any more
		a.c.forget()
		return err
	}
	b.outcome.Revision = old.revision
	b.swap(models, old)
	return nil
}
