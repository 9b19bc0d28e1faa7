// Package sentencepiece splits text into the pieces of a SentencePiece model and
// joins pieces to text, from the .model files that Google's library trains.
//
// Results are those of the reference implementation, version 0.2.3
// (github.com/google/sentencepiece), to the last piece: unigram, BPE, word and
// character models, the precompiled normalization rules, byte fallback,
// user-defined symbols and unused pieces. Training, sampling and n-best
// segmentation are not here.
package sentencepiece

import (
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
)

// ErrInvalidModel is wrapped by every error about a model file's content.
var ErrInvalidModel = errors.New("sentencepiece: invalid model")

// Processor is a loaded model. It never changes and is safe for concurrent use.
type Processor struct {
	vocabulary     *vocabulary
	normalizer     *normalizer
	denormalizer   *normalizer // nil unless the model brings rules for it
	segmenter      segmenter
	unknownSurface string
	pool           sync.Pool // of *scratch
}

// segmenter splits normalized text into pieces.
type segmenter interface {
	// segment appends spans that cover text, which is not empty, to s.spans.
	// Those that no piece covers have unknownID.
	segment(text []byte, s *scratch)
}

// Open reads the model file at path.
func Open(path string) (*Processor, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("sentencepiece: read model: %w", err)
	}
	p, err := Parse(data)
	if err != nil {
		return nil, fmt.Errorf("%w (file %s)", err, path)
	}
	return p, nil
}

// Parse reads a model from the content of its file. It keeps no reference to
// data. Every error wraps ErrInvalidModel.
func Parse(data []byte) (*Processor, error) {
	p, err := newProcessor(string(data))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidModel, err)
	}
	return p, nil
}

func newProcessor(data string) (*Processor, error) {
	m, err := parseModel(data)
	if err != nil {
		return nil, err
	}
	p := &Processor{unknownSurface: m.unknownSurface}
	if p.vocabulary, err = newVocabulary(m); err != nil {
		return nil, err
	}
	if p.normalizer, err = newNormalizer(m.normalizer, p.vocabulary.symbols, m.whitespaceSuffix); err != nil {
		return nil, err
	}
	if m.denormalizer.charsmap != "" {
		if p.denormalizer, err = newNormalizer(m.denormalizer, nil, false); err != nil {
			return nil, err
		}
	}
	p.segmenter = newSegmenter(m.algorithm, p.vocabulary)
	p.pool.New = func() any { return &scratch{splits: map[int32]int32{}} }
	return p, nil
}

func newSegmenter(a algorithm, v *vocabulary) segmenter {
	switch a {
	case algorithmBPE:
		return newBPE(v)
	case algorithmWord:
		return words{v}
	case algorithmChar:
		return chars{v}
	default:
		return newUnigram(v)
	}
}

// Size returns the number of pieces. IDs go from 0 to Size()-1.
func (p *Processor) Size() int { return len(p.vocabulary.pieces) }

// ID returns the ID of piece; for text that is no piece that of the unknown
// piece, -1 if the model has none.
func (p *Processor) ID(piece string) int { return int(p.vocabulary.id(piece)) }

// Piece returns the piece with this ID, "" if it is outside the vocabulary.
func (p *Processor) Piece(id int) string {
	if id < 0 || id >= p.Size() {
		return ""
	}
	return p.vocabulary.pieces[id].text
}

// Encode normalizes text and splits it into pieces. Adjacent characters that no
// piece covers come as one piece with their own text, or with byte fallback as
// a piece for each byte. Bytes that are not UTF-8 become U+FFFD. What lies
// beyond 2 GiB of normalized text is left out.
func (p *Processor) Encode(text string) []string {
	s := p.acquire(text)
	defer p.release(s)
	pieces := make([]string, len(s.spans))
	start := 0
	for i, sp := range s.spans {
		if sp.id == p.vocabulary.unknown {
			pieces[i] = string(s.normalized[start:sp.end])
		} else {
			pieces[i] = p.vocabulary.pieces[sp.id].text
		}
		start = sp.end
	}
	return pieces
}

// EncodeIDs is Encode with IDs for pieces.
func (p *Processor) EncodeIDs(text string) []int {
	s := p.acquire(text)
	defer p.release(s)
	ids := make([]int, len(s.spans))
	for i, sp := range s.spans {
		ids[i] = int(sp.id)
	}
	return ids
}

// acquire encodes text into s.spans of a scratch, which the caller releases.
func (p *Processor) acquire(text string) *scratch {
	s := p.pool.Get().(*scratch)
	s.spans = s.spans[:0]
	s.normalized = p.normalizer.append(s.normalized[:0], text)
	s.normalized = s.normalized[:min(len(s.normalized), math.MaxInt32)]
	if len(s.normalized) > 0 {
		p.segmenter.segment(s.normalized, s)
		p.resolveUnknown(s)
	}
	return s
}

// release gives the scratch back, unless one long text has made it too large to
// keep.
func (p *Processor) release(s *scratch) {
	if cap(s.normalized) <= maxPooledText {
		p.pool.Put(s)
	}
}

// resolveUnknown gives adjacent unknown spans their final form: one span, or
// with byte fallback a span for each byte.
func (p *Processor) resolveUnknown(s *scratch) {
	v := p.vocabulary
	resolved := s.resolved[:0]
	start := 0
	for _, sp := range s.spans {
		switch n := len(resolved); {
		case sp.id != unknownID:
			resolved = append(resolved, sp)
		case v.byteFallback:
			for i := start; i < sp.end; i++ {
				resolved = append(resolved, span{end: i + 1, id: v.byteIDs[s.normalized[i]]})
			}
		case n > 0 && resolved[n-1].id == v.unknown:
			resolved[n-1].end = sp.end
		default:
			resolved = append(resolved, span{end: sp.end, id: v.unknown})
		}
		start = sp.end
	}
	s.spans, s.resolved = resolved, s.spans
}

// maxPooledText is the normalized text, in bytes, whose scratch is kept.
const maxPooledText = 1 << 20

// scratch is the memory that one encoding works in.
type scratch struct {
	normalized []byte
	spans      []span
	resolved   []span
	lattice    []pathNode      // unigram
	symbols    []symbol        // BPE
	merges     mergeQueue      // BPE
	splits     map[int32]int32 // BPE: bytes of the left part of an unused piece
}

// span is a piece of the normalized text; it starts where the one before ends.
type span struct {
	end int
	id  int32 // from a segmenter also unknownID
}
