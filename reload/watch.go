package reload

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/sematech/sema/modelstore"
)

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
	rearm(w, c.source.watched())
	quiet := time.NewTimer(c.opts.Debounce) // at once: something may have come before the watch
	defer quiet.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case event := <-w.Events:
			if event.Op != fsnotify.Chmod {
				quiet.Reset(c.opts.Debounce)
			}
		case <-w.Errors: // events were lost
			quiet.Reset(c.opts.Debounce)
		case <-quiet.C:
			rearm(w, c.source.watched())
			if !c.look() {
				quiet.Reset(c.opts.Debounce)
			}
		}
	}
}

// rearm watches dirs and nothing else. A folder that was put in the place of
// another has the same name, so all are watched anew.
func rearm(w *fsnotify.Watcher, dirs []string) {
	for _, dir := range w.WatchList() {
		_ = w.Remove(dir) // it may be gone
	}
	for _, dir := range dirs {
		_ = w.Add(dir) // it may not be there yet; one above it is
	}
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
