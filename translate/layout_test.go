package translate_test

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/sematech/sema/translate"
)

// folder makes files of the given names.
func folder(names string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name := range strings.FieldsSeq(names) {
		data := []byte("something")
		if strings.Contains(name, "lid") {
			data = []byte{0xBA, 0x16, 0x4F, 0x2F, 12, 0, 0, 0}
		}
		fsys[name] = &fstest.MapFile{Data: data}
	}
	return fsys
}

func TestFindFiles(t *testing.T) {
	for _, test := range []struct {
		name, files string
		opts        translate.Options
		want        translate.Files
	}{
		{
			"deployment document", "translation/nllb-200-3.3B-ct2/model.bin translation/nllb-200-3.3B-ct2/config.json " +
				"translation/tokenizer/sentencepiece.bpe.model language_detection/lid.176.bin", translate.Options{},
			translate.Files{Model: "translation/nllb-200-3.3B-ct2", SourceTokenizer: "translation/tokenizer/sentencepiece.bpe.model", Detector: "language_detection/lid.176.bin"},
		},
		{
			"live repository", "translation_models/sematrans-3.3B/model.bin spm.model lid218e.bin README.md", translate.Options{},
			translate.Files{Model: "translation_models/sematrans-3.3B", SourceTokenizer: "spm.model", Detector: "lid218e.bin"},
		},
		{
			"one folder", "model.bin spiece.model lid.ftz pytorch_model.bin", translate.Options{},
			translate.Files{Model: ".", SourceTokenizer: "spiece.model", Detector: "lid.ftz"},
		},
		{
			"Marian", "opus/model.bin opus/source.spm opus/target.spm", translate.Options{},
			translate.Files{Model: "opus", SourceTokenizer: "opus/source.spm", TargetTokenizer: "opus/target.spm"},
		},
		{
			"own tokenizer", "a/model.bin a/x.model b/y.model .cache/z/model.bin", translate.Options{},
			translate.Files{Model: "a", SourceTokenizer: "a/x.model"},
		},
		{
			"named", "a/model.bin b/model.bin x.model y.model lid1.bin lid2.bin",
			translate.Options{ModelPath: "b/", TokenizerPath: "y.model", DetectorPath: "lid2.bin"},
			translate.Files{Model: "b", SourceTokenizer: "y.model", Detector: "lid2.bin"},
		},
	} {
		got, err := translate.FindFiles(folder(test.files), test.opts)
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v", test.name, got, err)
		}
	}
}

func TestFindFilesErrors(t *testing.T) {
	for _, test := range []struct{ files, text string }{
		{"x.model lid.bin", "no folder with model.bin"},
		{"a/model.bin", "no SentencePiece"},
		{"a/model.bin b/model.bin x.model", "2 of folder with model.bin: a, b: name one with the option ModelPath"},
		{"a/model.bin x.model y.model", "x.model, y.model: name one with the option TokenizerPath"},
		{"a/model.bin x.model lid1.bin lid2.ftz", "lid1.bin, lid2.ftz: name one with the option DetectorPath"},
	} {
		_, err := translate.FindFiles(folder(test.files), translate.Options{})
		if !errors.Is(err, translate.ErrInvalidModel) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%s: %v", test.files, err)
		}
	}
}

func TestOpenErrors(t *testing.T) {
	if _, err := translate.Open(t.TempDir(), translate.Options{}); !errors.Is(err, translate.ErrInvalidModel) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := translate.Open("no/such/folder", translate.Options{}); err == nil {
		t.Error("no folder: no error")
	}
	for _, names := range []string{"m/model.bin x.model", "m/model.bin m/config.json x.model", "m/model.bin x.model lid.bin"} {
		if _, err := translate.OpenFS(folder(names), ".", translate.Options{}); err == nil {
			t.Errorf("%s: damaged files: no error", names)
		}
	}
}
