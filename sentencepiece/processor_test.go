package sentencepiece_test

import (
	"errors"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sematech/sema/sentencepiece"
)

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tiny.model")
	if err := os.WriteFile(path, tinyModel(), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := sentencepiece.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := p.Encode("ab a"), []string{"▁ab", "▁a"}; !slices.Equal(got, want) {
		t.Errorf("Encode = %q, want %q", got, want)
	}
	if _, err := sentencepiece.Open(path + ".none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: error %v, want fs.ErrNotExist", err)
	}
	if err := os.WriteFile(path, []byte("not a model"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sentencepiece.Open(path); !errors.Is(err, sentencepiece.ErrInvalidModel) || !strings.Contains(err.Error(), path) {
		t.Errorf("bad file: error %v, want ErrInvalidModel that names the file", err)
	}
}

func TestVocabulary(t *testing.T) {
	p, err := sentencepiece.Parse(tinyModel())
	if err != nil {
		t.Fatal(err)
	}
	if p.Size() != 8 {
		t.Errorf("Size = %d, want 8", p.Size())
	}
	for id := range p.Size() {
		if got := p.ID(p.Piece(id)); got != id {
			t.Errorf("ID(Piece(%d)) = %d", id, got)
		}
	}
	if got := p.ID("zebra"); got != 0 {
		t.Errorf("ID of no piece = %d, want that of <unk>", got)
	}
	if p.Piece(-1) != "" || p.Piece(8) != "" {
		t.Error("Piece outside the vocabulary is not empty")
	}
	for _, id := range []int{-1, 8} {
		if _, err := p.DecodeIDs([]int{3, id}); err == nil {
			t.Errorf("DecodeIDs with %d: no error", id)
		}
	}
}

func TestControlSymbolsAreNotFoundInText(t *testing.T) {
	for name, p := range processors(t) {
		if ids := p.EncodeIDs("a <s> b</s>"); slices.Contains(ids, p.ID("<s>")) || slices.Contains(ids, p.ID("</s>")) {
			t.Errorf("%s: text became a control symbol: %v", name, ids)
		}
	}
}

func TestByteFallbackWithoutUnknownPiece(t *testing.T) {
	p, err := sentencepiece.Parse(slices.Concat(
		pieceField("▁", -1, normal), bytePieces(), trainer(varintField(fieldByteFallback, 1))))
	if err != nil {
		t.Fatal(err)
	}
	pieces := p.Encode("é")
	if want := []string{"▁", "<0xC3>", "<0xA9>"}; !slices.Equal(pieces, want) {
		t.Errorf("Encode = %q, want %q", pieces, want)
	}
	if got := p.Decode(pieces); got != "é" {
		t.Errorf("Decode = %q, want é", got)
	}
	if p.ID("zebra") != -1 {
		t.Errorf("ID of no piece = %d, want -1", p.ID("zebra"))
	}
}

func TestParseRejects(t *testing.T) {
	units := make([]uint32, 256)
	unitsWith := func(i int, u uint32) []uint32 {
		changed := slices.Clone(units)
		changed[i] = u
		return changed
	}
	const root = 1 << 10 // an offset of 1
	charsmap := func(content []byte) []byte {
		return tinyModel(normalizer(bytesField(fieldCharsmap, content)))
	}
	tests := map[string]struct {
		model []byte
		want  string
	}{
		"empty":                 {nil, "no unknown piece"},
		"no unknown":            {pieceField("a", 0, normal), "no unknown piece"},
		"two unknown":           {tinyModel(pieceField("<unk2>", 0, unknown)), "second unknown"},
		"tag without value":     {tinyModel([]byte{0x0a}), "truncated"},
		"length past the end":   {tinyModel([]byte{0x0a, 0xff, 0x01, 0x00}), "truncated"},
		"endless varint":        {tinyModel([]byte(strings.Repeat("\xff", 12))), "truncated"},
		"group":                 {tinyModel([]byte{1<<3 | 3}), "truncated"},
		"empty piece":           {tinyModel(pieceField("", 0, normal)), "piece 8 is empty"},
		"piece with NUL":        {tinyModel(pieceField("a\x00", 0, normal)), "holds a NUL"},
		"long piece":            {tinyModel(pieceField(strings.Repeat("x", 8000), 0, normal)), "8000 bytes"},
		"score not a number":    {tinyModel(pieceField("x", float32(math.NaN()), normal)), "score NaN"},
		"infinite score":        {tinyModel(pieceField("x", float32(math.Inf(1)), normal)), "score +Inf"},
		"piece twice":           {tinyModel(pieceField("ab", 0, normal)), `"ab" is also piece`},
		"control twice":         {tinyModel(pieceField("<s>", 0, control)), `"<s>" is also piece 1`},
		"byte without fallback": {tinyModel(pieceField("<0x41>", 0, byteValue)), "without byte_fallback"},
		"not a byte": {tinyModel(pieceField("<0x4g>", 0, byteValue), trainer(varintField(fieldByteFallback, 1))),
			"not a byte"},
		"bytes missing":           {tinyModel(trainer(varintField(fieldByteFallback, 1))), "without the piece <0x00>"},
		"charsmap of 3 bytes":     {charsmap([]byte("abc")), "truncated"},
		"charsmap without units":  {charsmap(charsmapOf(nil, "x\x00")), "array of 0 bytes"},
		"charsmap of odd size":    {charsmap(charsmapOf(make([]uint32, 255), "x\x00")), "array of 1020 bytes"},
		"charsmap past the end":   {charsmap(charsmapOf(units, "")), "array of 1024 bytes in 1024"},
		"replacements unended":    {charsmap(charsmapOf(units, "x")), "end with a NUL"},
		"replacement too long":    {charsmap(charsmapOf(units, strings.Repeat("x", 1025)+"\x00")), "replacement of 1025 bytes"},
		"charsmap without a root": {charsmap(charsmapOf(units, "x\x00")), "bad root"},
		"unit points outside": {charsmap(charsmapOf(append(unitsWith(0, root)[:255], 1<<20), "x\x00")),
			"outside the array"},
		"leaf points outside": {charsmap(charsmapOf(append(unitsWith(0, root)[:255], 1<<31|2), "x\x00")),
			"outside the replacements"},
		"leaf missing": {charsmap(charsmapOf(append(unitsWith(0, root)[:255], 1<<8|1<<10), "x\x00")),
			"no leaf"},
	}
	for name, test := range tests {
		_, err := sentencepiece.Parse(test.model)
		if !errors.Is(err, sentencepiece.ErrInvalidModel) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v, want ErrInvalidModel with %q", name, err, test.want)
		}
	}
}

// TestDamagedModels cuts real models short and flips their bits: an error or a
// model that works, whatever it says, but no panic.
func TestDamagedModels(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, name := range []string{"bpe_unused", "bpe_dummy", "unigram_rules", "unigram_symbols"} {
		model := modelContents(t)[name]
		for range 60 {
			tryModel(model[:random.IntN(len(model))])
			flipped := slices.Clone(model)
			for range 1 + random.IntN(20) {
				flipped[random.IntN(len(flipped))] ^= 1 << random.IntN(8)
			}
			tryModel(flipped)
		}
	}
}

// tryModel uses a model if it is one.
func tryModel(data []byte) {
	p, err := sentencepiece.Parse(data)
	if err != nil {
		return
	}
	p.Decode(p.Encode("Hello ﬁ  wor\u0301ld <mask> 中国 \xff\x00▁"))
}

// TestLongText gives text without spaces, in which no merge or path can be
// decided early. Quadratic time would take hours.
func TestLongText(t *testing.T) {
	size := 1 << 19
	if testing.Short() {
		size = 1 << 16
	}
	for _, name := range []string{"bpe_nllb", "bpe_unused", "unigram", "unigram_symbols", "word", "char"} {
		p := processor(t, name)
		for _, unit := range []string{"a", "ab", "the", "é日本", "foo", "\xff", "<", "▁"} {
			start := time.Now()
			p.DecodeIDs(p.EncodeIDs(strings.Repeat(unit, size/len(unit))))
			if took := time.Since(start); took > 30*time.Second {
				t.Errorf("%s: %d bytes of %q took %v", name, size, unit, took)
			}
		}
	}
}

func TestConcurrentUse(t *testing.T) {
	for _, name := range []string{"bpe_unused", "unigram_symbols", "unigram_rules"} {
		p := processor(t, name)
		texts := sampleTexts(t)
		want := make([][]string, len(texts))
		for i, text := range texts {
			want[i] = p.Encode(text)
		}
		var wg sync.WaitGroup
		for worker := range 8 {
			wg.Go(func() {
				for i := range texts {
					i = (i*7 + worker*13) % len(texts)
					got := p.Encode(texts[i])
					if !slices.Equal(got, want[i]) {
						t.Errorf("%s: Encode(%q) = %q, want %q", name, texts[i], got, want[i])
					}
					p.Decode(got)
				}
			})
		}
		wg.Wait()
	}
}

// sampleTexts returns a phrase in each of a hundred languages.
func sampleTexts(tb testing.TB) []string {
	content, err := os.ReadFile("testdata/phrases.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var texts []string
	for line := range strings.Lines(string(content)) {
		_, text, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		texts = append(texts, text)
	}
	return texts
}
