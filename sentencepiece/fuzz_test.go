package sentencepiece_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/sematech/sema/sentencepiece"
)

func FuzzParse(f *testing.F) {
	units := make([]uint32, 256)
	units[0] = 1 << 10 // the root, with an offset of 1
	f.Add(tinyModel(), "ab a ba")
	f.Add(tinyModel(trainer(varintField(fieldAlgorithm, 2))), "ab ab")
	f.Add(tinyModel(trainer(varintField(fieldAlgorithm, 3)), pieceField("ba", -1, unused)), "ab baba")
	f.Add(tinyModel(trainer(varintField(fieldAlgorithm, 2)), pieceField("bb", 1, unused), pieceField("a b", 1, userDefined)), "abba b")
	f.Add(tinyModel(bytePieces(), trainer(varintField(fieldByteFallback, 1))), "é\xff")
	f.Add(tinyModel(normalizer(bytesField(fieldCharsmap, charsmapOf(units, "x\x00")))), "A b")
	f.Add(tinyModel(normalizer(varintField(fieldDummyPrefix, 0), varintField(fieldRemoveExtra, 0))), "  a ")
	f.Add(tinyModel(bytesField(fieldDenormalizer, bytesField(fieldCharsmap, charsmapOf(units, "x\x00")))), " a")
	f.Add(tinyModel(trainer(bytesField(fieldUnknownSurface, "?"))), "zzz")
	f.Fuzz(func(t *testing.T, model []byte, text string) {
		p, err := sentencepiece.Parse(model)
		if err != nil {
			if !errors.Is(err, sentencepiece.ErrInvalidModel) {
				t.Errorf("error %v does not wrap ErrInvalidModel", err)
			}
			return
		}
		checkConsistent(t, p, text)
	})
}

func FuzzEncode(f *testing.F) {
	for _, text := range []string{"", "Hello, world", " ▁ a\u0301  ﬁ", "<mask>foo 中国aaa", "\xff\xe2\x96", "\x00", "👩‍👧 ⁇ <0x41>"} {
		f.Add(text)
	}
	models := processors(f)
	f.Fuzz(func(t *testing.T, text string) {
		for _, p := range models {
			checkConsistent(t, p, text)
		}
		// With neither rules nor added or removed spaces, nothing is lost but bytes
		// that are not UTF-8 and what was U+2581.
		p := models["bpe_bytes"]
		want := strings.ReplaceAll(string([]rune(text)), "▁", " ")
		if got := p.Decode(p.Encode(text)); got != want {
			t.Errorf("Decode(Encode(%q)) = %q", text, got)
		}
		if again := p.Decode(p.Encode(want)); again != want {
			t.Errorf("Decode(Encode(%q)) = %q", want, again)
		}
	})
}

// checkConsistent checks what holds for every model and text.
func checkConsistent(t *testing.T, p *sentencepiece.Processor, text string) {
	pieces, ids := p.Encode(text), p.EncodeIDs(text)
	if len(pieces) != len(ids) {
		t.Fatalf("%d pieces and %d IDs for %q", len(pieces), len(ids), text)
	}
	for i, id := range ids {
		if id < 0 || id >= p.Size() || pieces[i] == "" {
			t.Fatalf("piece %d of %q is %d %q", i, text, id, pieces[i])
		}
	}
	if again := p.Encode(text); !slices.Equal(again, pieces) {
		t.Errorf("Encode(%q) = %q, then %q", text, pieces, again)
	}
	p.Decode(pieces)
	if _, err := p.DecodeIDs(ids); err != nil {
		t.Errorf("DecodeIDs(EncodeIDs(%q)): %v", text, err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("▁Hello <unk> <s> <0xE2> <0x96> ▁")
	f.Add("<0xFF> a ▁▁ x▁y")
	models := processors(f)
	f.Fuzz(func(t *testing.T, joined string) {
		pieces := strings.Split(joined, " ")
		for name, p := range models {
			if a, b := p.Decode(pieces), p.Decode(pieces); a != b {
				t.Errorf("%s: Decode(%q) = %q, then %q", name, pieces, a, b)
			}
		}
	})
}
