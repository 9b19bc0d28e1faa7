package ctranslate2

import (
	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/ctranslate2/memory"
)

// workspace holds what the layers need while they run. One engine has one.
type workspace struct {
	exec *kernels.Executor
	q    kernels.QuantizedRows

	normed  memory.Buffer // [m][d], the normalized input of a sub-layer that takes floats, or the output layer's
	wide    memory.Buffer // [m][3d] or [m][ffn]: queries, keys and values, or inner activations
	gate    memory.Buffer // [m][ffn]
	context memory.Buffer // [m][d], what attention read

	encoderTask encoderAttention
	decoderTask decoderAttention
	normTask    normTask
}

func (w *workspace) buffers() []*memory.Buffer {
	return []*memory.Buffer{&w.normed, &w.wide, &w.gate, &w.context}
}
