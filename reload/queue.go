package reload

import (
	"context"
	"slices"
	"sync"

	"github.com/sematech/sema/modelstore"
)

// job is something the loop shall do, and how it ended.
type job struct {
	request modelstore.Request
	bad     *generation // what a rollback takes away; nil: this is a reload
	reason  string      // of a rollback

	done    chan struct{} // closed when outcome and err are set
	outcome modelstore.Outcome
	err     error
}

// same reports whether one run serves both.
func (j *job) same(other job) bool {
	return j.bad == other.bad && j.request.Revision == other.request.Revision && j.request.DryRun == other.request.DryRun
}

// join makes a job do what r asks for too: a change on disk makes no request of
// the Hub, and who asks for the configured revision ends what another holds to.
func (j *job) join(r modelstore.Request) {
	j.request.Force = j.request.Force || r.Force
	if j.request.Trigger == "watch" || asksForConfigured(r.Trigger) {
		j.request.Trigger = r.Trigger
	}
}

// queue holds the jobs that have not begun. Equal ones are one: however many
// triggers come while a reload runs, one more follows it.
type queue struct {
	mu        sync.Mutex
	jobs      []*job
	wake      chan struct{}           // has room for one
	interrupt context.CancelCauseFunc // of the reload that next returned last; nil: that was a rollback
}

// add returns the job that does what j asks for.
func (q *queue) add(j job) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.addLocked(j)
}

// addLocked is add.
func (q *queue) addLocked(j job) *job {
	if j.bad != nil {
		q.yieldLocked(j.request.Trigger)
	}
	if i := slices.IndexFunc(q.jobs, func(waiting *job) bool { return waiting.same(j) }); i >= 0 {
		q.jobs[i].join(j.request)
		return q.jobs[i]
	}
	j.done = make(chan struct{})
	q.jobs = append(q.jobs, &j)
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return &j
}

// yieldLocked makes way for a rollback: it interrupts the reload under way, and
// what waits no longer means to bring back what is rolled back.
func (q *queue) yieldLocked(trigger string) {
	if q.interrupt != nil {
		q.interrupt(&interruption{trigger})
	}
	for _, j := range q.jobs {
		j.request.Force = false
	}
}

// next takes a rollback, else the oldest job; nil if there is none. A rollback
// that comes while a reload is done calls interrupt.
func (q *queue) next(interrupt context.CancelCauseFunc) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil
	}
	i := max(slices.IndexFunc(q.jobs, func(j *job) bool { return j.bad != nil }), 0)
	j := q.jobs[i]
	q.jobs = slices.Delete(q.jobs, i, i+1)
	if q.interrupt = interrupt; j.bad != nil {
		q.interrupt = nil
	}
	return j
}

// again puts back a job that was interrupted, to be the next reload.
func (q *queue) again(j *job) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j.request.Force = false // it was asked for before
	q.jobs = slices.Insert(q.jobs, 0, j)
}
