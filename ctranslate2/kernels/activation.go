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
	case None:
	case ReLU:
		for i, v := range x {
			x[i] = max(v, 0)
		}
	default:
		f := functions[a]
		for i, v := range x {
			x[i] = float32(f(float64(v)))
		}
	}
}

var functions = [...]func(float64) float64{
	GELU:        func(x float64) float64 { return 0.5 * x * (1 + math.Erf(x/math.Sqrt2)) },
	GELUTanh:    func(x float64) float64 { return 0.5 * x * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(x+0.044715*x*x*x))) },
	GELUSigmoid: func(x float64) float64 { return x * sigmoid(1.702*x) },
	Swish:       func(x float64) float64 { return x * sigmoid(x) },
	Sigmoid:     sigmoid,
	Tanh:        math.Tanh,
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
