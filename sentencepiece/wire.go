package sentencepiece

import "errors"

// Protocol buffer wire types. Groups (3 and 4) do not occur in this format.
const (
	wireVarint  = 0
	wireFixed64 = 1
	wireBytes   = 2
	wireFixed32 = 5
)

var errTruncated = errors.New("truncated or malformed protocol buffer")

// field is one decoded protocol buffer field. The tag holds the number and the
// wire type, so a known number with a foreign wire type is an unknown field,
// as in protobuf itself.
type field struct {
	tag    uint64 // number<<3 | wire type
	scalar uint64 // for wireVarint, wireFixed32 and wireFixed64
	bytes  string // for wireBytes, a substring of the message
}

// walkFields calls visit for each field of message, in order.
func walkFields(message string, visit func(field) error) error {
	for len(message) > 0 {
		f, rest, ok := cutField(message)
		if !ok {
			return errTruncated
		}
		if err := visit(f); err != nil {
			return err
		}
		message = rest
	}
	return nil
}

func cutField(message string) (f field, rest string, ok bool) {
	if f.tag, message, ok = cutVarint(message); !ok {
		return f, "", false
	}
	switch f.tag & 7 {
	case wireVarint:
		f.scalar, message, ok = cutVarint(message)
	case wireFixed64:
		f.scalar, message, ok = cutFixed(message, 8)
	case wireFixed32:
		f.scalar, message, ok = cutFixed(message, 4)
	case wireBytes:
		var size uint64
		size, message, ok = cutVarint(message)
		if !ok || size > uint64(len(message)) {
			return f, "", false
		}
		f.bytes, message = message[:size], message[size:]
	default:
		return f, "", false
	}
	return f, message, ok
}

func cutVarint(message string) (v uint64, rest string, ok bool) {
	for i := 0; i < len(message) && i < 10; i++ {
		v |= uint64(message[i]&0x7f) << (7 * i)
		if message[i] < 0x80 {
			return v, message[i+1:], true
		}
	}
	return 0, "", false
}

func cutFixed(message string, size int) (v uint64, rest string, ok bool) {
	if len(message) < size {
		return 0, "", false
	}
	for i := range size {
		v |= uint64(message[i]) << (8 * i)
	}
	return v, message[size:], true
}
