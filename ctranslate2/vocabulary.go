package ctranslate2

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"math/bits"
	"strings"
	"unicode/utf8"

	"github.com/sematech/sema/ctranslate2/memory"
)

// A Vocabulary maps tokens to ids and back. It is immutable and safe to use
// from concurrent goroutines.
type Vocabulary struct {
	tokens *tokenList
	// table has at each place a token's id + 1, or 0: where the token's hash says,
	// or at the first free place behind. A fifth of the places is free, so that a token
	// is found in three looks on average (Knuth, volume 3, 6.4).
	table []int32
	seed  maphash.Seed

	bos, eos, unk string
}

// tokenList holds a large vocabulary in little memory, for the garbage collector
// to pass over.
type tokenList struct {
	text strings.Builder // all tokens, one behind the other
	ends []int32         // of the tokens in text
}

// newTokenList returns an empty list with room for n tokens of some bytes in all.
func newTokenList(n, bytes int) *tokenList {
	l := &tokenList{ends: make([]int32, 0, n)}
	l.text.Grow(bytes)
	return l
}

func (l *tokenList) add(token []byte) {
	l.text.Write(token)
	l.ends = append(l.ends, int32(l.text.Len()))
}

func (l *tokenList) at(i int) string {
	start := int32(0)
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.text.String()[start:l.ends[i]]
}

// Size returns the number of ids, including an appended unknown token.
func (v *Vocabulary) Size() int { return len(v.tokens.ends) }

// ID returns the id of token and whether the vocabulary has it.
func (v *Vocabulary) ID(token string) (int, bool) {
	id := *v.place(token)
	return int(id) - 1, id > 0
}

// place returns the place of token in the table, which is 0 if the vocabulary
// lacks it.
func (v *Vocabulary) place(token string) *int32 {
	i, _ := bits.Mul64(maphash.String(v.seed, token), uint64(len(v.table)))
	for ; ; i++ {
		if i == uint64(len(v.table)) {
			i = 0
		}
		if p := &v.table[i]; *p == 0 || v.tokens.at(int(*p-1)) == token {
			return p
		}
	}
}

// Token returns the token of id, or the unknown token for an id out of range.
func (v *Vocabulary) Token(id int) string {
	if id < 0 || id >= v.Size() {
		return v.unk
	}
	return v.tokens.at(id)
}

// EOS returns the end token, BOS the begin token, Unknown the unknown token.
func (v *Vocabulary) EOS() string     { return v.eos }
func (v *Vocabulary) BOS() string     { return v.bos }
func (v *Vocabulary) Unknown() string { return v.unk }

// id returns token's id, or the unknown token's.
func (v *Vocabulary) id(token string) int32 {
	if id, ok := v.ID(token); ok {
		return int32(id)
	}
	return *v.place(v.unk) - 1
}

// lookup returns token's id, or an error that names the token.
func (v *Vocabulary) lookup(token string) (int32, error) {
	if id, ok := v.ID(token); ok {
		return int32(id), nil
	}
	return 0, fmt.Errorf("%w: token %q is not in the vocabulary", ErrInvalidOptions, token)
}

func newVocabulary(tokens *tokenList, c *modelConfig) *Vocabulary {
	v := &Vocabulary{tokens: tokens, seed: maphash.MakeSeed(), bos: c.BOSToken, eos: c.EOSToken, unk: c.UnkToken}
	v.table = make([]int32, v.Size()+v.Size()/4+2) // one more may come, and one is free
	for i := range v.Size() {
		if p := v.place(v.tokens.at(i)); *p == 0 { // the first of duplicates wins
			*p = int32(i) + 1
		}
	}
	if p := v.place(v.unk); *p == 0 {
		v.tokens.add([]byte(v.unk))
		*p = int32(v.Size())
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
	parse func([]byte) (*tokenList, error)
}{{".json", parseJSONVocabulary}, {".txt", parseTextVocabulary}}

// loadVocabulary reads name.json or else name.txt; nil if neither is there.
func loadVocabulary(fsys fs.FS, name string, c *modelConfig) (*Vocabulary, error) {
	var buffer memory.Buffer // a large text would be the heap's largest garbage
	defer buffer.Free()
	for _, f := range vocabularyFormats {
		data, err := readVocabulary(fsys, name+f.ext, &buffer)
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

// maxVocabularyBytes keeps places in a vocabulary's text within int32.
const maxVocabularyBytes = 1 << 30

// readVocabulary reads a file into the buffer.
func readVocabulary(fsys fs.FS, name string, buffer *memory.Buffer) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() > maxVocabularyBytes {
		return nil, fmt.Errorf("%w: %s has %d bytes, the limit is %d", ErrInvalidModel, name, info.Size(), maxVocabularyBytes)
	}
	data := buffer.Grow(int(info.Size()))
	if _, err := io.ReadFull(f, data); err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrInvalidModel, name, err)
	}
	return data, nil
}

// parseJSONVocabulary reads a list of strings. Few have escapes: the others are
// taken as they stand, which is many times faster than encoding/json.
func parseJSONVocabulary(data []byte) (*tokenList, error) {
	if !json.Valid(data) {
		return nil, json.Unmarshal(data, new([]string)) // says where
	}
	n := bytes.Count(data, []byte{'"'}) / 2
	tokens := newTokenList(n+1, max(len(data)-3*n, 0)) // but for quotes and commas
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(data, jsonSpace), []byte("["))
	for rest = bytes.TrimLeft(rest, jsonSpace); ok && rest[0] == '"'; rest = bytes.TrimLeft(rest, jsonSpace+",") {
		n, plain := stringLength(rest)
		token := rest[1 : n-1]
		if !plain {
			token = unescape(rest[:n])
		}
		tokens.add(token)
		rest = rest[n:]
	}
	if !ok || rest[0] != ']' {
		return nil, fmt.Errorf("it is not a list of strings (the first %d are)", len(tokens.ends))
	}
	return tokens, nil
}

const jsonSpace = " \t\r\n"

// stringLength returns the length of the JSON string that valid JSON begins with,
// and whether it is ASCII or UTF-8 without escapes.
func stringLength(data []byte) (n int, plain bool) {
	plain = true
	for n = 1; data[n] != '"'; n++ {
		if data[n] == '\\' {
			plain = false
			n++
		}
	}
	n++
	return n, plain && utf8.Valid(data[:n])
}

func unescape(quoted []byte) []byte {
	var s string
	_ = json.Unmarshal(quoted, &s) // it is valid
	return []byte(s)
}

// parseTextVocabulary reads a token a line. A carriage return belongs to the
// token, unless every line has one.
func parseTextVocabulary(data []byte) (*tokenList, error) {
	if len(data) == 0 {
		return nil, errors.New("it is empty")
	}
	lines := bytes.Split(bytes.TrimSuffix(data, []byte("\n")), []byte("\n"))
	dos := true
	for _, l := range lines {
		dos = dos && bytes.HasSuffix(l, []byte("\r"))
	}
	tokens := newTokenList(len(lines)+1, len(data))
	for _, l := range lines {
		if dos {
			l = l[:len(l)-1]
		}
		tokens.add(l)
	}
	return tokens, nil
}
