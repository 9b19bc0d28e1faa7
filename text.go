package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/sematech/sema/translate"
)

// openForCommand opens the models for a command, which the environment
// configures as it does the service.
func openForCommand(models string) (*translate.Pipeline, error) {
	cfg, err := loadConfig(os.Environ())
	if err != nil {
		return nil, err
	}
	if models != "" {
		cfg.ModelDir = models
	}
	return openModels(cfg)
}

// input opens the file of a command's only argument, or standard input.
func input(args []string, std stdio) (io.ReadCloser, error) {
	switch len(args) {
	case 0:
		return io.NopCloser(std.in), nil
	case 1:
		return os.Open(args[0])
	}
	return nil, usageError("one file at most, and options before it, not %q", args)
}

// runTranslate is `sema translate`.
func runTranslate(ctx context.Context, args []string, std stdio) error {
	fs := newFlags("translate", std.err, "--to LANGUAGE [--from LANGUAGE] [FILE]", "Translates a file, or standard input, to standard output.")
	to := fs.String("to", "", "target `language`: swh_Latn, sw, Swahili, …")
	from := fs.String("from", "", "source `language`; detected if it is not given")
	models := fs.String("models", "", "`folder` of models (as MODEL_DIR)")
	beam := fs.Int("beam-size", 0, "beam size; 0: BEAM_SIZE")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if *to == "" {
		return usageError("translate: --to is missing; options stand before FILE")
	}
	in, err := input(fs.Args(), std)
	if err != nil {
		return err
	}
	defer in.Close()
	text, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("translate: read: %w", err)
	}
	p, err := openForCommand(*models)
	if err != nil {
		return err
	}
	defer p.Close()
	r, err := p.Translate(ctx, translate.Request{Text: string(text), Source: *from, Target: *to, BeamSize: *beam})
	if err != nil {
		return err
	}
	if n := len(r.Text); n > 0 && r.Text[n-1] != '\n' {
		r.Text += "\n"
	}
	_, err = io.WriteString(std.out, r.Text)
	return err
}

// runDetect is `sema detect`: for each line its language and the probability.
func runDetect(_ context.Context, args []string, std stdio) error {
	fs := newFlags("detect", std.err, "[FILE]", "Detects the language of each line of a file, or of standard input.")
	models := fs.String("models", "", "`folder` of models (as MODEL_DIR)")
	if err := fs.Parse(args); err != nil {
		return err
	}
	in, err := input(fs.Args(), std)
	if err != nil {
		return err
	}
	defer in.Close()
	p, err := openForCommand(*models)
	if err != nil {
		return err
	}
	defer p.Close()
	out := bufio.NewWriter(std.out)
	defer out.Flush()
	lines := newLineReader(in)
	for lines.Scan() {
		d, err := p.Detect(lines.Text(), 1)
		if err != nil || d.Language == "" {
			d.Language = "undetermined"
		}
		fmt.Fprintf(out, "%s\t%.3f\t%s\n", d.Language, d.Confidence, lines.Text())
	}
	return lines.Err()
}
