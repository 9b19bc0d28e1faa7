// Package bench measures the runtime: how fast a model of a real size is read,
// encoded and decoded, against what the machine's memory and arithmetic allow.
package bench

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// A Shape is the size of a model. Its weights are random, and the same in each
// type: the speed of all but greedy decoding does not depend on them, and with
// random weights the best token stands out less than with trained ones.
type Shape struct {
	Name    string
	Model   int // d
	FFN     int
	Heads   int
	Encoder int // layers
	Decoder int // layers
}

// Vocabulary is the number of tokens of NLLB-200.
const Vocabulary = 256206

// positions is the number of position encodings of NLLB-200.
const positions = 1024

// Shapes are the sizes of NLLB-200.
var Shapes = []Shape{
	{"nllb-600m", 1024, 4096, 16, 12, 12},
	{"nllb-1.3b", 1024, 8192, 16, 24, 24},
	{"nllb-3.3b", 2048, 8192, 16, 24, 24},
}

// LookupShape returns the shape of a name.
func LookupShape(name string) (Shape, error) {
	var names []string
	for _, s := range Shapes {
		if s.Name == name {
			return s, nil
		}
		names = append(names, s.Name)
	}
	return Shape{}, fmt.Errorf("bench: unknown shape %q: one of %s", name, strings.Join(names, ", "))
}

// tensor is a variable of the model file.
type tensor struct {
	name  string
	dims  []uint32
	dtype uint8 // 0 float32, 1 int8, 2 int16
	fill  func(*writer)
}

// Write makes the model of s in a folder below cache, in CTranslate2's format,
// unless it is there already, and returns the folder. dtype is "int8" or
// "float32": how the weights are stored.
func (s Shape) Write(cache, dtype string) (string, error) {
	if dtype != "int8" && dtype != "float32" {
		return "", fmt.Errorf("bench: a shape is stored as int8 or float32, not as %q", dtype)
	}
	dir := filepath.Join(cache, s.Name+"-"+dtype)
	if _, err := os.Stat(filepath.Join(dir, "model.bin")); err == nil {
		return dir, nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	if err := writeVocabulary(dir); err != nil {
		return "", err
	}
	partial := filepath.Join(dir, "model.bin.partial")
	if err := s.writeModel(partial, dtype == "int8"); err != nil {
		os.Remove(partial)
		return "", err
	}
	return dir, os.Rename(partial, filepath.Join(dir, "model.bin"))
}

// Token returns the i-th ordinary token of a shape's vocabulary.
func Token(i int) string { return fmt.Sprintf("▁w%d", i%(Vocabulary-10)) }

func writeVocabulary(dir string) error {
	tokens := []string{"<s>", "<pad>", "</s>", "<unk>", "eng_Latn", "swh_Latn"}
	for i := len(tokens); i < Vocabulary; i++ {
		tokens = append(tokens, Token(i))
	}
	config := map[string]any{"add_source_bos": false, "add_source_eos": false, "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>",
		"decoder_start_token": "</s>", "layer_norm_epsilon": nil, "multi_query_attention": false}
	for name, value := range map[string]any{"shared_vocabulary.json": tokens, "config.json": config} {
		data, err := json.Marshal(value)
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// tensors lists all variables of the shape, in the order of their names.
func (s Shape) tensors(int8s bool) []tensor {
	d, ffn := uint32(s.Model), uint32(s.FFN)
	var all []tensor
	scalar := func(name string, dtype uint8, bits uint64) {
		all = append(all, tensor{name, nil, dtype, func(w *writer) { w.scalar(dtype, bits) }})
	}
	vector := func(name string, n uint32, v float32) {
		all = append(all, tensor{name, []uint32{n}, 0, func(w *writer) { w.constants(n, v) }})
	}
	matrix := func(name string, n, k uint32) {
		if !int8s {
			all = append(all, tensor{name, []uint32{n, k}, 0, func(w *writer) { w.matrix(name, int(n), int(k), w.dequantized) }})
			return
		}
		all = append(all, tensor{name, []uint32{n, k}, 1, func(w *writer) { w.matrix(name, int(n), int(k), w.bytes) }})
		vector(name+"_scale", n, weightScale)
	}
	linear := func(name string, n, k uint32) {
		matrix(name+"/weight", n, k)
		vector(name+"/bias", n, 0.01)
	}
	norm := func(name string) {
		vector(name+"/gamma", d, 1)
		vector(name+"/beta", d, 0)
	}
	for _, side := range []string{"encoder", "decoder"} {
		layers := s.Encoder
		if side == "decoder" {
			layers = s.Decoder
			scalar("decoder/alignment_heads", 2, 1)
			scalar("decoder/alignment_layer", 2, math.MaxUint16) // -1
			scalar("decoder/start_from_zero_embedding", 1, 0)
			matrix(embeddings, Vocabulary, d)
			all = append(all, tensor{"decoder/position_encodings/encodings", []uint32{positions, d}, 0, func(w *writer) { w.floats(positions * int(d)) }})
		}
		scalar(side+"/activation", 1, 0)
		scalar(side+"/num_heads", 2, uint64(s.Heads))
		scalar(side+"/pre_norm", 1, 1)
		scalar(side+"/scale_embeddings", 0, uint64(math.Float32bits(float32(math.Sqrt(float64(d))))))
		norm(side + "/layer_norm")
		for i := range layers {
			l := fmt.Sprintf("%s/layer_%d", side, i)
			norm(l + "/self_attention/layer_norm")
			linear(l+"/self_attention/linear_0", 3*d, d)
			linear(l+"/self_attention/linear_1", d, d)
			if side == "decoder" {
				norm(l + "/attention/layer_norm")
				linear(l+"/attention/linear_0", d, d)
				linear(l+"/attention/linear_1", 2*d, d)
				linear(l+"/attention/linear_2", d, d)
			}
			norm(l + "/ffn/layer_norm")
			linear(l+"/ffn/linear_0", ffn, d)
			linear(l+"/ffn/linear_1", d, ffn)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].name < all[j].name })
	return all
}

// weightScale makes stored bytes weights of a trained model's magnitude.
const weightScale = 3600

// embeddings is the matrix that an NLLB model's three layers share.
const embeddings = "decoder/embeddings/weight"

// aliases of an NLLB model: one matrix serves three layers.
var aliases = [][2]string{
	{"decoder/projection/weight", embeddings},
	{"encoder/embeddings_0/weight", embeddings},
	{"encoder/position_encodings/encodings", "decoder/position_encodings/encodings"},
}

// writeBytes is how much is written at a time, as downloads are: file systems keep
// such pieces in huge pages.
const writeBytes = 2 << 20

func (s Shape) writeModel(path string, int8s bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := &writer{Writer: bufio.NewWriterSize(f, writeBytes), rng: rand.New(rand.NewPCG(1, 2))}
	w.u32(6)
	w.str("TransformerSpec")
	w.u32(7)
	all := s.tensors(int8s)
	w.u32(uint32(len(all)))
	for _, t := range all {
		w.tensor(t)
	}
	w.u32(uint32(len(aliases)))
	for _, a := range aliases {
		w.str(a[0])
		w.str(a[1])
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("bench: write %s: %w", path, err)
	}
	return f.Close()
}

// writer writes a model file; the buffer keeps the first error.
type writer struct {
	*bufio.Writer
	rng *rand.Rand
}

func (w *writer) u32(v uint32) { w.Write(binary.LittleEndian.AppendUint32(nil, v)) }

func (w *writer) str(s string) {
	w.Write(binary.LittleEndian.AppendUint16(nil, uint16(len(s)+1)))
	w.WriteString(s)
	w.WriteByte(0)
}

var itemSizes = []int{4, 1, 2}

func (w *writer) tensor(t tensor) {
	w.str(t.name)
	w.WriteByte(byte(len(t.dims)))
	n := itemSizes[t.dtype]
	for _, d := range t.dims {
		w.u32(d)
		n *= int(d)
	}
	w.WriteByte(t.dtype)
	w.u32(uint32(n))
	t.fill(w)
}

func (w *writer) scalar(dtype uint8, bits uint64) {
	w.Write(binary.LittleEndian.AppendUint64(nil, bits)[:itemSizes[dtype]])
}

func (w *writer) constants(n uint32, v float32) {
	b := binary.LittleEndian.AppendUint32(nil, math.Float32bits(v))
	for range n {
		w.Write(b)
	}
}

// padding is the token whose embedding is zero, as training leaves it.
const padding = 1

// matrix writes n rows of k weights.
func (w *writer) matrix(name string, n, k int, put func([]byte)) {
	if name != embeddings {
		w.weights(n*k, put)
		return
	}
	w.weights(padding*k, put)
	put(make([]byte, k))
	w.weights((n-padding-1)*k, put)
}

// weights writes n random weights, never -128: the same ones whatever put writes
// them as.
func (w *writer) weights(n int, put func([]byte)) {
	for n > 0 {
		b := binary.LittleEndian.AppendUint64(nil, w.rng.Uint64())
		for i := range b {
			if b[i] == 0x80 {
				b[i] = 0
			}
		}
		k := min(n, len(b))
		put(b[:k])
		n -= k
	}
}

// bytes writes weights as int8.
func (w *writer) bytes(b []byte) { w.Write(b) }

// dequantized writes weights as the float32 that they stand for.
func (w *writer) dequantized(b []byte) {
	for _, v := range b {
		w.u32(math.Float32bits(float32(int8(v)) / weightScale))
	}
}

// floats writes n random float32 of the magnitude that weights have.
func (w *writer) floats(n int) {
	for range n {
		w.u32(math.Float32bits(float32(int8(w.rng.Uint32())) / weightScale))
	}
}
