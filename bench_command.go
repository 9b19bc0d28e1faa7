package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/sematech/sema/bench"
)

// runBench is `sema bench`.
func runBench(ctx context.Context, args []string, std stdio) error {
	var o bench.Options
	fs := newFlags("bench", std.err, "[--model DIR | --shape NAME] [options]", "Measures loading, encoding and decoding against what the machine allows.")
	shape := fs.String("shape", "", "nllb-600m, nllb-1.3b or nllb-3.3b: a model of random weights, written to the cache on first use")
	cache := fs.String("cache", defaultBenchCache(), "`folder` for the models of shapes")
	asJSON := fs.Bool("json", false, "write one JSON object")
	fs.StringVar(&o.Model, "model", "", "`folder` of a CTranslate2 model")
	fs.IntVar(&o.Threads, "threads", 0, "compute threads; 0: the CPUs that the process may use")
	fs.IntVar(&o.Sentences, "sentences", 1, "sentences translated together")
	fs.IntVar(&o.BeamSize, "beam-size", 1, "beam size")
	fs.IntVar(&o.SourceTokens, "source-tokens", 32, "source tokens of a sentence")
	fs.IntVar(&o.TargetTokens, "target-tokens", 32, "target tokens of a sentence, decoded exactly")
	fs.StringVar(&o.ComputeType, "compute-type", "int8", "int8, float32, …")
	fs.BoolVar(&o.WholeLayer, "whole-layer", false, "read the whole output layer at every step, without a coarse copy")
	noCopies := fs.Bool("no-copies", false, "make no copies of weights on the disk")
	fs.IntVar(&o.Runs, "runs", 3, "runs, of which the median is reported")
	if err := fs.Parse(args); err != nil {
		return err
	}
	if o.Sentences < 1 || o.SourceTokens < 3 || o.TargetTokens < 1 || o.Runs < 1 || (o.Model == "") == (*shape == "") {
		return usageError("bench: name a model or a shape, and sizes of at least one token")
	}
	if *shape != "" {
		dir, err := shapeModel(*shape, *cache, o.ComputeType, std.err)
		if err != nil {
			return err
		}
		o.Model = dir
	}
	if !*noCopies {
		o.CopyDir = *cache
	}
	r, err := bench.Run(ctx, o)
	if err != nil {
		return err
	}
	if *asJSON {
		return json.NewEncoder(std.out).Encode(r)
	}
	return r.Print(std.out)
}

// shapeModel writes the model of a shape if the cache has none.
func shapeModel(name, cache, computeType string, log io.Writer) (string, error) {
	s, err := bench.LookupShape(name)
	if err != nil {
		return "", usageError("%v", err)
	}
	stored := "int8"
	if computeType == "float32" {
		stored = computeType
	}
	fmt.Fprintf(log, "model: %s, %s, in %s\n", name, stored, cache)
	return s.Write(cache, stored)
}

func defaultBenchCache() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		dir = os.TempDir()
	}
	return filepath.Join(dir, "sema", "bench")
}
