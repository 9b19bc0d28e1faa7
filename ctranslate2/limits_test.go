package ctranslate2_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/sematech/sema/ctranslate2"
)

// binaryFile writes a model.bin of version 6 record by record.
type binaryFile struct {
	variables, aliases uint32
	body, tail         []byte
}

func (b *binaryFile) str(dst []byte, s string) []byte {
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(s)+1))
	return append(append(dst, s...), 0)
}

// add appends a variable of float32.
func (b *binaryFile) add(name string, values []float32, shape ...uint32) {
	var data []byte
	for _, v := range values {
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(v))
	}
	b.raw(name, data, 0, shape...)
}

// raw appends a variable of any type.
func (b *binaryFile) raw(name string, data []byte, kind byte, shape ...uint32) {
	b.variables++
	b.body = append(b.str(b.body, name), byte(len(shape)))
	for _, d := range shape {
		b.body = binary.LittleEndian.AppendUint32(b.body, d)
	}
	b.body = binary.LittleEndian.AppendUint32(append(b.body, kind), uint32(len(data)))
	b.body = append(b.body, data...)
}

func (b *binaryFile) alias(name, target string) {
	b.aliases++
	b.tail = b.str(b.str(b.tail, name), target)
}

func (b *binaryFile) bytes() []byte {
	out := binary.LittleEndian.AppendUint32(nil, 6)
	out = binary.LittleEndian.AppendUint32(b.str(out, "TransformerSpec"), 7)
	out = append(binary.LittleEndian.AppendUint32(out, b.variables), b.body...)
	return append(binary.LittleEndian.AppendUint32(out, b.aliases), b.tail...)
}

// tiny describes a model of one layer and 4 dimensions: variables by name.
type tiny map[string]struct {
	values []float32
	shape  []uint32
}

func (m tiny) set(name string, values []float32, shape ...uint32) {
	m[name] = struct {
		values []float32
		shape  []uint32
	}{values, shape}
}

// newTiny returns a model of 8 tokens, 4 dimensions and 2 heads whose weights
// are small and all different.
func newTiny() tiny {
	m, seed := tiny{}, 0
	matrix := func(name string, n, k int) {
		values := make([]float32, n*k)
		for i := range values {
			seed++
			values[i] = float32(math.Sin(float64(seed)))
		}
		m.set(name, values, uint32(n), uint32(k))
	}
	norm := func(name string) {
		m.set(name+"/gamma", []float32{1, 1, 1, 1}, 4)
		m.set(name+"/beta", []float32{0, 0, 0, 0}, 4)
	}
	for _, side := range []string{"encoder", "decoder"} {
		embeddings := side + "/embeddings"
		if side == "encoder" {
			embeddings += "_0"
		}
		matrix(embeddings+"/weight", 8, 4)
		m.set(side+"/num_heads", []float32{2})
		layer := side + "/layer_0"
		matrix(layer+"/self_attention/linear_0/weight", 12, 4)
		matrix(layer+"/self_attention/linear_1/weight", 4, 4)
		matrix(layer+"/ffn/linear_0/weight", 8, 4)
		matrix(layer+"/ffn/linear_1/weight", 4, 8)
		norm(layer + "/self_attention/layer_norm")
		norm(layer + "/ffn/layer_norm")
		norm(side + "/layer_norm")
	}
	cross := "decoder/layer_0/attention"
	matrix(cross+"/linear_0/weight", 4, 4)
	matrix(cross+"/linear_1/weight", 8, 4)
	matrix(cross+"/linear_2/weight", 4, 4)
	norm(cross + "/layer_norm")
	matrix("decoder/projection/weight", 8, 4)
	return m
}

const (
	tinyConfig     = `{"bos_token":"<s>","eos_token":"</s>","unk_token":"<unk>","decoder_start_token":"</s>","add_source_bos":true,"add_source_eos":true}`
	tinyVocabulary = `["<unk>","<s>","</s>","a","b","c","d","e"]`
)

func (m tiny) binary() *binaryFile {
	var b binaryFile
	for name, v := range m {
		b.add(name, v.values, v.shape...)
	}
	return &b
}

// files returns the model with variables replaced.
func (m tiny) files() fstest.MapFS {
	return fstest.MapFS{
		"model.bin":              {Data: m.binary().bytes()},
		"config.json":            {Data: []byte(tinyConfig)},
		"shared_vocabulary.json": {Data: []byte(tinyVocabulary)},
	}
}

func (m tiny) open(t *testing.T) *ctranslate2.Translator {
	t.Helper()
	tr, err := openFS(m.files())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tr.Close() })
	return tr
}

// TestDamagedShapes gives well-formed files whose content cannot be used.
func TestDamagedShapes(t *testing.T) {
	nan := float32(math.NaN())
	for _, c := range []struct {
		name, says string
		values     []float32
		shape      []uint32
	}{
		{"decoder/position_encodings/encodings", "position_encodings", nil, []uint32{0, 4}},
		{"encoder/position_encodings/encodings", "position_encodings", []float32{1, 2, 3}, []uint32{3}},
		{"decoder/num_heads", "heads", []float32{nan}, nil},
		{"decoder/num_heads", "heads", []float32{-2}, nil},
		{"decoder/num_heads", "num_heads", []float32{2, 2}, []uint32{2}},
		{"encoder/layer_0/self_attention/head_dim", "heads", []float32{float32(1 << 62)}, nil},
		{"encoder/activation", "activation", []float32{99}, nil},
		{"decoder/alignment_layer", "alignment", []float32{5}, nil},
		{"decoder/layer_0/ffn/layer_norm/gamma", "not all numbers", []float32{1, nan, 1, 1}, []uint32{4}},
		{"decoder/layer_0/ffn/layer_norm/gamma", "elements", []float32{1, 1, 1}, []uint32{3}},
		{"decoder/projection/weight", "matrix", []float32{}, []uint32{0, 4}},
		{"decoder/projection/weight", "shape", make([]float32, 40), []uint32{8, 5}},
		{"decoder/projection/bias", "elements", make([]float32, 9), []uint32{9}},
		{"decoder/projection/weight", "differ in size", make([]float32, 40), []uint32{10, 4}},
		{"decoder/layer_0/self_attention/relative_attention_bias", "distance of 2", make([]float32, 8), []uint32{4, 2}},
		{"decoder/layer_0/self_attention/relative_position_keys", "odd", make([]float32, 8), []uint32{4, 2}},
		{"decoder/layer_0/self_attention/num_heads_kv", "num_heads_kv", []float32{1}, nil},
		{"decoder/layer_0/self_attention/wings", "wings", []float32{1}, nil},
		{"decoder/multi_query_attention", "multi_query_attention", []float32{1}, nil},
	} {
		m := newTiny()
		if strings.HasSuffix(c.name, "relative_attention_bias") {
			m.set("decoder/layer_0/self_attention/relative_attention_max_distance", []float32{2})
		}
		m.set(c.name, c.values, c.shape...)
		refused(t, m.files(), c.says)
	}
}

func defaults(change func(o *ctranslate2.TranslationOptions)) ctranslate2.TranslationOptions {
	o := ctranslate2.DefaultTranslationOptions()
	o.ReturnScores = true
	change(&o)
	return o
}

// TestWideLayersAreRefused: a small file must not make activations that are many times as large.
func TestWideLayersAreRefused(t *testing.T) {
	const ffn = 257 * 4
	m := newTiny()
	m.set("encoder/layer_0/ffn/linear_0/weight", make([]float32, 4*ffn), ffn, 4)
	m.set("encoder/layer_0/ffn/linear_0/bias", make([]float32, ffn), ffn)
	m.set("encoder/layer_0/ffn/linear_1/weight", make([]float32, 4*ffn), 4, ffn)
	refused(t, m.files(), "1028 wide inside for 4 inputs")
	m = newTiny()
	m.set("encoder/layer_0/self_attention/head_dim", []float32{600})
	refused(t, m.files(), "1200 wide inside for 4 inputs")
}

// TestAliasesShareWhatIsConverted: names for the same float16 vector cost nothing each.
func TestAliasesShareWhatIsConverted(t *testing.T) {
	const layers, size = 200, 1 << 18
	var b binaryFile
	for name, v := range newTiny() {
		if !strings.HasPrefix(name, "encoder/position_encodings") {
			b.add(name, v.values, v.shape...)
		}
	}
	b.raw("encoder/layer_0/self_attention/relative_position_keys", make([]byte, 2*(2*size+1)*2), 4, 2*size+1, 2)
	for i := 1; i < layers; i++ {
		for _, name := range []string{"self_attention/linear_0/weight", "self_attention/linear_1/weight", "ffn/linear_0/weight", "ffn/linear_1/weight",
			"self_attention/layer_norm/gamma", "self_attention/layer_norm/beta", "ffn/layer_norm/gamma", "ffn/layer_norm/beta", "self_attention/relative_position_keys"} {
			b.alias(fmt.Sprintf("encoder/layer_%d/%s", i, name), "encoder/layer_0/"+name)
		}
	}
	fs := newTiny().files()
	fs["model.bin"] = &fstest.MapFile{Data: b.bytes()}
	before := heap()
	tr, err := ctranslate2.OpenFS(fs, ".", ctranslate2.Options{Threads: 1, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if grown := heap() - before; grown > 64<<20 {
		t.Errorf("%d MiB of heap for a file of %d MiB", grown>>20, len(fs["model.bin"].Data)>>20)
	}
}

// heap is what is reachable, in bytes.
func heap() int64 {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

// TestOutOfPositions has one sequence go beyond the positions that the model
// knows while others decode: they must not notice.
func TestOutOfPositions(t *testing.T) {
	m := newTiny()
	table := make([]float32, 20*4)
	for i := range table {
		table[i] = float32(math.Cos(float64(i)))
	}
	m.set("decoder/position_encodings/encodings", table, 20, 4)
	tr := m.open(t)
	source := [][]string{{"a", "b", "c"}}
	fits := defaults(func(o *ctranslate2.TranslationOptions) { o.MaxDecodingLength, o.MinDecodingLength = 20, 20 })
	want, err := tr.TranslateBatch(context.Background(), source, nil, fits)
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	for i := range 40 {
		calls.Go(func() {
			if i%2 == 0 {
				beyond := fits
				beyond.MaxDecodingLength, beyond.MinDecodingLength = 60, 60
				if _, err := tr.TranslateBatch(context.Background(), source, nil, beyond); !errors.Is(err, ctranslate2.ErrInvalidOptions) {
					t.Errorf("beyond the positions: %v", err)
				}
				return
			}
			got, err := tr.TranslateBatch(context.Background(), source, nil, fits)
			if err != nil || !reflect.DeepEqual(got[0].Hypotheses, want[0].Hypotheses) {
				t.Errorf("in the company of a failing call: %v %v, alone %v", got, err, want)
			}
		})
	}
	calls.Wait()
}

// TestShortInput cuts an input to less than the special tokens of the model.
func TestShortInput(t *testing.T) {
	tr := newTiny().open(t)
	for limit := 1; limit < 6; limit++ {
		o := defaults(func(o *ctranslate2.TranslationOptions) {
			o.MaxInputLength, o.MaxDecodingLength, o.ReturnAttention, o.ReplaceUnknowns = limit, 4, true, true
		})
		r, err := tr.TranslateBatch(context.Background(), [][]string{{"a", "b"}}, nil, o)
		if err != nil {
			t.Fatalf("limit %d: %v", limit, err)
		}
		for _, row := range r[0].Attention[0] {
			if len(row) != 2 {
				t.Errorf("limit %d: attention to %d tokens, want 2", limit, len(row))
			}
		}
	}
}

// TestAlternativesNeedPatience once asked for the best of no hypotheses.
func TestAlternativesNeedPatience(t *testing.T) {
	tr := newTiny().open(t)
	o := defaults(func(o *ctranslate2.TranslationOptions) {
		o.ReturnAlternatives, o.NumHypotheses, o.Patience = true, 3, 0.1
	})
	if _, err := tr.TranslateBatch(context.Background(), [][]string{{"a"}}, nil, o); !errors.Is(err, ctranslate2.ErrInvalidOptions) {
		t.Error(err)
	}
}

// TestDiverged gives weights that are no numbers: an error, or an answer, comes.
func TestDiverged(t *testing.T) {
	for _, bad := range []float32{float32(math.NaN()), float32(math.Inf(1)), math.MaxFloat32} {
		m := newTiny()
		weights := m["decoder/projection/weight"]
		for i := range weights.values {
			weights.values[i] = bad
		}
		tr := m.open(t)
		for what, change := range map[string]func(o *ctranslate2.TranslationOptions){
			"greedy":       func(o *ctranslate2.TranslationOptions) { o.BeamSize = 1 },
			"beam":         func(o *ctranslate2.TranslationOptions) { o.BeamSize = 3 },
			"sampling":     func(o *ctranslate2.TranslationOptions) { o.BeamSize, o.SamplingTopK = 1, 3 },
			"all":          func(o *ctranslate2.TranslationOptions) { o.BeamSize, o.SamplingTopK = 1, 0 },
			"nucleus":      func(o *ctranslate2.TranslationOptions) { o.BeamSize, o.SamplingTopK, o.SamplingTopP = 2, 0, 0.5 },
			"alternatives": func(o *ctranslate2.TranslationOptions) { o.ReturnAlternatives, o.NumHypotheses = true, 2 },
			"bias":         func(o *ctranslate2.TranslationOptions) { o.PrefixBiasBeta = 0.5 },
			"attention":    func(o *ctranslate2.TranslationOptions) { o.ReturnAttention, o.CoveragePenalty = true, 0.3 },
		} {
			o := defaults(change)
			o.MaxDecodingLength = 6
			r, err := tr.TranslateBatch(context.Background(), [][]string{{"a", "b"}}, [][]string{{"c"}}, o)
			if err == nil && len(r[0].Hypotheses) == 0 {
				t.Errorf("%s with weights of %v: neither a hypothesis nor an error", what, bad)
			}
			if err != nil && !errors.Is(err, ctranslate2.ErrDiverged) {
				t.Errorf("%s with weights of %v: %v", what, bad, err)
			}
			if bad != bad && err == nil {
				t.Errorf("%s with weights of %v: %v and no error", what, bad, r[0])
			}
		}
	}
}

func TestCloseTwice(t *testing.T) {
	tr, err := openFS(newTiny().files())
	if err != nil {
		t.Fatal(err)
	}
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	if err := tr.Close(); !errors.Is(err, ctranslate2.ErrClosed) {
		t.Errorf("a second Close: %v", err)
	}
}

// TestManyLayers opens a model of very many layers, all aliases of one: the
// time to read it must be in proportion to the file.
func TestManyLayers(t *testing.T) {
	m := newTiny()
	b := m.binary()
	for i := 1; i < 5000; i++ {
		for name := range m {
			if rest, ok := strings.CutPrefix(name, "encoder/layer_0/"); ok {
				b.alias(fmt.Sprintf("encoder/layer_%d/%s", i, rest), name)
			}
		}
	}
	fsys := m.files()
	fsys["model.bin"] = &fstest.MapFile{Data: b.bytes()}
	start := time.Now()
	tr, err := openFS(fsys)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("opening a file of %d bytes took %v", len(fsys["model.bin"].Data), took)
	} else {
		t.Logf("%d bytes: %v", len(fsys["model.bin"].Data), took)
	}
}
