package translate

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/fasttext"
	"github.com/sematech/sema/sentencepiece"
)

// Open opens the models in the folder dir, which FindFiles finds. model.bin is
// mapped, not read. The files must not change in place while the pipeline is
// open.
func Open(dir string, opts Options) (*Pipeline, error) {
	at := func(name string) string { return filepath.Join(dir, filepath.FromSlash(name)) }
	return open(os.DirFS(dir), opts, opener{
		model:     func(name string) (*ctranslate2.Translator, error) { return ctranslate2.Open(at(name), opts.Runtime) },
		tokenizer: func(name string) (*sentencepiece.Processor, error) { return sentencepiece.Open(at(name)) },
		detector:  func(name string) (*fasttext.Model, error) { return fasttext.Open(at(name)) },
	})
}

// OpenFS opens the models in the folder dir of fsys, such as an embed.FS. The
// bytes of model.bin are held in memory.
func OpenFS(fsys fs.FS, dir string, opts Options) (*Pipeline, error) {
	sub, err := fs.Sub(fsys, dir)
	if err != nil {
		return nil, fmt.Errorf("translate: %w", err)
	}
	return open(sub, opts, opener{
		model: func(name string) (*ctranslate2.Translator, error) {
			return ctranslate2.OpenFS(sub, name, opts.Runtime)
		},
		tokenizer: func(name string) (*sentencepiece.Processor, error) { return parseFile(sub, name, sentencepiece.Parse) },
		detector:  func(name string) (*fasttext.Model, error) { return parseFile(sub, name, fasttext.Parse) },
	})
}

func parseFile[T any](fsys fs.FS, name string, parse func([]byte) (T, error)) (T, error) {
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		var none T
		return none, err
	}
	return parse(data)
}

// opener opens the files of one layout by their names in it.
type opener struct {
	model     func(name string) (*ctranslate2.Translator, error)
	tokenizer func(name string) (*sentencepiece.Processor, error)
	detector  func(name string) (*fasttext.Model, error)
}

func open(fsys fs.FS, opts Options, o opener) (*Pipeline, error) {
	files, err := FindFiles(fsys, opts)
	if err != nil {
		return nil, err
	}
	models, err := o.small(fsys, files)
	if err != nil {
		return nil, err
	}
	translator, err := o.model(files.Model)
	if err != nil {
		return nil, fmt.Errorf("translate: %s: %w", files.Model, err)
	}
	models.Translator = translator
	models.SourceVocabulary, models.TargetVocabulary = translator.SourceVocabulary(), translator.TargetVocabulary()
	p, err := New(models, opts)
	if err == nil {
		err = p.checkPieces(files)
	}
	if err != nil {
		translator.Close()
		return nil, err
	}
	p.files = files
	return p, nil
}

// small opens all but the translation model.
func (o opener) small(fsys fs.FS, files Files) (m Models, err error) {
	if m.AddsSourceEnd, err = addsSourceEnd(fsys, files.Model); err != nil {
		return m, err
	}
	source, err := o.tokenizer(files.SourceTokenizer)
	if err != nil {
		return m, fmt.Errorf("translate: %s: %w", files.SourceTokenizer, err)
	}
	m.SourceTokenizer = source
	if files.TargetTokenizer != "" {
		target, err := o.tokenizer(files.TargetTokenizer)
		if err != nil {
			return m, fmt.Errorf("translate: %s: %w", files.TargetTokenizer, err)
		}
		m.TargetTokenizer = target
	}
	if files.Detector != "" {
		detector, err := o.detector(files.Detector)
		if err != nil {
			return m, fmt.Errorf("translate: %s: %w", files.Detector, err)
		}
		m.Detector = detector
	}
	return m, nil
}

// Files returns where the models were found.
func (p *Pipeline) Files() Files { return p.files }
