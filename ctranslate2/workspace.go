package ctranslate2

import "github.com/sematech/sema/ctranslate2/kernels"

// buffer is memory that is grown once and used again by every step.
type buffer []float32

// grow returns the first n elements, whose content is undefined.
func (b *buffer) grow(n int) []float32 {
	if cap(*b) < n {
		*b = make([]float32, n+n/4)
	}
	return (*b)[:n]
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
