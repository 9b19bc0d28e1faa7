package ctranslate2

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strings"
	"unsafe"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// A loader turns variables into layers. It notes which variables were asked
// for, so that one that no layer knows is an error. Its first error sticks.
type loader struct {
	bin     *binaryModel
	names   []string // of all variables, sorted
	used    map[*Variable]bool
	compute DataType // Int8 or Float32: how weights of Dense layers are used
	epsilon *float32 // of every LayerNorm; nil: the default of its kind
	weights map[*Variable]*weights
	vectors map[*Variable][]float32 // that were converted
	s8      []*kernels.S8Weights    // all of them, for the compensation terms
	err     error
}

// truncates reports whether quantization truncates instead of rounding, as
// models before binary version 5 want it.
func (l *loader) truncates() bool { return l.bin.version < 5 }

func (l *loader) fail(format string, args ...any) {
	if l.err == nil {
		l.err = fmt.Errorf("%w: %s", ErrInvalidModel, fmt.Sprintf(format, args...))
	}
}

// unknown returns an error that names a variable that no layer asked for.
func (l *loader) unknown() error {
	names := slices.DeleteFunc(slices.Clone(l.names), func(name string) bool { return l.used[l.bin.variables[name]] })
	if len(names) == 0 {
		return nil
	}
	return fmt.Errorf("%w: variable %q is not known to this runtime (%d such in all): the model has a feature that is not supported", ErrInvalidModel, names[0], len(names))
}

// A scope is a place in the tree of variable names.
type scope struct {
	l    *loader
	path string
}

func (s scope) at(format string, args ...any) scope {
	return scope{s.l, s.join(fmt.Sprintf(format, args...))}
}

func (s scope) join(name string) string {
	if s.path == "" {
		return name
	}
	return s.path + "/" + name
}

// find returns the variable name in s, or nil.
func (s scope) find(name string) *Variable {
	v := s.l.bin.variables[s.join(name)]
	if v != nil {
		s.l.used[v] = true
	}
	return v
}

// exists reports whether any variable lies below s.
func (s scope) exists() bool {
	prefix := s.path + "/"
	i, _ := slices.BinarySearch(s.l.names, prefix)
	return i < len(s.l.names) && strings.HasPrefix(s.l.names[i], prefix)
}

// number returns a scalar attribute, or def if the model has none.
func (s scope) number(name string, def float64) float64 {
	v := s.find(name)
	if v == nil {
		return def
	}
	if v.Len() != 1 {
		s.l.fail("attribute %q is not a scalar: its shape is %v", v.Name, v.Shape)
		return def
	}
	switch d := v.Data; v.Type {
	case Int8:
		return float64(int8(d[0]))
	case Int16:
		return float64(int16(binary.LittleEndian.Uint16(d)))
	case Int32:
		return float64(int32(binary.LittleEndian.Uint32(d)))
	}
	f := s.l.floats(v)
	return float64(f[0])
}

func (s scope) integer(name string, def int) int { return int(s.number(name, float64(def))) }

func (s scope) flag(name string, def bool) bool {
	d := 0.0
	if def {
		d = 1
	}
	return s.number(name, d) != 0
}

// text returns a string attribute, stored as a vector of bytes.
func (s scope) text(name, def string) string {
	if v := s.find(name); v != nil && v.Type == Int8 {
		return string(v.Data)
	}
	return def
}

// reject fails if the model sets an attribute or a layer that would change the
// result and that this runtime does not have.
func (s scope) reject(names ...string) {
	for _, name := range names {
		if s.at("%s", name).exists() {
			s.l.fail("%q is not supported", s.join(name))
			return
		}
		v := s.find(name)
		if v == nil {
			continue
		}
		if v.Len() != 1 || s.number(name, 0) != 0 {
			s.l.fail("%q is not supported", v.Name)
			return
		}
	}
}

// vector returns a variable of n elements as float32 (n < 0: any number), or
// nil if the model has none.
func (s scope) vector(name string, n int) []float32 {
	v := s.find(name)
	if v == nil {
		return nil
	}
	if n >= 0 && v.Len() != n {
		s.l.fail("variable %q has shape %v, %d elements are needed", v.Name, v.Shape, n)
		return make([]float32, n)
	}
	return s.l.floats(v)
}

// matrix returns a rank 2 variable, or nil after an error.
func (s scope) matrix(name string) *Variable {
	v := s.find(name)
	switch {
	case v == nil:
		s.l.fail("variable %q is missing", s.join(name))
	case len(v.Shape) != 2 || v.Shape[0] == 0 || v.Shape[1] == 0:
		s.l.fail("variable %q has shape %v, a matrix is needed", v.Name, v.Shape)
	default:
		return v
	}
	return nil
}

// floats returns v's elements as float32. A float32 variable is used where it
// lies in the file; others are converted, once however many names they have.
func (l *loader) floats(v *Variable) []float32 {
	if v.Type == Float32 {
		return view[float32](v.Data)
	}
	out := l.vectors[v]
	if out == nil {
		out = make([]float32, v.Len())
		l.convert(out, v)
		l.vectors[v] = out
	}
	return out
}

func (l *loader) convert(dst []float32, v *Variable) {
	switch v.Type {
	case Float16:
		kernels.Float16ToFloat32(dst, view[uint16](v.Data))
	case BFloat16:
		kernels.BFloat16ToFloat32(dst, view[uint16](v.Data))
	default:
		l.fail("variable %q has type %s, a float type is needed", v.Name, v.Type)
	}
}

// view reads little-endian bytes as a slice of T, in place. The bytes may lie
// at any alignment: every architecture that this package is built for loads
// unaligned words.
func view[T int8 | int16 | uint16 | float32](b []byte) []T {
	if len(b) == 0 {
		return nil
	}
	var t T
	return unsafe.Slice((*T)(unsafe.Pointer(unsafe.SliceData(b))), len(b)/int(unsafe.Sizeof(t)))
}

// finite reports whether all of x are numbers. It is the check on vectors that
// every token passes through, so that a damaged model is refused at load.
func finite(x []float32) bool {
	for _, v := range x {
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return false
		}
	}
	return true
}
