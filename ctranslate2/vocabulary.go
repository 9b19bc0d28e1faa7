package ctranslate2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
)

// A Vocabulary maps tokens to ids and back. It is immutable and safe to use
// from concurrent goroutines.
type Vocabulary struct {
	tokens []string
	ids    map[string]int32

	bos, eos, unk string
}

// Size returns the number of ids, including an appended unknown token.
func (v *Vocabulary) Size() int { return len(v.tokens) }

// ID returns the id of token and whether the vocabulary has it.
func (v *Vocabulary) ID(token string) (int, bool) {
	id, ok := v.ids[token]
	return int(id), ok
}

// Token returns the token of id, or the unknown token for an id out of range.
func (v *Vocabulary) Token(id int) string {
	if id < 0 || id >= len(v.tokens) {
		return v.unk
	}
	return v.tokens[id]
}

// EOS returns the end token, BOS the begin token, Unknown the unknown token.
func (v *Vocabulary) EOS() string     { return v.eos }
func (v *Vocabulary) BOS() string     { return v.bos }
func (v *Vocabulary) Unknown() string { return v.unk }

// id returns token's id, or the unknown token's.
func (v *Vocabulary) id(token string) int32 {
	if id, ok := v.ids[token]; ok {
		return id
	}
	return v.ids[v.unk]
}

// lookup returns token's id, or an error that names the token.
func (v *Vocabulary) lookup(token string) (int32, error) {
	if id, ok := v.ids[token]; ok {
		return id, nil
	}
	return 0, fmt.Errorf("%w: token %q is not in the vocabulary", ErrInvalidOptions, token)
}

func newVocabulary(tokens []string, c *modelConfig) *Vocabulary {
	v := &Vocabulary{ids: make(map[string]int32, len(tokens)+1), bos: c.BOSToken, eos: c.EOSToken, unk: c.UnkToken}
	v.tokens = tokens
	for i, t := range tokens {
		if _, ok := v.ids[t]; !ok { // the first of duplicates wins
			v.ids[t] = int32(i)
		}
	}
	if _, ok := v.ids[v.unk]; !ok {
		v.ids[v.unk] = int32(len(v.tokens))
		v.tokens = append(v.tokens, v.unk)
	}
	return v
}

// loadVocabularies reads the shared vocabulary, or the target's and the source's.
func loadVocabularies(fsys fs.FS, c *modelConfig) (source, target *Vocabulary, err error) {
	shared, err := loadVocabulary(fsys, "shared_vocabulary", c)
	if err != nil || shared != nil {
		return shared, shared, err
	}
	if target, err = loadVocabulary(fsys, "target_vocabulary", c); err != nil {
		return nil, nil, err
	}
	if source, err = loadVocabulary(fsys, "source_vocabulary", c); err != nil {
		return nil, nil, err
	}
	if target == nil {
		return nil, nil, fmt.Errorf("%w: it has neither shared_vocabulary nor target_vocabulary (.json or .txt)", ErrInvalidModel)
	}
	if source == nil {
		if v, _ := loadVocabulary(fsys, "source_1_vocabulary", c); v != nil {
			return nil, nil, fmt.Errorf("%w: it has source features (source_1_vocabulary), which are not supported", ErrInvalidModel)
		}
		return nil, nil, fmt.Errorf("%w: it has no source_vocabulary (.json or .txt)", ErrInvalidModel)
	}
	return source, target, nil
}

var vocabularyFormats = []struct {
	ext   string
	parse func([]byte) ([]string, error)
}{{".json", parseJSONVocabulary}, {".txt", parseTextVocabulary}}

// loadVocabulary reads name.json or else name.txt; nil if neither is there.
func loadVocabulary(fsys fs.FS, name string, c *modelConfig) (*Vocabulary, error) {
	for _, f := range vocabularyFormats {
		data, err := fs.ReadFile(fsys, name+f.ext)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		tokens, err := f.parse(data)
		if err != nil {
			return nil, fmt.Errorf("%w: %s: %v", ErrInvalidModel, name+f.ext, err)
		}
		return newVocabulary(tokens, c), nil
	}
	return nil, nil
}

func parseJSONVocabulary(data []byte) ([]string, error) {
	var tokens []string
	if err := json.Unmarshal(data, &tokens); err != nil {
		return nil, err
	}
	return tokens, nil
}

// parseTextVocabulary reads a token a line. A carriage return belongs to the
// token, unless every line has one.
func parseTextVocabulary(data []byte) ([]string, error) {
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	dos := true
	for _, l := range lines {
		dos = dos && bytes.HasSuffix(l, []byte("\r"))
	}
	tokens := make([]string, len(lines))
	for i, l := range lines {
		if dos {
			l = l[:len(l)-1]
		}
		tokens[i] = string(l)
	}
	return tokens, nil
}
