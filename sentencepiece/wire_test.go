package sentencepiece_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
)

// Kinds of pieces in a model file.
const (
	normal = 1 + iota
	unknown
	control
	userDefined
	unused
	byteValue
)

// Field numbers of a model file and its parts.
const (
	fieldPiece, fieldTrainer, fieldNormalizer, fieldDenormalizer = 1, 2, 3, 5

	fieldAlgorithm, fieldByteFallback, fieldUnknownSurface = 3, 35, 44

	fieldCharsmap, fieldDummyPrefix, fieldRemoveExtra = 2, 3, 4
)

// Fields of a protocol buffer.
func bytesField[T string | []byte](number int, value T) []byte {
	b := binary.AppendUvarint(nil, uint64(number)<<3|2)
	b = binary.AppendUvarint(b, uint64(len(value)))
	return append(b, value...)
}

func varintField(number int, value uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(number)<<3), value)
}

func pieceField(text string, score float32, kind uint64) []byte {
	scoreField := binary.LittleEndian.AppendUint32([]byte{2<<3 | 5}, math.Float32bits(score))
	return bytesField(fieldPiece, slices.Concat(bytesField(1, text), scoreField, varintField(3, kind)))
}

// trainer and normalizer wrap fields of a model's specs.
func trainer(fields ...[]byte) []byte { return bytesField(fieldTrainer, slices.Concat(fields...)) }

func normalizer(fields ...[]byte) []byte {
	return bytesField(fieldNormalizer, slices.Concat(fields...))
}

// tinyModel is a model of few pieces; more fields override its own.
func tinyModel(more ...[]byte) []byte {
	model := slices.Concat(
		pieceField("<unk>", 0, unknown),
		pieceField("<s>", 0, control),
		pieceField("▁", -3, normal),
		pieceField("a", -3, normal),
		pieceField("b", -3, normal),
		pieceField("▁a", -2, normal),
		pieceField("ab", -2, normal),
		pieceField("▁ab", -1, normal),
	)
	return slices.Concat(model, slices.Concat(more...))
}

// bytePieces are the pieces that byte fallback needs.
func bytePieces() []byte {
	var b []byte
	for i := range 256 {
		b = append(b, pieceField(fmt.Sprintf("<0x%02X>", i), 0, byteValue)...)
	}
	return b
}

// charsmapOf lays out a precompiled charsmap.
func charsmapOf(units []uint32, replacements string) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(4*len(units)))
	for _, u := range units {
		b = binary.LittleEndian.AppendUint32(b, u)
	}
	return append(b, replacements...)
}
