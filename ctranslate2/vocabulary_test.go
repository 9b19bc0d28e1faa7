package ctranslate2_test

import (
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/sematech/sema/ctranslate2"
)

// openVocabulary opens the tiny model, which has eight tokens, with another
// vocabulary.
func openVocabulary(t *testing.T, vocabulary []byte) (*ctranslate2.Vocabulary, error) {
	t.Helper()
	files := newTiny().files()
	files["shared_vocabulary.json"].Data = vocabulary
	tr, err := openFS(files)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { tr.Close() })
	return tr.SourceVocabulary(), nil
}

// sameTokens wants v to have the tokens, with the first of equals' ids, and behind
// them nothing but an unknown token.
func sameTokens(t *testing.T, v *ctranslate2.Vocabulary, tokens []string) {
	t.Helper()
	first := map[string]int{}
	for i, token := range tokens {
		if _, ok := first[token]; !ok {
			first[token] = i
		}
		if got := v.Token(i); got != token {
			t.Errorf("token %d is %q, not %q", i, got, token)
		}
		if id, ok := v.ID(token); !ok || id != first[token] {
			t.Errorf("%q has id %d, %v, not %d", token, id, ok, first[token])
		}
	}
	if _, ok := first[v.Unknown()]; !ok {
		first[v.Unknown()] = len(tokens)
		tokens = append(tokens, v.Unknown())
	}
	if v.Size() != len(tokens) || v.Token(len(tokens)) != v.Unknown() || v.Token(-1) != v.Unknown() {
		t.Errorf("it has %d tokens, not %d", v.Size(), len(tokens))
	}
	for _, absent := range []string{"absent", "", "<unk", "ab", "a\x00"} {
		if _, known := first[absent]; known {
			continue
		}
		if id, ok := v.ID(absent); ok {
			t.Errorf("%q has id %d, but is not in the vocabulary", absent, id)
		}
	}
}

var spelledVocabularies = []string{
	tinyVocabulary,
	`["<s>","</s>","a","b","c","d","e","f"]`, // without an unknown token
	`["<s>","</s>","a","a","a","","b","a"]`,
	" [ \"<unk>\" ,\r\n\t\"<s>\",\"<\\/s>\",\"\\u2581\\\"\", \"\\ud83d\\ude00\",\"\\\\\",\"\\\\\\\"\",\"▁ɗ,]\" ]\n",
	"[\"<unk>\",\"<s>\",\"</s>\",\"\xff\",\"\\ud800\",\"\\u0000\",\"]\",\",\"]",
}

func TestVocabularySpellings(t *testing.T) {
	for _, spelled := range spelledVocabularies {
		v, err := openVocabulary(t, []byte(spelled))
		if err != nil {
			t.Errorf("%s: %v", spelled, err)
			continue
		}
		var tokens []string
		if err := json.Unmarshal([]byte(spelled), &tokens); err != nil {
			t.Fatal(err)
		}
		sameTokens(t, v, tokens)
	}
}

// FuzzVocabulary wants what encoding/json reads: nothing where it fails.
func FuzzVocabulary(f *testing.F) {
	for _, spelled := range spelledVocabularies {
		f.Add([]byte(spelled))
	}
	for _, bad := range []string{"", "[", "{}", "3", `"a"`, "null", "[null]", `["a",["b"]]`, `["a"],`, `["a",]`, `[,"a"]`, `["a" "b"]`, "[\"a\x01\"]", `["\x"]`} {
		f.Add([]byte(bad))
	}
	f.Fuzz(func(t *testing.T, spelled []byte) {
		v, err := openVocabulary(t, spelled)
		var tokens []string
		if wrong := json.Unmarshal(spelled, &tokens); wrong != nil && err == nil {
			t.Fatalf("%q was read, though %v", spelled, wrong)
		}
		if err == nil {
			sameTokens(t, v, tokens)
		}
	})
}

// otherSize says that its vocabulary has another size than it has.
type otherSize struct {
	fs.FS
	size int64
}

func (o otherSize) Open(name string) (fs.File, error) {
	f, err := o.FS.Open(name)
	if name == "shared_vocabulary.json" && err == nil {
		return otherSizeFile{f, o.size}, nil
	}
	return f, err
}

type otherSizeFile struct {
	fs.File
	size int64
}

func (f otherSizeFile) Stat() (fs.FileInfo, error) {
	info, err := f.File.Stat()
	return otherSizeInfo{info, f.size}, err
}

type otherSizeInfo struct {
	fs.FileInfo
	size int64
}

func (i otherSizeInfo) Size() int64 { return i.size }

// TestVocabularySizes gives a vocabulary that is too large to be read at all, and one
// that ends before it should, as on a disk that fails.
func TestVocabularySizes(t *testing.T) {
	files := newTiny().files()
	refused(t, otherSize{files, 1 << 40}, "shared_vocabulary.json has 1099511627776 bytes, the limit is")
	refused(t, otherSize{files, 1 << 20}, "shared_vocabulary.json: unexpected EOF")
}
