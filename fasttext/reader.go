package fasttext

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

// ErrInvalidModel says that a file is no fastText model that can be used:
// truncated, inconsistent, or of a kind that this package does not read.
var ErrInvalidModel = errors.New("fasttext: invalid model")

// reader walks a model file. Its first error sticks, and what it returns after
// that is zero.
type reader struct {
	data []byte
	off  int
	err  error
}

func (r *reader) fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: at byte %d: %s", ErrInvalidModel, r.off, fmt.Sprintf(format, args...))
	}
}

// take returns the next n bytes, or nil.
func (r *reader) take(n int64, what string) []byte {
	if r.err != nil {
		return nil
	}
	if n < 0 || n > int64(len(r.data)-r.off) {
		r.fail("the file ends within %s: %d bytes wanted, %d left", what, n, len(r.data)-r.off)
		return nil
	}
	b := r.data[r.off : r.off+int(n) : r.off+int(n)]
	r.off += int(n)
	return b
}

func (r *reader) i32(what string) int {
	if b := r.take(4, what); b != nil {
		return int(int32(binary.LittleEndian.Uint32(b)))
	}
	return 0
}

func (r *reader) i64(what string) int64 {
	if b := r.take(8, what); b != nil {
		return int64(binary.LittleEndian.Uint64(b))
	}
	return 0
}

func (r *reader) flag(what string) bool {
	b := r.take(1, what)
	return len(b) == 1 && b[0] != 0
}

// maxWord is the most bytes that a word may have.
const maxWord = 64 << 10

// word reads bytes up to a NUL.
func (r *reader) word() string {
	if r.err != nil {
		return ""
	}
	n := bytes.IndexByte(r.data[r.off:], 0)
	if n < 0 {
		r.fail("a word has no end")
		return ""
	}
	if n > maxWord {
		r.fail("a word of %d bytes", n)
		return ""
	}
	w := string(r.data[r.off : r.off+n])
	r.off += n + 1
	return w
}

// floats reads n float32.
func (r *reader) floats(n int64, what string) []float32 {
	if n > math.MaxInt64/4 {
		r.fail("%s is too large", what)
		return nil
	}
	b := r.take(4*n, what)
	if b == nil {
		return nil
	}
	out := make([]float32, n)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		if x := float64(out[i]); math.IsNaN(x) || math.IsInf(x, 0) {
			r.fail("element %d of %s is not a number", i, what)
			return nil
		}
	}
	return out
}
