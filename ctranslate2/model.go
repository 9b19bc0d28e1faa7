package ctranslate2

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sematech/sema/ctranslate2/kernels"
)

// model is a loaded model: layers whose weights lie in the mapped file.
type model struct {
	config         *modelConfig
	source, target *Vocabulary
	encoder        *encoder
	decoder        *decoder
	computeType    DataType
	size           int64 // of model.bin
	unmap          func() error
}

// openModel loads the model in a folder of the file system on e's threads.
func openModel(dir, computeType string, e *kernels.Executor) (*model, error) {
	data, unmap, err := mapFile(filepath.Join(dir, "model.bin"))
	if err != nil {
		return nil, describeMissing(dir, err)
	}
	m, err := buildModel(os.DirFS(dir), data, computeType, e)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%w (in %s)", err, dir), unmap())
	}
	m.unmap = unmap
	return m, nil
}

func describeMissing(dir string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s has no model.bin: is it a folder made by a CTranslate2 converter?", ErrInvalidModel, dir)
	}
	return err
}

// buildModel makes layers of the content of model.bin and the files beside it.
// The vocabularies are parsed while the weights are read.
func buildModel(fsys fs.FS, data []byte, computeType string, e *kernels.Executor) (*model, error) {
	bin, err := parseBinary(data)
	if err != nil {
		return nil, fmt.Errorf("%w (model.bin)", err)
	}
	bin.upgrade()
	config, err := loadConfig(fsys)
	if err != nil {
		return nil, err
	}
	compute, err := resolveComputeType(computeType, bin.storedWeightType())
	if err != nil {
		return nil, err
	}
	l := &loader{
		bin: bin, names: slices.Sorted(maps.Keys(bin.variables)), compute: compute, epsilon: config.LayerNormEpsilon,
		used: map[*Variable]bool{}, weights: map[*Variable]*weights{}, vectors: map[*Variable][]float32{},
	}
	root := scope{l: l}
	if bin.version < 6 {
		config.legacyConfig(root)
	}
	if err := config.check(); err != nil {
		return nil, err
	}
	m := &model{config: config, computeType: compute, size: int64(len(data))}
	parsed := make(chan error)
	go func() {
		var err error
		m.source, m.target, err = loadVocabularies(fsys, config)
		parsed <- err
	}()
	m.encoder, m.decoder = root.at("encoder").encoder(), root.at("decoder").decoder()
	if l.err == nil {
		e.Compensate(l.s8...)
	}
	if err := <-parsed; err != nil {
		return nil, err
	}
	if l.err == nil {
		m.check(l)
	}
	if l.err == nil {
		l.err = l.unknown()
	}
	return m, l.err
}

// upgrade gives variables of older specifications their present names.
func (m *binaryModel) upgrade() {
	if m.revision == 1 {
		renamed := make(map[string]*Variable, len(m.variables))
		for name, v := range m.variables {
			renamed[firstName(name)] = v
		}
		m.variables = renamed
	}
	if m.revision < 5 {
		for _, attribute := range []string{"num_heads", "pre_norm", "activation", "embeddings_merge"} {
			m.alias("encoder/"+attribute, attribute)
		}
		for _, attribute := range []string{"num_heads", "pre_norm", "activation", "alignment_layer", "alignment_heads"} {
			m.alias("decoder/"+attribute, attribute)
		}
	}
}

// firstName maps a name of spec revision 1, which was OpenNMT-tf's.
func firstName(name string) string {
	for _, r := range [][2]string{{"transformer/", ""}, {":0", ""}, {"w_embs", "embeddings/weight"}, {"kernel", "weight"},
		{"LayerNorm", "layer_norm"}, {"dense", "projection"}, {"conv1d_", "linear_"}, {"conv1d", "linear_0"}} {
		name = strings.Replace(name, r[0], r[1], 1)
	}
	if strings.Contains(name, "encoder") {
		return strings.Replace(name, "multi_head", "self_attention", 1)
	}
	name = strings.Replace(name, "masked_multi_head", "self_attention", 1)
	return strings.Replace(name, "multi_head", "attention", 1)
}

// check compares what lies in different files or scopes.
func (m *model) check(l *loader) {
	enc, dec := m.encoder, m.decoder
	for name, pair := range map[string][2]int{
		"the source vocabulary and encoder/embeddings": {m.source.Size(), enc.embeddings.n},
		"the target vocabulary and decoder/embeddings": {m.target.Size(), dec.embeddings.n},
		"the target vocabulary and decoder/projection": {m.target.Size(), dec.projection.n},
	} {
		// An appended unknown token makes the vocabulary one larger.
		if pair[0] != pair[1] && pair[0] != pair[1]+1 {
			l.fail("%s differ in size: %d tokens, %d rows", name, pair[0], pair[1])
		}
	}
	first := dec.layers[0].self
	for i, layer := range dec.layers {
		if layer.cross.kv.k != enc.d {
			l.fail("decoder/layer_%d/attention takes %d dimensions, the encoder gives %d", i, layer.cross.kv.k, enc.d)
		}
		if layer.self.heads != first.heads || layer.self.dHead != first.dHead || layer.cross.heads != first.heads || layer.cross.dHead != first.dHead {
			l.fail("decoder/layer_%d has other attention heads than layer_0", i)
		}
	}
	if _, ok := m.target.ID(m.target.eos); !ok {
		l.fail("the end token %q is not in the target vocabulary", m.target.eos)
	}
}
