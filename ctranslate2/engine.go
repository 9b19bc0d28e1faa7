package ctranslate2

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// Bounds of one turn of the engine.
const (
	// maxStepRows is how many hypotheses are in one decoding step, maxLaneRows
	// how many of them may be of one lane, so that the other finds room.
	maxStepRows = 80
	maxLaneRows = 64
	// maxSequenceRows is how many rows one sequence may have, alone in a step.
	maxSequenceRows = 1024
	// encodeRows is how many source tokens are encoded together, busyEncodeRows
	// how many while others decode, so that none waits long for its turn. A
	// longer sequence is encoded alone.
	encodeRows     = 512
	busyEncodeRows = 128
	// encodeWork is how many tokens × layers are encoded between two decoding
	// steps: about the work of one step, so that running hypotheses keep half
	// their pace.
	encodeWork = 768
	// bulkShare is how many sequences of the interactive lane may be taken
	// before one of the bulk lane is, if both wait.
	bulkShare = 8
	// shrinkAfter is after how many decoding steps without the encoder its memory
	// is given back. To have it again costs about a millisecond, and the cache's
	// beyond cacheKept, which otherwise would be there beside it.
	shrinkAfter = 50
	cacheKept   = 16 * memory.HugePage
)

// trimAfter is after how much idleness the memory of the cache and of the work
// space is given back. To have it again slows the next request down, by a tenth
// and more of its encoder's time: people who translate sentence by sentence
// should not feel that.
var trimAfter = 30 * time.Second

// A job is one call of TranslateBatch.
type job struct {
	lane      Lane
	seqs      []*sequence
	queued    int // sequences taken from the queue so far
	left      int // sequences not finished
	params    *decodingParams
	target    *Vocabulary
	cancelled atomic.Bool
	err       error
	done      chan struct{}
}

func (j *job) stepResult(s *sequence, hypothesis, step int, token int32, score float32, last bool) StepResult {
	return StepResult{Step: step, BatchID: s.index, HypothesisID: hypothesis, TokenID: int(token), Token: j.target.Token(int(token)), Score: score, IsLast: last}
}

// engine runs the sequences of all jobs in one batch. Its goroutine owns the
// workspace; everything that others touch is behind mu.
type engine struct {
	encoder *encoder
	decoder *decoder
	arena   *kvArena
	copies  *copies
	w       decoderWorkspace

	mu     sync.Mutex
	wake   *sync.Cond
	queues [2][]*job // by lane; jobs with sequences not yet taken
	streak int       // interactive sequences taken in a row
	closed bool
	exited chan struct{}

	taken    [2][]*sequence // by lane; admitted, waiting for the encoder
	encoding encoding       // under way if it has sequences
	unused   int            // decoding steps since the encoder ran
	active   []*sequence
	rows     [2]int // by lane; rows that admitted sequences may need in a step
	batch    stepBatch
}

func newEngine(m *model, exec *kernels.Executor, budget int) (*engine, error) {
	self := m.decoder.layers[0].self
	arena, err := newKVArena(kvLayout{len(m.decoder.layers), self.heads, self.dHead}, budget)
	if err != nil {
		return nil, err
	}
	e := &engine{encoder: m.encoder, decoder: m.decoder, arena: arena, exited: make(chan struct{})}
	e.wake = sync.NewCond(&e.mu)
	e.w.exec = exec
	e.w.arena = arena
	return e, nil
}

// submit queues a job.
func (e *engine) submit(j *job) error {
	for _, s := range j.seqs {
		if s.rows > maxSequenceRows {
			return fmt.Errorf("%w: a prefix of %d tokens and %d hypotheses in beams of %d need %d rows in a step, the limit is %d", ErrTooLarge,
				len(s.prefix), j.params.NumHypotheses, j.params.BeamSize, s.rows, maxSequenceRows)
		}
		if s.pages > e.arena.pages {
			return fmt.Errorf("%w: %d source tokens, up to %d target tokens and a beam of %d need %d bytes, the budget is %d", ErrTooLarge,
				len(s.source), j.params.MaxDecodingLength, j.params.BeamSize, s.pages*4*e.arena.pageFloats(), e.arena.pages*4*e.arena.pageFloats())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.queues[j.lane] = append(e.queues[j.lane], j)
	e.wake.Signal()
	return nil
}

// signal wakes the engine if it waits.
func (e *engine) signal() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.wake.Signal()
}

// wait returns when j is done or, as a cancelled job, has left the batch.
func (e *engine) wait(ctx context.Context, j *job) error {
	select {
	case <-j.done:
		return j.err
	case <-ctx.Done():
	}
	j.cancelled.Store(true)
	<-j.done
	if j.err != nil {
		return j.err
	}
	return ctx.Err()
}

// close ends the engine once all jobs have ended.
func (e *engine) close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return ErrClosed
	}
	e.closed = true
	e.wake.Signal()
	e.mu.Unlock()
	<-e.exited
	e.w.exec.Close()
	e.w.free()
	e.encoding.x.Free()
	return e.arena.close()
}

// run is the engine's goroutine: each turn takes waiting sequences, encodes a
// little, decodes one step and takes its turn at copies.
func (e *engine) run() {
	defer close(e.exited)
	for e.await() {
		e.admit()
		e.dropCancelled()
		e.encode()
		e.decode()
		e.copies.advance(e.w.exec)
	}
}

// await blocks while there is nothing to do. It reports false when the engine
// is closed and idle.
func (e *engine) await() bool {
	if len(e.active)+len(e.encoding.seqs)+len(e.taken[Interactive])+len(e.taken[Bulk]) > 0 {
		return true
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	idle := time.AfterFunc(trimAfter, e.wake.Signal)
	defer idle.Stop()
	start := time.Now()
	for len(e.queues[Interactive])+len(e.queues[Bulk]) == 0 {
		if e.closed {
			return false
		}
		if e.copies.pending() {
			return true
		}
		e.wake.Wait()
		if time.Since(start) >= trimAfter {
			e.arena.trim(0)
			e.unused = shrinkAfter - 1
			e.shrink()
		}
	}
	return true
}

// admit takes sequences from the queues while rows and memory last.
func (e *engine) admit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.dropQueued()
	for {
		lane, ok := e.nextLane()
		if !ok || !e.take(lane) && !(lane == Bulk && e.take(Interactive)) {
			return
		}
	}
}

// dropQueued takes cancelled jobs out of the queues.
func (e *engine) dropQueued() {
	for lane := range e.queues {
		e.queues[lane] = slices.DeleteFunc(e.queues[lane], func(j *job) bool {
			if !j.cancelled.Load() {
				return false
			}
			j.end(len(j.seqs) - j.queued)
			return true
		})
	}
}

// nextLane picks the lane to take from.
func (e *engine) nextLane() (Lane, bool) {
	interactive, bulk := len(e.queues[Interactive]) > 0, len(e.queues[Bulk]) > 0
	if interactive && (!bulk || e.streak < bulkShare) {
		return Interactive, true
	}
	return Bulk, bulk
}

// take admits the next sequence of a lane. It reports false if there is none or
// no room for it.
func (e *engine) take(lane Lane) bool {
	if len(e.queues[lane]) == 0 {
		return false
	}
	j := e.queues[lane][0]
	s := j.seqs[j.queued]
	total := e.rows[Interactive] + e.rows[Bulk]
	if total > 0 && (total+s.rows > maxStepRows || e.rows[lane]+s.rows > maxLaneRows) || !e.arena.promise(s.pages) {
		return false
	}
	e.streak++
	if lane == Bulk {
		e.streak = 0
	}
	e.rows[lane] += s.rows
	e.taken[lane] = append(e.taken[lane], s)
	e.advanceQueue(lane)
	return true
}

// advanceQueue moves past a sequence of the first job of a lane. The job goes
// to the end of its queue, so that jobs take turns however long they are.
func (e *engine) advanceQueue(lane Lane) {
	q := e.queues[lane]
	j := q[0]
	j.queued++
	copy(q, q[1:])
	if j.queued < len(j.seqs) {
		q[len(q)-1] = j
		return
	}
	q[len(q)-1] = nil
	e.queues[lane] = q[:len(q)-1]
}

// encode runs a part of the encoder and moves encoded sequences to decoding.
func (e *engine) encode() {
	if len(e.encoding.seqs) == 0 && !e.beginEncoding() {
		return
	}
	if !e.encoder.advance(&e.w.workspace, &e.encoding, max(1, encodeWork/e.encoding.m)) {
		return
	}
	b := &e.encoding
	for _, s := range b.seqs {
		for range s.source {
			s.memory = append(s.memory, s.memSlots.next())
		}
	}
	e.decoder.memoryKeys(&e.w, b.seqs, b.x.Floats(b.m*e.encoder.d), b.m, e.encoder.d)
	for _, s := range b.seqs {
		s.search = s.newSearch()
	}
	e.active = append(e.active, b.seqs...)
	b.seqs = nil
	e.unused = 0
}

// shrink gives back what the encoder needed, far more than decoding does, once
// some steps went by without it.
func (e *engine) shrink() {
	if e.unused++; e.unused != shrinkAfter || len(e.encoding.seqs) > 0 {
		return
	}
	e.encoding.x.Shrink()
	e.w.shrink()
}

// beginEncoding batches sequences that wait for the encoder.
func (e *engine) beginEncoding() bool {
	limit := encodeRows
	if len(e.active) > 0 {
		limit = busyEncodeRows
	}
	var batch []*sequence
	tokens := 0
	for lane, waiting := range e.taken {
		n := 0
		for ; n < len(waiting) && (len(batch) == 0 || tokens+len(waiting[n].source) <= limit); n++ {
			batch = append(batch, waiting[n])
			tokens += len(waiting[n].source)
		}
		e.taken[lane] = slices.Delete(waiting, 0, n)
	}
	if len(batch) == 0 {
		return false
	}
	if len(e.active) == 0 && e.unused >= shrinkAfter {
		e.arena.trim(cacheKept)
	}
	e.encoder.begin(&e.encoding, batch)
	return true
}

// decode runs one step of all active sequences.
func (e *engine) decode() {
	if len(e.active) == 0 {
		return
	}
	e.shrink()
	e.batch.rows = e.batch.rows[:0]
	for _, s := range e.active {
		s.batch = &e.batch
		s.search.feed(s)
	}
	e.checkPositions()
	if len(e.batch.rows) > 0 {
		e.decoder.step(&e.w, e.batch.rows)
	}
	e.active = e.retire(e.active, func(s *sequence) bool { return s.err != nil || s.search.advance(s) })
}

// checkPositions fails sequences that go beyond the model's positions and takes
// their rows out of the step, which the others' rows run in.
func (e *engine) checkPositions() {
	limit := e.decoder.positions.limit()
	if limit == 0 {
		return
	}
	failed := false
	for i := range e.batch.rows {
		if r := &e.batch.rows[i]; r.pos >= limit {
			r.seq.err = fmt.Errorf("%w: the model has no position encodings beyond %d: set a smaller maximum decoding length", ErrInvalidOptions, limit)
			failed = true
		}
	}
	if failed {
		e.batch.rows = slices.DeleteFunc(e.batch.rows, func(r row) bool { return r.seq.err != nil })
	}
}

// dropCancelled takes the sequences of cancelled jobs out. Those that are being
// encoded lie among others: they go when all are cancelled, or are encoded.
func (e *engine) dropCancelled() {
	cancelled := func(s *sequence) bool { return s.job.cancelled.Load() }
	for lane := range e.taken {
		e.taken[lane] = e.retire(e.taken[lane], cancelled)
	}
	e.active = e.retire(e.active, cancelled)
	if !slices.ContainsFunc(e.encoding.seqs, func(s *sequence) bool { return !cancelled(s) }) {
		e.encoding.seqs = e.retire(e.encoding.seqs, cancelled)
	}
}

// retire ends the sequences that are over and returns the others.
func (e *engine) retire(seqs []*sequence, over func(*sequence) bool) []*sequence {
	return slices.DeleteFunc(seqs, func(s *sequence) bool {
		if !over(s) {
			return false
		}
		s.slots.release()
		s.memSlots.release()
		e.arena.unpromise(s.pages)
		e.rows[s.job.lane] -= s.rows
		if s.err != nil && s.job.err == nil {
			s.job.err = s.err
			s.job.cancelled.Store(true) // the others' results would be lost anyway
		}
		s.job.end(1)
		return true
	})
}

// end counts n sequences as over and wakes the caller after the last.
func (j *job) end(n int) {
	if j.left -= n; j.left == 0 {
		close(j.done)
	}
}
