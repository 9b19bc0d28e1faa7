package kernels

import "math"

// Add adds x to dst.
func Add(dst, x []float32) { active.f32.add(dst[:len(x)], x) }

// Mul multiplies dst by x.
func Mul(dst, x []float32) { active.f32.mul(dst[:len(x)], x) }

// Scale writes x·s to dst.
func Scale(dst, x []float32, s float32) { active.f32.scale(dst[:len(x)], x, s) }

// DequantizeS8 writes q/scale to dst, as q·(1/scale).
func DequantizeS8(dst []float32, q []int8, scale float32) {
	active.f32.dequantS8(dst[:len(q)], q, 1/scale)
}

// DequantizeS16 writes q/scale to dst, as q·(1/scale).
func DequantizeS16(dst []float32, q []int16, scale float32) {
	active.f32.dequantS16(dst[:len(q)], q, 1/scale)
}

// Float16ToFloat32 converts IEEE half precision, exactly.
func Float16ToFloat32(dst []float32, src []uint16) { active.f32.float16(dst[:len(src)], src) }

// BFloat16ToFloat32 converts brain floats, exactly.
func BFloat16ToFloat32(dst []float32, src []uint16) { active.f32.bfloat16(dst[:len(src)], src) }

func float16Generic(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = fromHalf(h)
	}
}

func bfloat16Generic(dst []float32, src []uint16) {
	for i, h := range src {
		dst[i] = math.Float32frombits(uint32(h) << 16)
	}
}

func fromHalf(h uint16) float32 {
	sign, exponent, fraction := uint32(h>>15)<<31, uint32(h>>10&31), uint32(h&1023)
	switch exponent {
	case 31: // infinity and NaN
		return math.Float32frombits(sign | 255<<23 | fraction<<13)
	case 0: // zero and subnormal numbers: fraction·2⁻²⁴
		return math.Float32frombits(sign | math.Float32bits(float32(fraction)*0x1p-24))
	}
	return math.Float32frombits(sign | (exponent+112)<<23 | fraction<<13)
}
