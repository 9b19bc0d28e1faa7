package sentencepiece

import "math"

// pieceKind is ModelProto.SentencePiece.Type.
type pieceKind uint8

const (
	kindNormal      pieceKind = 1
	kindUnknown     pieceKind = 2
	kindControl     pieceKind = 3
	kindUserDefined pieceKind = 4
	kindUnused      pieceKind = 5
	kindByte        pieceKind = 6
)

// matchable reports whether text may be segmented into pieces of this kind, or
// through them. Control, unknown and byte pieces are never found in text.
func (k pieceKind) matchable() bool {
	return k == kindNormal || k == kindUserDefined || k == kindUnused
}

// algorithm is TrainerSpec.ModelType.
type algorithm uint8

const (
	algorithmUnigram algorithm = 1
	algorithmBPE     algorithm = 2
	algorithmWord    algorithm = 3
	algorithmChar    algorithm = 4
)

// piece is an entry of the vocabulary; its index there is its ID.
type piece struct {
	text  string
	score float32
	kind  pieceKind
	value byte // the byte that a piece of kindByte stands for
}

// model is what a .model file says, before anything is derived from it.
type model struct {
	pieces           []piece
	algorithm        algorithm
	byteFallback     bool
	whitespaceSuffix bool
	unknownSurface   string
	normalizer       normalizerSpec
	denormalizer     normalizerSpec
}

// normalizerSpec is NormalizerSpec without what only training needs.
type normalizerSpec struct {
	charsmap               string
	addDummyPrefix         bool
	removeExtraWhitespaces bool
	escapeWhitespaces      bool
}

// Field tags of sentencepiece_model.proto.
const (
	tagPieces       = 1<<3 | wireBytes
	tagTrainer      = 2<<3 | wireBytes
	tagNormalizer   = 3<<3 | wireBytes
	tagDenormalizer = 5<<3 | wireBytes

	tagPieceText  = 1<<3 | wireBytes
	tagPieceScore = 2<<3 | wireFixed32
	tagPieceKind  = 3<<3 | wireVarint

	tagTrainerAlgorithm        = 3<<3 | wireVarint
	tagTrainerWhitespaceSuffix = 24<<3 | wireVarint
	tagTrainerByteFallback     = 35<<3 | wireVarint
	tagTrainerUnknownSurface   = 44<<3 | wireBytes

	tagNormalizerCharsmap    = 2<<3 | wireBytes
	tagNormalizerDummyPrefix = 3<<3 | wireVarint
	tagNormalizerRemoveExtra = 4<<3 | wireVarint
	tagNormalizerEscape      = 5<<3 | wireVarint
)

// parseModel reads the protocol buffer ModelProto. The strings of the result
// are substrings of data.
func parseModel(data string) (*model, error) {
	spec := normalizerSpec{addDummyPrefix: true, removeExtraWhitespaces: true, escapeWhitespaces: true}
	m := &model{
		algorithm:      algorithmUnigram,
		unknownSurface: " \u2047 ",
		normalizer:     spec,
		denormalizer:   spec,
	}
	err := walkFields(data, func(f field) error {
		switch f.tag {
		case tagPieces:
			p, err := parsePiece(f.bytes)
			m.pieces = append(m.pieces, p)
			return err
		case tagTrainer:
			return m.parseTrainer(f.bytes)
		case tagNormalizer:
			return m.normalizer.parse(f.bytes)
		case tagDenormalizer:
			return m.denormalizer.parse(f.bytes)
		}
		return nil
	})
	return m, err
}

func parsePiece(message string) (piece, error) {
	p := piece{kind: kindNormal}
	err := walkFields(message, func(f field) error {
		switch f.tag {
		case tagPieceText:
			p.text = f.bytes
		case tagPieceScore:
			p.score = math.Float32frombits(uint32(f.scalar))
		case tagPieceKind:
			// An enum value from the future is an unknown field.
			if f.scalar >= uint64(kindNormal) && f.scalar <= uint64(kindByte) {
				p.kind = pieceKind(f.scalar)
			}
		}
		return nil
	})
	return p, err
}

func (m *model) parseTrainer(message string) error {
	return walkFields(message, func(f field) error {
		switch f.tag {
		case tagTrainerAlgorithm:
			if f.scalar >= uint64(algorithmUnigram) && f.scalar <= uint64(algorithmChar) {
				m.algorithm = algorithm(f.scalar)
			}
		case tagTrainerWhitespaceSuffix:
			m.whitespaceSuffix = f.scalar != 0
		case tagTrainerByteFallback:
			m.byteFallback = f.scalar != 0
		case tagTrainerUnknownSurface:
			m.unknownSurface = f.bytes
		}
		return nil
	})
}

func (s *normalizerSpec) parse(message string) error {
	return walkFields(message, func(f field) error {
		switch f.tag {
		case tagNormalizerCharsmap:
			s.charsmap = f.bytes
		case tagNormalizerDummyPrefix:
			s.addDummyPrefix = f.scalar != 0
		case tagNormalizerRemoveExtra:
			s.removeExtraWhitespaces = f.scalar != 0
		case tagNormalizerEscape:
			s.escapeWhitespaces = f.scalar != 0
		}
		return nil
	})
}
