package ctranslate2

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// Bounds of one turn of the engine.
const (
	maxStepRows = 64 // hypotheses in one decoding step
	// encodeRows is how many source tokens are encoded together; a longer
	// sequence is encoded alone.
	encodeRows = 512
	// encodeWork is how many tokens × layers are encoded between two decoding
	// steps: about the work of one step, so that running hypotheses keep half
	// their pace.
	encodeWork = 768
	// bulkShare is how many sequences of the interactive lane may be taken
	// before one of the bulk lane is, if both wait.
	bulkShare = 8
	trimAfter = time.Second // of idleness, the cache's memory is given back
)

// A job is one call of TranslateBatch.
type job struct {
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
	w       decoderWorkspace

	mu     sync.Mutex
	wake   *sync.Cond
	queues [2][]*job // by lane; jobs with sequences not yet taken
	streak int       // interactive sequences taken in a row
	closed bool
	exited chan struct{}

	taken    []*sequence // admitted, waiting for the encoder
	encoding encoding
	busy     bool // encoding is under way
	active   []*sequence
	rows     int // rows that admitted sequences may need in a step
	batch    stepBatch
}

func newEngine(m *model, threads, budget int) (*engine, error) {
	self := m.decoder.layers[0].self
	arena, err := newKVArena(kvLayout{len(m.decoder.layers), self.heads, self.dHead}, budget)
	if err != nil {
		return nil, err
	}
	e := &engine{encoder: m.encoder, decoder: m.decoder, arena: arena, exited: make(chan struct{})}
	e.wake = sync.NewCond(&e.mu)
	e.w.exec = kernels.NewExecutor(threads)
	e.w.arena = arena
	return e, nil
}

// submit queues a job.
func (e *engine) submit(j *job, lane Lane) error {
	for _, s := range j.seqs {
		if s.pages > e.arena.pages || s.rows > maxStepRows*4 {
			return fmt.Errorf("%w: %d source tokens, up to %d target tokens and a beam of %d need %d bytes, the budget is %d", ErrTooLarge,
				len(s.source), j.params.MaxDecodingLength, j.params.BeamSize, s.pages*4*e.arena.pageFloats(), e.arena.pages*4*e.arena.pageFloats())
		}
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	e.queues[lane] = append(e.queues[lane], j)
	e.wake.Signal()
	return nil
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
	return e.arena.close()
}

// run is the engine's goroutine: each turn takes waiting sequences, encodes a
// little and decodes one step.
func (e *engine) run() {
	defer close(e.exited)
	for e.await() {
		e.admit()
		e.encode()
		e.decode()
	}
}

// await blocks while there is nothing to do. It reports false when the engine
// is closed and idle.
func (e *engine) await() bool {
	if len(e.active) > 0 || e.busy || len(e.taken) > 0 {
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
		e.wake.Wait()
		if time.Since(start) >= trimAfter {
			e.arena.trim()
		}
	}
	return true
}

// admit takes sequences from the queues while rows and memory last.
func (e *engine) admit() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for {
		lane, ok := e.nextLane()
		if !ok {
			return
		}
		s := e.queues[lane][0].seqs[e.queues[lane][0].queued]
		if !s.job.cancelled.Load() {
			if e.rows > 0 && e.rows+s.rows > maxStepRows || !e.arena.promise(s.pages) {
				return
			}
			e.rows += s.rows
			e.taken = append(e.taken, s)
		}
		e.advanceQueue(lane)
		if s.job.cancelled.Load() && (len(e.taken) == 0 || e.taken[len(e.taken)-1] != s) {
			e.finished(s)
		}
	}
}

// nextLane picks the lane to take from.
func (e *engine) nextLane() (Lane, bool) {
	interactive, bulk := len(e.queues[Interactive]) > 0, len(e.queues[Bulk]) > 0
	switch {
	case interactive && (!bulk || e.streak < bulkShare):
		e.streak++
		return Interactive, true
	case bulk:
		e.streak = 0
		return Bulk, true
	}
	return 0, interactive
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
	if !e.busy && !e.beginEncoding() {
		return
	}
	layers := len(e.encoder.layers)
	if len(e.active) > 0 {
		layers = max(1, encodeWork/e.encoding.m)
	}
	if !e.encoder.advance(&e.w.workspace, &e.encoding, layers) {
		return
	}
	b := &e.encoding
	for _, s := range b.seqs {
		for range s.source {
			s.memory = append(s.memory, s.memSlots.next())
		}
	}
	e.decoder.memoryKeys(&e.w, b.seqs, b.x.grow(b.m*e.encoder.d), b.m, e.encoder.d)
	for _, s := range b.seqs {
		s.search = s.newSearch()
	}
	e.active = append(e.active, b.seqs...)
	b.seqs, e.busy = nil, false
}

// beginEncoding batches sequences that wait for the encoder.
func (e *engine) beginEncoding() bool {
	n, tokens := 0, 0
	for n < len(e.taken) && (n == 0 || tokens+len(e.taken[n].source) <= encodeRows) {
		tokens += len(e.taken[n].source)
		n++
	}
	if n == 0 {
		return false
	}
	e.encoder.begin(&e.encoding, append([]*sequence(nil), e.taken[:n]...))
	e.taken = append(e.taken[:0], e.taken[n:]...)
	e.busy = true
	return true
}

// decode runs one step of all active sequences.
func (e *engine) decode() {
	e.dropCancelled()
	if len(e.active) == 0 {
		return
	}
	e.batch.rows = e.batch.rows[:0]
	for _, s := range e.active {
		s.batch = &e.batch
		s.search.feed(s)
	}
	e.checkPositions()
	if len(e.batch.rows) > 0 {
		e.decoder.step(&e.w, e.batch.rows)
	}
	e.retire(func(s *sequence) bool { return s.err != nil || s.search.advance(s) })
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

func (e *engine) dropCancelled() {
	e.retire(func(s *sequence) bool { return s.job.cancelled.Load() })
}

// retire takes the sequences that are over out of the batch.
func (e *engine) retire(over func(*sequence) bool) {
	kept := e.active[:0]
	for _, s := range e.active {
		if !over(s) {
			kept = append(kept, s)
			continue
		}
		s.slots.release()
		s.memSlots.release()
		e.arena.unpromise(s.pages)
		e.rows -= s.rows
		e.finished(s)
	}
	clear(e.active[len(kept):])
	e.active = kept
}

// finished counts s as done and wakes its caller if it was the job's last.
func (e *engine) finished(s *sequence) {
	j := s.job
	if s.err != nil && j.err == nil {
		j.err = s.err
		j.cancelled.Store(true) // the others' results would be lost anyway
	}
	if j.left--; j.left == 0 {
		close(j.done)
	}
}
