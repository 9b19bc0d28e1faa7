// Package reload decides which models serve, and changes them while requests
// run. It is the modelstore.Controller.
//
// Whatever asks for new models (a poll of the Hub, a change on disk, a signal,
// an operator, the Hub's webhook) asks the one loop of Controller.Run, which
// takes the steps of one reload after the other: resolve the revision, see that
// there is memory, download and verify, open, warm up, try canary sentences,
// swap, drain, prune. Before the swap nothing that serves is touched; a step
// that fails keeps the models that serve.
package reload

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

// Options configure a Controller. Models come from Dir if it is set, else from
// Repo on the Hub if that is, else from Demo.
type Options struct {
	Store *modelstore.Store[*Models] // required

	Hub      *hub.Options // of the client to make; its Progress and Observe are called too
	Repo     string       // of the Hub
	Revision string       // branch, tag or commit; "": main
	Files    []string     // patterns of the files to download; none: all

	Dir        string // a local folder of models
	PrivateDir string // where copies of Dir are kept while they serve; "": the system's folder for temporary files

	Demo         fs.FS // models that serve while no others can be had; nil: none
	DemoRevision string

	Pipeline translate.Options
	// Open opens the models in a folder; nil: translate.Open.
	Open func(dir string, opts translate.Options) (*translate.Pipeline, error)

	Poll          time.Duration // how often the source is asked for a new revision; 0: never
	Replace       bool          // unload the old models before the new ones are opened
	KeepRevisions int           // snapshots kept in the cache; 0: 2
	DrainTimeout  time.Duration // how long a reload waits for the old models' requests; 0: 30 s
	StartTimeout  time.Duration // how long the first start waits for the Hub before Demo serves; 0: 5 s
	Debounce      time.Duration // how long files must stay the same before they are read; 0: 2 s
	Backoff       time.Duration // wait after the first failure, doubled up to 5 min; 0: 5 s

	Canary Canary
	// Probation is how many first requests of new models are watched: more than
	// 5 % of errors or loops among them, and three times what the models before
	// had, brings those back. 0: 200; negative: none.
	Probation int

	// FreeMemory returns the bytes that the process may still take, page cache
	// counted as free, and whether that is known. nil: what the system says.
	FreeMemory func() (int64, bool)

	Log     *logrus.Logger     // nil: none
	Metrics *telemetry.Metrics // nil: none
}

// maxBackoff bounds the wait between attempts that fail.
const maxBackoff = 5 * time.Minute

func (o *Options) setDefaults() {
	o.Revision = cmp.Or(o.Revision, "main")
	o.KeepRevisions = cmp.Or(o.KeepRevisions, 2)
	o.DrainTimeout = cmp.Or(o.DrainTimeout, 30*time.Second)
	o.StartTimeout = cmp.Or(o.StartTimeout, 5*time.Second)
	o.Debounce = cmp.Or(o.Debounce, 2*time.Second)
	o.Backoff = cmp.Or(o.Backoff, 5*time.Second)
	o.Probation = cmp.Or(o.Probation, 200)
	o.Canary.Latency = cmp.Or(o.Canary.Latency, 20*time.Second)
	if o.Open == nil {
		o.Open = translate.Open
	}
	if o.FreeMemory == nil {
		o.FreeMemory = systemMemory
	}
	if o.Metrics == nil {
		o.Metrics = telemetry.NewMetrics()
	}
	if o.Log == nil {
		o.Log = logrus.New()
		o.Log.SetOutput(io.Discard)
	}
}

// ErrStopped is returned once Run has ended.
var ErrStopped = errors.New("reload: the service is stopping")

// A Controller is the loop that changes the models of a store. It implements
// modelstore.Controller and is safe to use from concurrent goroutines.
type Controller struct {
	opts    Options
	source  source
	canary  []trial
	events  events
	queue   queue
	stopped chan struct{}
	// declined is a commit that an operator's rollback kept from being swapped
	// in. The loop's goroutine uses it.
	declined string

	mu      sync.Mutex
	current *generation
	history []*generation // what served before, the latest last
	loading *loading
	failed  []failure // the latest last
	pinned  string    // the revision that an operator asked for, instead of the configured one
	retries int       // attempts that failed in a row and may succeed next time
}

var _ modelstore.Controller = (*Controller)(nil)

// New returns a Controller whose store is empty until Run. It makes no request
// and opens no model; an error is one of the options.
func New(o Options) (*Controller, error) {
	o.setDefaults()
	if o.Store == nil {
		return nil, errors.New("reload: no store is set")
	}
	trials, err := o.Canary.trials()
	if err != nil {
		return nil, err
	}
	c := &Controller{opts: o, canary: trials, stopped: make(chan struct{})}
	c.queue.wake = make(chan struct{}, 1)
	c.source, err = c.newSource()
	return c, err
}

// newSource returns where the options say that models come from.
func (c *Controller) newSource() (source, error) {
	switch o := c.opts; {
	case o.Dir != "":
		return &localSource{dir: o.Dir, parent: o.PrivateDir, debounce: o.Debounce}, nil
	case o.Repo != "" && o.Hub != nil:
		client, err := hub.New(c.hubOptions())
		if err != nil {
			return nil, err
		}
		return &hubSource{client: client, repo: o.Repo, revision: o.Revision, files: o.Files, keep: o.KeepRevisions, held: map[string]func(){}}, nil
	case o.Demo != nil:
		return demoSource{c.demo()}, nil
	}
	return nil, errors.New("reload: there is no folder, no repository and no demo to take models from")
}

// hubOptions are those given, with what the client observes recorded.
func (c *Controller) hubOptions() hub.Options {
	o := *c.opts.Hub
	progress, observe := o.Progress, o.Observe
	o.Progress = func(p hub.Progress) {
		c.progress(p)
		if progress != nil {
			progress(p)
		}
	}
	o.Observe = func(status int) {
		c.opts.Metrics.HubRequest(status)
		if observe != nil {
			observe(status)
		}
	}
	return o
}

// Reload implements modelstore.Controller. The outcome of a failure is returned
// with an error that wraps modelstore.ErrReloadFailed.
func (c *Controller) Reload(ctx context.Context, r modelstore.Request) (modelstore.Outcome, error) {
	return c.wait(ctx, c.queue.add(job{request: r}))
}

// Rollback implements modelstore.Controller. It takes away what serves when it
// is called, interrupting the reload under way, and that is not loaded again
// until asked for.
func (c *Controller) Rollback(ctx context.Context) (modelstore.Outcome, error) {
	select {
	case <-c.stopped:
		return modelstore.Outcome{}, ErrStopped
	default:
	}
	j := c.goBack(nil, "admin", "an operator went back to the models before it")
	if j == nil {
		return modelstore.Outcome{}, modelstore.ErrNoPrevious
	}
	return c.wait(ctx, j)
}

// wait returns the end of a job.
func (c *Controller) wait(ctx context.Context, j *job) (modelstore.Outcome, error) {
	select {
	case <-j.done:
		return j.outcome, j.err
	case <-ctx.Done():
		return modelstore.Outcome{}, fmt.Errorf("reload: still running: %w", ctx.Err())
	case <-c.stopped:
		return modelstore.Outcome{}, ErrStopped
	}
}

// Events implements modelstore.Controller.
func (c *Controller) Events(after uint64) ([]modelstore.Event, <-chan modelstore.Event, func()) {
	return c.events.subscribe(after)
}
