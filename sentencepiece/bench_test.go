package sentencepiece_test

import (
	"strings"
	"testing"

	"github.com/sematech/sema/sentencepiece"
)

var benchmarkModels = []string{"bpe_nllb", "bpe_bytes", "unigram", "unigram_symbols"}

func BenchmarkEncode(b *testing.B) {
	texts := sampleTexts(b)
	for _, name := range benchmarkModels {
		p := processor(b, name)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(strings.Join(texts, ""))))
			b.ReportAllocs()
			for b.Loop() {
				for _, text := range texts {
					p.Encode(text)
				}
			}
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	texts := sampleTexts(b)
	for _, name := range benchmarkModels {
		p := processor(b, name)
		pieces := make([][]string, len(texts))
		for i, text := range texts {
			pieces[i] = p.Encode(text)
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(strings.Join(texts, ""))))
			b.ReportAllocs()
			for b.Loop() {
				for _, line := range pieces {
					p.Decode(line)
				}
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	model := modelContents(b)["bpe_nllb"]
	b.SetBytes(int64(len(model)))
	for b.Loop() {
		if _, err := sentencepiece.Parse(model); err != nil {
			b.Fatal(err)
		}
	}
}
