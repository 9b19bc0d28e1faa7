package ctranslate2

import "github.com/sematech/sema/ctranslate2/kernels"

// buffer is memory that is grown once and used again by every step. It lies
// outside the Go heap, so that what a long text needed goes back at once.
type buffer struct {
	memory []byte
	floats []float32
}

// grow returns the first n elements, whose content is undefined. What it
// returned before is gone.
func (b *buffer) grow(n int) []float32 {
	if len(b.floats) < n {
		b.free()
		b.allocate(n + n/4)
	}
	return b.floats[:n]
}

func (b *buffer) allocate(n int) {
	memory, err := reserve(4 * n)
	if err != nil { // the heap can only fail louder
		b.floats = make([]float32, n)
		return
	}
	b.memory, b.floats = memory, view[float32](memory)
}

// bufferKept is how much of a buffer stays committed when it is shrunk.
const bufferKept = 64 << 10

// shrink gives all but the first bytes of b back to the system.
func (b *buffer) shrink() {
	if len(b.memory) > bufferKept {
		decommit(b.memory[bufferKept:])
	}
}

func (b *buffer) free() {
	if b.memory != nil {
		_ = unreserve(b.memory)
	}
	*b = buffer{}
}

// workspace holds what the layers need while they run. One engine has one.
type workspace struct {
	exec *kernels.Executor
	q    kernels.QuantizedRows

	normed  buffer // [m][d], the normalized input of a sub-layer
	wide    buffer // [m][3d] or [m][ffn]: queries, keys and values, or inner activations
	gate    buffer // [m][ffn]
	context buffer // [m][d], what attention read

	encoderTask encoderAttention
	decoderTask decoderAttention
	normTask    normTask
}

func (w *workspace) buffers() []*buffer {
	return []*buffer{&w.normed, &w.wide, &w.gate, &w.context}
}
