package reload

import (
	"slices"
	"sync"

	"github.com/sematech/sema/modelstore"
)

// job is something the loop shall do, and how it ended.
type job struct {
	request  modelstore.Request
	rollback bool

	done    chan struct{} // closed when outcome and err are set
	outcome modelstore.Outcome
	err     error
}

// same reports whether one run serves both.
func (j *job) same(other job) bool {
	return j.rollback == other.rollback && j.request.Revision == other.request.Revision && j.request.DryRun == other.request.DryRun
}

// queue holds the jobs that have not begun. Equal ones are one: however many
// triggers come while a reload runs, one more follows it.
type queue struct {
	mu   sync.Mutex
	jobs []*job
	wake chan struct{} // has room for one
}

// add returns the job that does what j asks for.
func (q *queue) add(j job) *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if i := slices.IndexFunc(q.jobs, func(waiting *job) bool { return waiting.same(j) }); i >= 0 {
		q.jobs[i].request.Force = q.jobs[i].request.Force || j.request.Force
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

// next takes the oldest job, nil if there is none.
func (q *queue) next() *job {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.jobs) == 0 {
		return nil
	}
	j := q.jobs[0]
	q.jobs = slices.Delete(q.jobs, 0, 1)
	return j
}
