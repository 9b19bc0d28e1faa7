package ctranslate2

import (
	"os"
	"sync"

	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// copies are weights in other forms, of which a step reads less: the coarse copy of an
// output layer that is too large for memory of the process's own, and transposed weights
// of what follows a ReLU, most of whose outputs are zeros. They are made piece by piece,
// between steps, on the engine's threads, in memory of a file, and are used as soon as they
// are there: results do not depend on them.
type copies struct {
	pieces []func(*kernels.Executor) // that are left to make
	made   chan struct{}             // closed when none is left
	end    func()                    // closes made, once
	free   func() error
}

// copyBytes is about how many bytes of weights a piece is made of: two milliseconds' work.
const copyBytes = 1 << 20

// newCopies plans the copies of c's weights, in a file in the folder dir, or none if dir
// is empty, has no room, or they are too few to matter.
func newCopies(c *decoder, dir string, coarse bool) *copies {
	k := &copies{made: make(chan struct{}), free: func() error { return nil }}
	k.end = sync.OnceFunc(func() { close(k.made) })
	layers := c.rectified()
	coarseBytes, total := 0, 0
	if coarse && c.coarse == nil {
		coarseBytes = kernels.CoarseBytes(c.projection.n, c.projection.k)
	}
	for _, w := range layers {
		total += w.TransposedBytes()
	}
	if total += coarseBytes; dir != "" && total >= coarsePays && os.MkdirAll(dir, 0o700) == nil {
		if room, free, err := memory.OnDisk(dir, total); err == nil { // without it decoding is slower, not different
			k.free = free
			rest := total - coarseBytes
			k.planCoarse(c, room[rest:])
			k.planTransposed(layers, room[:rest]) // whole pages: all lines of it start where the cache's do
		}
	}
	if !k.pending() {
		k.end()
	}
	return k
}

// rectified returns the weights whose inputs are what ReLU leaves.
func (c *decoder) rectified() []*kernels.S8Weights {
	var all []*kernels.S8Weights
	for _, l := range c.layers {
		if f := l.ffn; f.activation == kernels.ReLU && f.gate == nil && f.down.s8 != nil {
			all = append(all, f.down.s8)
		}
	}
	return all
}

// planCoarse plans the coarse copy of the output layer in room, if there is any.
func (k *copies) planCoarse(c *decoder, room []byte) {
	if len(room) == 0 {
		return
	}
	copied, fit := c.projection.coarse(room), true
	panels := copied.Panels()
	n := max(panels*copyBytes/int(c.projection.bytes()), 1)
	for i := 0; i < panels; i += n {
		k.pieces = append(k.pieces, func(e *kernels.Executor) {
			fit = fit && e.Coarsen(copied, i, min(i+n, panels))
			if fit && i+n >= panels {
				c.useCoarse(copied, len(room))
			}
		})
	}
}

// planTransposed plans transposed copies of layers, one behind the other in room.
func (k *copies) planTransposed(layers []*kernels.S8Weights, room []byte) {
	for _, w := range layers {
		size := w.TransposedBytes()
		if size == 0 {
			continue
		}
		t := &transposeTask{w: w, dst: room[:size]}
		room = room[size:]
		tasks := (w.K + transposeInputs - 1) / transposeInputs
		n := max(copyBytes/(transposeInputs*w.N), 1)
		for i := 0; i < tasks; i += n {
			k.pieces = append(k.pieces, func(e *kernels.Executor) {
				t.first = i
				e.Parallel(min(n, tasks-i), t)
				if i+n >= tasks {
					w.UseTransposed(t.dst)
				}
			})
		}
	}
}

// transposeTask makes a transposed copy, some inputs a piece.
type transposeTask struct {
	w     *kernels.S8Weights
	dst   []byte // [K][N]
	first int    // piece
}

// transposeInputs is how many inputs a thread transposes at a time: some lines of each row.
const transposeInputs = 256

// Do makes piece i of those from the first on.
func (t *transposeTask) Do(_, i int) {
	k0 := (t.first + i) * transposeInputs
	k1 := min(k0+transposeInputs, t.w.K)
	t.w.Transpose(t.dst[k0*t.w.N:k1*t.w.N], k0, k1)
}

// pending reports whether something is left to make.
func (k *copies) pending() bool { return len(k.pieces) > 0 }

// advance makes the next piece.
func (k *copies) advance(e *kernels.Executor) {
	if !k.pending() {
		return
	}
	k.pieces[0](e)
	if k.pieces = k.pieces[1:]; !k.pending() {
		k.end()
	}
}
