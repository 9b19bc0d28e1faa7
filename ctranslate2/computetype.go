package ctranslate2

import (
	"fmt"
	"strings"
)

// resolveComputeType returns the type in which the weights are used, Int8 or
// Float32, for a requested compute type and the type that they are stored in.
// The rules are CTranslate2's on a CPU: float16 and bfloat16 compute in
// float32, and an int16 model is re-quantized to int8 unless asked otherwise.
func resolveComputeType(requested string, stored DataType) (DataType, error) {
	switch strings.ToLower(requested) {
	case "", "default":
		if stored == Int8 || stored == Int16 {
			return Int8, nil
		}
		return Float32, nil
	case "auto", "int8", "int8_float32", "int8_float16", "int8_bfloat16":
		return Int8, nil
	case "float32", "float16", "bfloat16", "int16":
		return Float32, nil
	}
	return 0, fmt.Errorf("%w: unknown compute type %q: default, auto, int8, int8_float32, int8_float16, int8_bfloat16, int16, float32, float16 and bfloat16 are known", ErrInvalidOptions, requested)
}

// storedWeightType returns the type in which m stores its weights: where they
// are of several, one that is quantized, if any is.
func (m *binaryModel) storedWeightType() DataType {
	stored := Float32
	for name, v := range m.variables {
		if strings.HasSuffix(name, "weight") && (v.Type == Int8 || v.Type == Int16) {
			stored = v.Type
		}
	}
	return stored
}
