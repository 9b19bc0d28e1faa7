package ctranslate2

import (
	"encoding/binary"
	"fmt"
	"math"
)

// DataType is the element type of a stored variable.
type DataType uint8

// The data types, numbered as they are stored.
const (
	Float32 DataType = iota
	Int8
	Int16
	Int32
	Float16
	BFloat16
)

var dataTypes = [...]struct {
	name string
	size int
}{{"float32", 4}, {"int8", 1}, {"int16", 2}, {"int32", 4}, {"float16", 2}, {"bfloat16", 2}}

func (t DataType) String() string {
	if int(t) < len(dataTypes) {
		return dataTypes[t].name
	}
	return fmt.Sprintf("DataType(%d)", uint8(t))
}

func (t DataType) isFloat() bool { return t == Float32 || t == Float16 || t == BFloat16 }

// Newest versions that this package reads.
const (
	maxBinaryVersion = 6
	maxSpecRevision  = 7
	specName         = "TransformerSpec"
)

// A Variable is one named tensor of a model. Its bytes are little-endian,
// row-major, at any alignment, and belong to the mapped file.
type Variable struct {
	Name  string
	Shape []int // empty for a scalar
	Type  DataType
	Data  []byte
}

// Len returns the number of elements.
func (v *Variable) Len() int { return len(v.Data) / dataTypes[v.Type].size }

// binaryModel is a parsed model.bin.
type binaryModel struct {
	version  uint32
	revision uint32
	// variables by name; an alias points to the variable that it names.
	variables map[string]*Variable
}

// binaryReader walks model.bin. Its first error sticks.
type binaryReader struct {
	data []byte
	off  int
	err  error
}

func (r *binaryReader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrInvalidModel, r.off, fmt.Sprintf(format, args...))
	}
}

// take returns the next n bytes, or nil after an error.
func (r *binaryReader) take(n int, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > len(r.data)-r.off {
		r.fail("file ends within %s: %d bytes wanted, %d left", what, n, len(r.data)-r.off)
		return nil
	}
	b := r.data[r.off : r.off+n : r.off+n]
	r.off += n
	return b
}

func (r *binaryReader) u8(what string) int {
	if b := r.take(1, what); b != nil {
		return int(b[0])
	}
	return 0
}

func (r *binaryReader) u16(what string) int {
	if b := r.take(2, what); b != nil {
		return int(binary.LittleEndian.Uint16(b))
	}
	return 0
}

func (r *binaryReader) u32(what string) uint32 {
	if b := r.take(4, what); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

// str reads a string whose stored length includes a trailing NUL.
func (r *binaryReader) str(what string) string {
	n := r.u16(what)
	if r.err == nil && n == 0 {
		r.fail("%s has length 0", what)
	}
	b := r.take(n, what)
	if len(b) == 0 {
		return ""
	}
	return string(b[:n-1])
}

// parseBinary reads a whole model.bin of any version up to 6.
func parseBinary(data []byte) (*binaryModel, error) {
	r := &binaryReader{data: data}
	m := &binaryModel{revision: 1}
	m.version = r.u32("the binary version")
	if r.err == nil && (m.version == 0 || m.version > maxBinaryVersion) {
		r.fail("binary version %d is not supported: this build reads 1 to %d", m.version, maxBinaryVersion)
	}
	if m.version >= 2 {
		if name := r.str("the spec name"); r.err == nil && name != specName && name != "TransformerBase" && name != "TransformerBig" {
			r.fail("model specification %q is not supported: only encoder-decoder Transformers are (%s)", name, specName)
		}
		m.revision = r.u32("the spec revision")
	}
	if r.err == nil && m.revision > maxSpecRevision {
		r.fail("spec revision %d is not supported: this build reads up to %d", m.revision, maxSpecRevision)
	}
	r.variables(m)
	if m.version >= 3 {
		r.aliases(m)
	}
	if r.err == nil && r.off != len(data) {
		r.fail("%d bytes follow the last record", len(data)-r.off)
	}
	if r.err != nil {
		return nil, r.err
	}
	return m, nil
}

// minVariableBytes is the least that a variable's record takes: it bounds the
// table's size by the file's.
const minVariableBytes = 2 + 1 + 1 + 1 + 4

func (r *binaryReader) variables(m *binaryModel) {
	n := int(r.u32("the number of variables"))
	if r.err == nil && n > (len(r.data)-r.off)/minVariableBytes {
		r.fail("%d variables cannot fit in the %d bytes left", n, len(r.data)-r.off)
	}
	if r.err != nil {
		return
	}
	m.variables = make(map[string]*Variable, n)
	for i := 0; i < n && r.err == nil; i++ {
		v := r.variable(m.version)
		if r.err != nil {
			return
		}
		if m.variables[v.Name] != nil {
			r.fail("variable %q appears twice", v.Name)
		}
		m.variables[v.Name] = v
	}
}

func (r *binaryReader) variable(version uint32) *Variable {
	v := &Variable{Name: r.str("a variable's name")}
	rank := r.u8("the rank of " + v.Name)
	count := 1
	for d := 0; d < rank && r.err == nil; d++ {
		dim := int(r.u32("the shape of " + v.Name))
		if dim != 0 && count > math.MaxInt32*64/dim {
			r.fail("the shape of variable %q overflows", v.Name)
		}
		count *= dim
		v.Shape = append(v.Shape, dim)
	}
	bytes := r.payload(v, version)
	if r.err == nil && bytes != count*dataTypes[v.Type].size {
		r.fail("variable %q of shape %v and type %s needs %d bytes, its record says %d",
			v.Name, v.Shape, v.Type, count*dataTypes[v.Type].size, bytes)
	}
	v.Data = r.take(bytes, "variable "+v.Name)
	return v
}

// payload reads the type and the size in bytes of v's data.
func (r *binaryReader) payload(v *Variable, version uint32) int {
	if version >= 4 {
		t := r.u8("the type of " + v.Name)
		if r.err == nil && t >= len(dataTypes) {
			r.fail("variable %q has the unknown data type %d", v.Name, t)
		}
		v.Type = DataType(t)
		return int(r.u32("the size of " + v.Name))
	}
	size := r.u8("the item size of " + v.Name)
	switch size {
	case 4:
		v.Type = Float32
	case 2:
		v.Type = Int16
	case 1:
		v.Type = Int8
	default:
		r.fail("variable %q has items of %d bytes", v.Name, size)
	}
	return int(r.u32("the item count of "+v.Name)) * size
}

// aliases reads the alias table. Every alias of X also aliases X_scale, which
// the table does not list.
func (r *binaryReader) aliases(m *binaryModel) {
	n := int(r.u32("the number of aliases"))
	for i := 0; i < n && r.err == nil; i++ {
		alias, name := r.str("an alias"), r.str("an alias's target")
		if r.err != nil {
			return
		}
		target := m.variables[name]
		if target == nil {
			r.fail("alias %q names the variable %q, which the file does not have", alias, name)
			return
		}
		m.alias(alias, name)
		m.alias(alias+"_scale", name+"_scale")
	}
}

// alias makes name known as alias as well, if name exists and alias is free.
func (m *binaryModel) alias(alias, name string) {
	if v := m.variables[name]; v != nil && m.variables[alias] == nil {
		m.variables[alias] = v
	}
}
