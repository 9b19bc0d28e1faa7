package reload

import (
	"context"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sematech/sema/modelstore"
)

// A selective source tells which events in the folders that it has watched are
// about its models.
type selective interface {
	// concerns returns a function of the changed file's name, good for the
	// folders that are watched now.
	concerns() func(name string) bool
}

// A quiet is a timer that fires once nothing has happened for the debounce
// time, or some has happened for too long.
type quiet struct {
	*time.Timer
	debounce time.Duration
	since    time.Time // of the first event since it fired; zero: there was none
}

// longestNoise is for how many debounce times events may put off a look. Whether
// files are whole is not told by silence: the source sees to that.
const longestNoise = 30

// event puts the timer off.
func (q *quiet) event() {
	if q.since.IsZero() {
		q.since = time.Now()
	}
	q.Reset(min(q.debounce, max(0, longestNoise*q.debounce-time.Since(q.since))))
}

// watch asks for a reload when the disk has other models than those that serve,
// once it has been quiet for the debounce time. Where files can't be watched,
// polling is left.
func (c *Controller) watch(ctx context.Context) {
	if len(c.source.watched()) == 0 {
		return
	}
	w, err := fsnotify.NewWatcher()
	if err != nil {
		c.opts.Log.WithError(err).Warn("files_not_watched")
		return
	}
	defer w.Close()
	concerns := c.rearm(w)
	// At once, as something may have come before the watch.
	q := &quiet{Timer: time.NewTimer(c.opts.Debounce), debounce: c.opts.Debounce}
	defer q.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-w.Events:
			if event.Op != fsnotify.Chmod && concerns(filepath.Clean(event.Name)) {
				q.event()
			}
		case <-w.Errors: // events were lost
			q.event()
		case <-q.C:
			q.since = time.Time{}
			concerns = c.rearm(w)
			if !c.look() {
				q.event()
			}
		}
	}
}

// rearm watches what the source names now and nothing else, and returns which
// events count. A folder that was put in the place of another has the same name,
// so all are watched anew.
func (c *Controller) rearm(w *fsnotify.Watcher) func(name string) bool {
	for _, dir := range w.WatchList() {
		_ = w.Remove(dir) // it may be gone
	}
	concerns := func(string) bool { return true }
	if s, ok := c.source.(selective); ok {
		concerns = s.concerns()
	}
	for _, dir := range c.source.watched() {
		_ = w.Add(dir) // it may not be there yet; one above it is
	}
	return concerns
}

// look asks for a reload if the disk has something else. During the first start
// it can't tell, and reports false.
func (c *Controller) look() bool {
	c.mu.Lock()
	g, busy := c.current, c.loading != nil
	c.mu.Unlock()
	switch {
	case g == nil && busy:
		return false
	case g == nil && c.source.changed(""), g != nil && c.source.changed(g.revision):
		c.queue.add(job{request: modelstore.Request{Trigger: "watch"}})
	}
	return true
}
