package ctranslate2

import (
	"errors"
	"io"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// copies are weights in other forms, of which a step reads less: the coarse copy of an
// output layer that is too large for memory of the process's own, and transposed weights
// of what follows a ReLU, most of whose outputs are zeros. They are made while the model
// runs: the engine makes a piece at a time, between two steps, and a goroutine writes it
// to a file without a name, so that a slow disk holds up nobody. Once all of it is on the
// disk, the file is mapped and used. Results do not depend on it.
type copies struct {
	pieces []copyPiece
	use    []func(all []byte) // what each copy does when all are mapped
	total  int                // bytes
	made   chan struct{}      // closed when nothing is left to do

	turn   atomic.Bool   // the engine's, to make a piece or to use all
	piece  copyPiece     // to be made
	buffer []byte        // for it
	all    []byte        // mapped
	free   func() error  // unmaps it
	used   bool          // all is, by the engine
	over   chan struct{} // the engine's turn is over
	closed chan struct{}
}

// copyPiece is a piece of the copies: bytes that fill makes.
type copyPiece struct {
	bytes int
	fill  func(e *kernels.Executor, dst []byte)
}

const (
	// copyBytes is about how many bytes a piece has: two milliseconds' work.
	copyBytes = 1 << 20
	// copiesPay is the least that copies have in all: fewer are in the processor's caches.
	copiesPay = 8 << 20
)

// errClosed: the model was closed before its copies were made.
var errClosed = errors.New("ctranslate2: closed while copying weights")

// newCopies plans the copies of c's weights, also the coarse one of its output layer.
func newCopies(c *decoder, coarse bool) *copies {
	k := &copies{made: make(chan struct{}), over: make(chan struct{}, 1), closed: make(chan struct{})}
	for _, l := range c.layers {
		if f := l.ffn; f.activation == kernels.ReLU && f.gate == nil && f.down.s8 != nil {
			k.planTransposed(f.down.s8)
		}
	}
	if coarse {
		k.planCoarse(c)
	}
	return k
}

// planTransposed plans a transposed copy of w, if there can be one.
func (k *copies) planTransposed(w *kernels.S8Weights) {
	size, from := w.TransposedBytes(), k.total
	if size == 0 {
		return
	}
	for k0 := 0; k0 < w.K; {
		t := &transposeTask{w: w, k0: k0, k1: min(k0+max(copyBytes/w.N/transposeInputs, 1)*transposeInputs, w.K)}
		k.plan((t.k1-t.k0)*w.N, t.run)
		k0 = t.k1
	}
	k.use = append(k.use, func(all []byte) { w.UseTransposed(all[from : from+size]) })
}

// planCoarse plans the coarse copy of the output layer.
func (k *copies) planCoarse(c *decoder) {
	copied, from, fit := c.projection.coarse(make([]byte, kernels.BoundBytes(c.projection.n))), k.total, true
	for i := 0; i < copied.Panels(); {
		j := min(i+max(copyBytes/copied.PanelBytes(), 1), copied.Panels())
		k.plan((j-i)*copied.PanelBytes(), func(i int) func(*kernels.Executor, []byte) {
			return func(e *kernels.Executor, dst []byte) { fit = fit && e.Coarsen(copied, i, j, dst) }
		}(i))
		i = j
	}
	to := k.total
	k.use = append(k.use, func(all []byte) {
		if fit {
			c.useCoarse(copied, all[from:to])
		}
	})
}

func (k *copies) plan(bytes int, fill func(*kernels.Executor, []byte)) {
	k.pieces = append(k.pieces, copyPiece{bytes, fill})
	k.total += bytes
}

// start writes the copies to a file in the folder dir, where leave bytes must stay free,
// and reports how that ended, unless they are too few to matter. wake must make the engine
// take its turn.
func (k *copies) start(dir string, leave int64, wake func(), report func(bytes int, took time.Duration, err error)) {
	if dir == "" || k.total < copiesPay {
		k.pieces = nil
		close(k.made)
		return
	}
	go func() {
		defer close(k.made)
		start := time.Now()
		if err := k.write(dir, leave, wake); report != nil && !errors.Is(err, errClosed) {
			report(k.total, time.Since(start), err)
		}
	}()
}

// write has the engine make all pieces, one by one, and then use them.
func (k *copies) write(dir string, leave int64, wake func()) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := memory.Nameless(dir, int64(k.total), leave)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(k.writePieces(f, wake), f.Sync()); err != nil { // what a disk fails to keep is not used
		return err
	}
	all, unmap, err := memory.Map(f, k.total)
	if err != nil {
		return err
	}
	k.all, k.buffer, k.free = all, nil, unmap
	if err := k.await(wake); err != nil {
		return errors.Join(err, unmap())
	}
	return nil
}

// writePieces writes all pieces to f as the engine makes them, in huge pages.
func (k *copies) writePieces(f io.Writer, wake func()) error {
	var buffer memory.Buffer
	defer buffer.Free()
	most := slices.MaxFunc(k.pieces, func(a, b copyPiece) int { return a.bytes - b.bytes }).bytes
	room, n := buffer.Grow(memory.HugePage+most), 0
	for _, k.piece = range k.pieces {
		k.buffer = room[n : n+k.piece.bytes]
		if err := k.await(wake); err != nil {
			return err
		}
		for n += k.piece.bytes; n >= memory.HugePage; n = copy(room, room[memory.HugePage:n]) {
			if _, err := f.Write(room[:memory.HugePage]); err != nil {
				return err
			}
		}
	}
	_, err := f.Write(room[:n])
	return err
}

// await lets the engine take its turn.
func (k *copies) await(wake func()) error {
	k.turn.Store(true)
	wake()
	select {
	case <-k.over:
		return nil
	case <-k.closed:
		return errClosed
	}
}

// pending reports whether it is the engine's turn.
func (k *copies) pending() bool { return k.turn.Load() }

// advance takes the engine's turn, if it is.
func (k *copies) advance(e *kernels.Executor) {
	if !k.turn.CompareAndSwap(true, false) {
		return
	}
	if k.all == nil {
		k.piece.fill(e, k.buffer)
	} else {
		for _, use := range k.use {
			use(k.all)
		}
		k.used = true
	}
	k.over <- struct{}{}
}

// close ends the making of copies, and their memory. The engine must have ended. It does
// not wait for the disk.
func (k *copies) close() error {
	close(k.closed)
	if !k.used {
		return nil
	}
	return k.free()
}

// transposeTask makes inputs k0..k1 of a transposed copy.
type transposeTask struct {
	w      *kernels.S8Weights
	dst    []byte // [k1-k0][N]
	k0, k1 int
}

// transposeInputs is how many inputs a thread transposes at a time: some lines of each row.
const transposeInputs = 256

func (t *transposeTask) run(e *kernels.Executor, dst []byte) {
	t.dst = dst
	e.Parallel((t.k1-t.k0+transposeInputs-1)/transposeInputs, t)
	t.dst = nil
}

// Do transposes some of the inputs.
func (t *transposeTask) Do(_, i int) {
	from := t.k0 + i*transposeInputs
	to := min(from+transposeInputs, t.k1)
	t.w.Transpose(t.dst[(from-t.k0)*t.w.N:(to-t.k0)*t.w.N], from, to)
}
