package kernels

import "math"

// Activation is a function applied to each value.
type Activation uint8

// The activations.
const (
	None        Activation = iota
	ReLU                   // max(x, 0)
	GELU                   // x·Φ(x), by erf
	GELUTanh               // GELU by its tanh approximation
	GELUSigmoid            // x·σ(1.702x)
	Swish                  // x·σ(x)
	Sigmoid                // σ(x)
	Tanh
)

// apply applies a to each value of x.
func (a Activation) apply(x []float32) {
	switch a {
	case ReLU:
		for i, v := range x {
			x[i] = max(v, 0)
		}
	case GELU:
		active.f32.gelu(x)
	case GELUTanh:
		// (1 + tanh y)/2 = σ(2y) with y = √(2/π)·(x + 0.044715·x³).
		const c = 2 * math.Sqrt2 / (math.SqrtPi)
		active.f32.gate(x, c, c*0.044715)
	case GELUSigmoid:
		active.f32.gate(x, 1.702, 0)
	case Swish:
		active.f32.gate(x, 1, 0)
	case Sigmoid:
		for i, v := range x {
			x[i] = float32(sigmoid(float64(v)))
		}
	case Tanh:
		for i, v := range x {
			x[i] = float32(math.Tanh(float64(v)))
		}
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

func gateGeneric(x []float32, c1, c3 float32) {
	for i, v := range x {
		y := float64(v)
		x[i] = float32(y * sigmoid(y*(float64(c1)+float64(c3)*y*y)))
	}
}

func geluGeneric(x []float32) {
	for i, v := range x {
		y := float64(v)
		x[i] = float32(y / 2 * math.Erfc(-y/math.Sqrt2))
	}
}
