// Command text times tokenization and language detection for text.py: it reads
// lines from standard input and prints, as one JSON object, how long one pass
// over them takes at best.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"github.com/sematech/sema/fasttext"
	"github.com/sematech/sema/sentencepiece"
)

// report is what main prints. Tokens and labels show that both sides did the same.
type report struct {
	EncodeSeconds  float64  `json:"encode_seconds"`
	DecodeSeconds  float64  `json:"decode_seconds"`
	PredictSeconds float64  `json:"predict_seconds"`
	Tokens         int      `json:"tokens"`
	Labels         []string `json:"labels"`
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "text:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("usage: text TOKENIZER DETECTOR < LINES")
	}
	tokenizer, err := sentencepiece.Open(args[0])
	if err != nil {
		return err
	}
	detector, err := fasttext.Open(args[1])
	if err != nil {
		return err
	}
	var lines []string
	for s := bufio.NewScanner(os.Stdin); s.Scan(); {
		lines = append(lines, s.Text())
	}
	return json.NewEncoder(os.Stdout).Encode(measure(tokenizer, detector, lines))
}

func measure(tokenizer *sentencepiece.Processor, detector *fasttext.Model, lines []string) report {
	r := report{Labels: make([]string, len(lines))}
	pieces := make([][]string, len(lines))
	r.EncodeSeconds = best(func() {
		for i, line := range lines {
			pieces[i] = tokenizer.Encode(line)
		}
	})
	for _, p := range pieces {
		r.Tokens += len(p)
	}
	r.DecodeSeconds = best(func() {
		for _, p := range pieces {
			tokenizer.Decode(p)
		}
	})
	r.PredictSeconds = best(func() {
		for i, line := range lines {
			if p := detector.Predict(line, 1, 0); len(p) > 0 {
				r.Labels[i] = p[0].Label
			}
		}
	})
	return r
}

// best returns the shortest time of some passes.
func best(pass func()) float64 {
	shortest := time.Duration(1<<63 - 1)
	for range 7 {
		start := time.Now()
		pass()
		shortest = min(shortest, time.Since(start))
	}
	return shortest.Seconds()
}
