package kernels

// LayerNorm normalizes x into dst: (x - mean)/√(variance + eps)·gamma + beta.
// As in CTranslate2 the variance is max(E[x²] - mean², 0), in one pass.
func LayerNorm(dst, x, gamma, beta []float32, eps float32) {
	if len(x) == 0 {
		return
	}
	active.f32.layerNorm(dst[:len(x)], x, gamma[:len(x)], beta[:len(x)], eps)
}

// RMSNorm normalizes x into dst: x/√(E[x²] + eps)·gamma.
func RMSNorm(dst, x, gamma []float32, eps float32) {
	active.f32.rmsNorm(dst[:len(x)], x, gamma[:len(x)], eps)
}

// Softmax replaces x by exp(x - max)/Σ exp(x - max).
func Softmax(x []float32) {
	if len(x) > 0 {
		active.f32.softmax(x)
	}
}

// Max returns the largest value, or -Inf for none. NaN never is.
func Max(x []float32) float32 { return active.f32.max(x) }

// SumExp returns Σ exp(x - top).
func SumExp(x []float32, top float32) float32 { return active.f32.sumExp(x, top) }
