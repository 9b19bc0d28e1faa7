package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/sematech/sema/ctranslate2"
)

// ct2Flags are the options of `sema ct2`.
type ct2Flags struct {
	model, compute, prefix string
	threads, batch         int
	opts                   ctranslate2.TranslationOptions
}

func parseCT2(args []string, stderr io.Writer) (*ct2Flags, error) {
	f := &ct2Flags{opts: ctranslate2.DefaultTranslationOptions()}
	fs := newFlags("ct2", stderr, "--model DIR [options] < TOKENS", "Translates lines of space-separated tokens with a CTranslate2 model; one JSON object a line.")
	fs.StringVar(&f.model, "model", "", "`folder` of the model (model.bin, config.json, vocabularies)")
	fs.StringVar(&f.compute, "compute-type", "default", "default, auto, int8, int16, float32, …")
	fs.StringVar(&f.prefix, "target-prefix", "", "space-separated `tokens` that every hypothesis begins with")
	fs.IntVar(&f.threads, "threads", 0, "compute threads; 0: the CPUs that the process may use")
	fs.IntVar(&f.batch, "batch-size", 32, "lines translated together")
	fs.IntVar(&f.opts.BeamSize, "beam-size", f.opts.BeamSize, "beam size; 1 is greedy search")
	fs.IntVar(&f.opts.NumHypotheses, "num-hypotheses", 1, "hypotheses a line")
	fs.IntVar(&f.opts.MaxDecodingLength, "max-decoding-length", f.opts.MaxDecodingLength, "most tokens of a hypothesis")
	fs.BoolVar(&f.opts.ReturnScores, "log-probs", false, "write the scores of the hypotheses")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	switch {
	case f.model == "":
		return nil, usageError("ct2: --model is missing")
	case fs.NArg() > 0:
		return nil, usageError("ct2: unexpected argument %q: tokens come on standard input", fs.Arg(0))
	case f.batch < 1:
		return nil, usageError("ct2: --batch-size must be at least 1")
	}
	return f, nil
}

// runCT2 is `sema ct2`: tokens in, tokens out.
func runCT2(ctx context.Context, args []string, std stdio) error {
	f, err := parseCT2(args, std.err)
	if err != nil {
		return err
	}
	t, err := ctranslate2.Open(f.model, ctranslate2.Options{ComputeType: f.compute, Threads: f.threads})
	if err != nil {
		return err
	}
	defer t.Close()
	in, out := newLineReader(std.in), bufio.NewWriter(std.out)
	defer out.Flush()
	for {
		lines, err := in.next(f.batch)
		if err != nil {
			return fmt.Errorf("ct2: read standard input: %w", err)
		}
		if len(lines) == 0 {
			return out.Flush()
		}
		if err := translateTokens(ctx, t, f, lines, out); err != nil {
			return err
		}
	}
}

// translateTokens writes one JSON object for each line.
func translateTokens(ctx context.Context, t *ctranslate2.Translator, f *ct2Flags, lines []string, out *bufio.Writer) error {
	source, prefix := make([][]string, len(lines)), [][]string(nil)
	for i, line := range lines {
		source[i] = strings.Fields(line)
		if f.prefix != "" {
			prefix = append(prefix, strings.Fields(f.prefix))
		}
	}
	results, err := t.TranslateBatch(ctx, source, prefix, f.opts)
	if err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for _, r := range results {
		line := struct {
			Hypotheses [][]string `json:"hypotheses"`
			Scores     []float32  `json:"scores,omitempty"`
		}{make([][]string, len(r.Hypotheses)), r.Scores}
		for i, h := range r.Hypotheses {
			line.Hypotheses[i] = append([]string{}, h...) // [] and not null when empty
		}
		if err := enc.Encode(line); err != nil {
			return err
		}
	}
	return out.Flush()
}

// maxLine bounds a line of input.
const maxLine = 16 << 20

// lineReader reads lines in groups.
type lineReader struct{ *bufio.Scanner }

func newLineReader(r io.Reader) lineReader {
	s := bufio.NewScanner(r)
	s.Buffer(make([]byte, 64<<10), maxLine)
	return lineReader{s}
}

// next returns up to n lines; none at the end of the input.
func (r lineReader) next(n int) ([]string, error) {
	var lines []string
	for len(lines) < n && r.Scan() {
		lines = append(lines, r.Text())
	}
	return lines, r.Err()
}

// newFlags returns a flag set whose usage says what a subcommand does.
func newFlags(name string, stderr io.Writer, usage, text string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		fmt.Fprintf(stderr, "usage: sema %s %s\n\n%s\n\n", name, usage, text)
		fs.PrintDefaults()
	}
	return fs
}
