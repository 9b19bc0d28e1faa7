package translate

import (
	"fmt"
	"strings"
)

// pieces is a tokenizer that lists its pieces.
type pieces interface {
	Size() int
	Piece(id int) string
}

// checkPieces refuses a tokenizer and a source vocabulary of different models:
// every word would be unknown. Of models that belong together one may be far
// larger than the other (vocabularies are padded or hold two languages, and are
// trimmed to what is used), but then most of the smaller one is in the other.
// That tokens are in a wrong order can't be seen here.
func (p *Pipeline) checkPieces(files Files) error {
	tokenizer, ok := p.models.SourceTokenizer.(pieces)
	if !ok {
		return nil
	}
	vocabulary := p.models.SourceVocabulary
	total, shared, tokens := 0, 0, 0
	for id := range tokenizer.Size() {
		if piece := tokenizer.Piece(id); p.frame.isText(piece) {
			total++
			if _, ok := vocabulary.ID(piece); ok {
				shared++
			}
		}
	}
	for id := range vocabulary.Size() {
		if p.frame.isText(vocabulary.Token(id)) {
			tokens++
		}
	}
	if 2*shared >= min(total, tokens) {
		return nil
	}
	return fmt.Errorf("%w: %s and the source vocabulary in %s are of different models: of %d pieces and %d tokens they share %d: put there the SentencePiece model and the shared_vocabulary or source_vocabulary that model.bin was made with",
		ErrInvalidModel, files.SourceTokenizer, files.Model, total, tokens, shared)
}

// isText tells normal pieces from <s>, bytes such as <0x0A>, and language tokens.
func (f *frame) isText(token string) bool {
	return token != "" && !f.special[token] && !(strings.HasPrefix(token, "<") && strings.HasSuffix(token, ">"))
}
