package ctranslate2_test

import (
	"errors"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/sematech/sema/ctranslate2"
)

// openHostile opens files that may hold anything and uses them if they open.
func openHostile(t *testing.T, fsys fstest.MapFS) {
	t.Helper()
	tr, err := openFS(fsys)
	if err != nil {
		if !errors.Is(err, ctranslate2.ErrInvalidModel) {
			t.Fatal(err)
		}
		return
	}
	defer tr.Close()
	exercise(t, tr)
}

// FuzzCompanions gives any content to the files beside a whole model.
func FuzzCompanions(f *testing.F) {
	f.Add([]byte(tinyConfig), []byte(tinyVocabulary), false)
	f.Add([]byte(tinyConfig), []byte("<unk>\n<s>\n</s>\na\nb\nc\nd\ne\n"), true)
	f.Add([]byte(tinyConfig), []byte("<s>\r\n</s>\r\na\r\nb\r\nc\r\nd\r\ne\r\nf\r\n"), true)
	f.Add([]byte(`{"bos_token":"a","eos_token":"a","unk_token":"a"}`), []byte(`["a","a","a","a","a","a","a","a"]`), false)
	f.Add([]byte(`{"bos_token":"x","eos_token":"unk","unk_token":"unk","layer_norm_epsilon":-1e38}`), []byte(`["a","b","c","d","e","f","g","h"]`), false)
	f.Add([]byte(`{"unk_token":["<unk>"],"quantization_type":-1}`), []byte("null"), false)
	f.Add([]byte("null"), []byte("\n"), true)
	model := newTiny().binary().bytes()
	f.Fuzz(func(t *testing.T, config, vocabulary []byte, text bool) {
		name := "shared_vocabulary.json"
		if text {
			name = "shared_vocabulary.txt"
		}
		openHostile(t, fstest.MapFS{"model.bin": {Data: model}, "config.json": {Data: config}, name: {Data: vocabulary}})
	})
}

// FuzzVariable puts one variable of any kind, sound by itself, into a model, in
// place of its own of that name or beside them.
func FuzzVariable(f *testing.F) {
	m := newTiny()
	names := []string{
		"decoder/position_encodings/encodings", "encoder/activation", "decoder/pre_norm", "decoder/alignment_layer", "decoder/alignment_heads",
		"decoder/layer_0/self_attention/head_dim", "encoder/layer_0/self_attention/relative_attention_bias",
		"decoder/layer_0/self_attention/relative_attention_max_distance", "decoder/layer_0/self_attention/relative_position_keys",
		"decoder/layer_0/attention/queries_scale", "decoder/scale_outputs", "encoder/scale_embeddings", "encoder/layer_1/ffn/layer_norm/gamma",
		"decoder/project_in/weight", "decoder/project_out/weight", "encoder/layer_0/ffn/linear_0_noact/weight", "decoder/projection/weight_scale",
		"decoder/start_from_zero_embedding", "encoder/layernorm_embedding/gamma",
	}
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	for i := range names {
		f.Add(i, []byte{0, 0, 128, 63}, byte(0), byte(0), uint16(0), uint16(0))
		f.Add(i, make([]byte, 128), byte(0), byte(2), uint16(8), uint16(4))
		f.Add(i, []byte{2, 2, 2, 2, 2, 2, 2, 2}, byte(1), byte(2), uint16(2), uint16(4))
		f.Add(i, []byte{255, 255, 255, 255}, byte(3), byte(1), uint16(1), uint16(0))
		f.Add(i, []byte{}, byte(4), byte(2), uint16(0), uint16(4))
		f.Add(i, []byte{0, 126, 0, 126, 0, 126, 0, 126}, byte(4), byte(1), uint16(4), uint16(0))
	}
	f.Fuzz(func(t *testing.T, which int, data []byte, kind, rank byte, n, k uint16) {
		which = (which%len(names) + len(names)) % len(names)
		var b binaryFile
		for name, v := range m {
			if name != names[which] {
				b.add(name, v.values, v.shape...)
			}
		}
		b.raw(names[which], data, kind, []uint32{uint32(n), uint32(k)}[:rank%3]...)
		fsys := m.files()
		fsys["model.bin"] = &fstest.MapFile{Data: b.bytes()}
		openHostile(t, fsys)
	})
}
