package sentencepiece_test

import (
	"bufio"
	"compress/bzip2"
	"encoding/binary"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/sematech/sema/sentencepiece"
)

// goldenDir holds what testdata/make_golden.py wrote. Another set, made with
// --seed and --lines, is checked with SENTENCEPIECE_GOLDEN=DIR.
func goldenDir() string {
	if dir := os.Getenv("SENTENCEPIECE_GOLDEN"); dir != "" {
		return dir
	}
	return "testdata"
}

// openGolden opens a compressed file of goldenDir.
func openGolden(tb testing.TB, name string) io.Reader {
	f, err := os.Open(filepath.Join(goldenDir(), name))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { f.Close() })
	return bzip2.NewReader(bufio.NewReader(f))
}

var goldenModels struct {
	once    sync.Once
	content map[string][]byte
}

// modelContents returns the model files of the golden set by name.
func modelContents(tb testing.TB) map[string][]byte {
	goldenModels.once.Do(func() {
		goldenModels.content = readModels(tb)
	})
	return goldenModels.content
}

func readModels(tb testing.TB) map[string][]byte {
	r := openGolden(tb, "models.bz2")
	contents := map[string][]byte{}
	for {
		var sizes [2]uint32 // of the name and the content
		if err := binary.Read(r, binary.LittleEndian, &sizes); err == io.EOF {
			return contents
		} else if err != nil {
			tb.Fatal(err)
		}
		both := make([]byte, sizes[0]+sizes[1])
		if _, err := io.ReadFull(r, both); err != nil {
			tb.Fatal(err)
		}
		contents[string(both[:sizes[0]])] = both[sizes[0]:]
	}
}

// processor parses a model of the golden set.
func processor(tb testing.TB, name string) *sentencepiece.Processor {
	tb.Helper()
	content, found := modelContents(tb)[name]
	if !found {
		tb.Fatalf("no golden model %q", name)
	}
	p, err := sentencepiece.Parse(content)
	if err != nil {
		tb.Fatalf("model %q: %v", name, err)
	}
	return p
}

func processors(tb testing.TB) map[string]*sentencepiece.Processor {
	all := map[string]*sentencepiece.Processor{}
	for name := range modelContents(tb) {
		all[name] = processor(tb, name)
	}
	return all
}

// encodeRecord is a text and what the reference makes of it, by model.
type encodeRecord struct {
	Text string
	Raw  []byte // in place of Text if it is not UTF-8
	Want map[string]encoded
}

// encoded is written as [ids, decoded IDs, decoded pieces or null if they decode
// to the same, texts of the unknown pieces if there are any].
type encoded struct {
	ids         []int
	idsText     string
	piecesText  *string
	unknownText []string
}

func (e *encoded) UnmarshalJSON(data []byte) error {
	return json.Unmarshal(data, &[]any{&e.ids, &e.idsText, &e.piecesText, &e.unknownText})
}

// pieces rebuilds the reference's pieces: those of the IDs, or for an unknown
// one its text.
func (e *encoded) pieces(p *sentencepiece.Processor) []string {
	unknown := p.ID("\x00no piece")
	texts := e.unknownText
	pieces := make([]string, len(e.ids))
	for i, id := range e.ids {
		pieces[i] = p.Piece(id)
		if id == unknown {
			pieces[i], texts = texts[0], texts[1:]
		}
	}
	return pieces
}

// readRecords decodes every record of a golden file.
func readRecords[T any](tb testing.TB, name string, visit func(T)) {
	decoder := json.NewDecoder(openGolden(tb, name))
	for {
		var record T
		if err := decoder.Decode(&record); err == io.EOF {
			return
		} else if err != nil {
			tb.Fatal(err)
		}
		visit(record)
	}
}

func TestEncodeMatchesReference(t *testing.T) {
	models := processors(t)
	checked := map[string]int{}
	readRecords(t, "encode.jsonl.bz2", func(record encodeRecord) {
		text := record.Text + string(record.Raw)
		for name, want := range record.Want {
			checkEncoded(t, models[name], name, text, &want)
			checked[name]++
		}
	})
	for name := range models {
		if checked[name] < 1000 {
			t.Errorf("model %s: only %d texts checked", name, checked[name])
		}
	}
	t.Log(checked)
}

func checkEncoded(t *testing.T, p *sentencepiece.Processor, name, text string, want *encoded) {
	t.Helper()
	pieces, ids := p.Encode(text), p.EncodeIDs(text)
	if !slices.Equal(ids, want.ids) {
		t.Errorf("%s: EncodeIDs(%q) = %v, want %v", name, text, ids, want.ids)
		return
	}
	if wantPieces := want.pieces(p); !slices.Equal(pieces, wantPieces) {
		t.Errorf("%s: Encode(%q) = %q, want %q", name, text, pieces, wantPieces)
	}
	if got, err := p.DecodeIDs(ids); got != want.idsText || err != nil {
		t.Errorf("%s: DecodeIDs(%v) = %q, %v, want %q", name, ids, got, err, want.idsText)
	}
	piecesText := want.idsText
	if want.piecesText != nil {
		piecesText = *want.piecesText
	}
	if got := p.Decode(pieces); got != piecesText {
		t.Errorf("%s: Decode(%q) = %q, want %q", name, pieces, got, piecesText)
	}
}

func TestDecodeMatchesReference(t *testing.T) {
	type record struct {
		Model  string
		IDs    []int
		Pieces []string
		Text   string
	}
	models := processors(t)
	readRecords(t, "decode.jsonl.bz2", func(r record) {
		p := models[r.Model]
		if r.Pieces != nil {
			if got := p.Decode(r.Pieces); got != r.Text {
				t.Errorf("%s: Decode(%q) = %q, want %q", r.Model, r.Pieces, got, r.Text)
			}
			return
		}
		if got, err := p.DecodeIDs(r.IDs); got != r.Text || err != nil {
			t.Errorf("%s: DecodeIDs(%v) = %q, %v, want %q", r.Model, r.IDs, got, err, r.Text)
		}
	})
}
