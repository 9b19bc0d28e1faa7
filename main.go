// Sema serves translation (NLLB-200 and its kin, in CTranslate2's format) and
// language detection over REST, and does both on the command line.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/sematech/sema/config"
	"github.com/sematech/sema/ctranslate2/kernels"
	"github.com/sematech/sema/hub"
)

// version is set at link time (see the Makefile).
var version = "dev"

// stdio is where a subcommand reads and writes.
type stdio struct {
	in       io.Reader
	out, err io.Writer
}

// command is a subcommand.
type command struct {
	name, text string
	run        runner
}

type runner func(ctx context.Context, args []string, std stdio) error

func commands() []command {
	return []command{
		{"serve", "serve the REST API (the default)", runServe},
		{"pull", "download models from the Hub into the cache", runPull},
		{"translate", "translate a file or standard input", runTranslate},
		{"detect", "detect the language of each line of a file or standard input", runDetect},
		{"ct2", "translate lines of tokens with a CTranslate2 model", withKernels(runCT2)},
		{"bench", "measure the runtime on a model or on one of NLLB's sizes", withKernels(runBench)},
		{"doctor", "explain this machine and what to change", runDoctor},
		bare("config", "print the configuration in force", runConfig),
		bare("healthcheck", "ask the running service whether it is ready", runHealthcheck),
		bare("version", "print the version", withKernels(runVersion)),
	}
}

// bare is a command that takes nothing but -h.
func bare(name, text string, run runner) command {
	return command{name, text, func(ctx context.Context, args []string, std stdio) error {
		fs := newFlags(name, std.err, "", text)
		if err := fs.Parse(args); err != nil {
			return err
		}
		if fs.NArg() > 0 {
			return usageError("%s: unexpected argument %q", name, fs.Arg(0))
		}
		return run(ctx, nil, std)
	}}
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], stdio{os.Stdin, os.Stdout, os.Stderr}))
}

// run runs a subcommand and returns the exit status: 2 for a wrong call, 1 for
// any other error.
func run(ctx context.Context, args []string, std stdio) int {
	name := "serve"
	if len(args) > 0 && args[0] != "" && args[0][0] != '-' {
		name, args = args[0], args[1:]
	} else if len(args) > 0 && (args[0] == "-h" || args[0] == "--help") {
		name = "help"
	}
	err := dispatch(ctx, name, args, std)
	var usage *usageErr
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &usage):
		fmt.Fprintln(std.err, "sema:", err)
		return 2
	}
	fmt.Fprintln(std.err, "sema:", err)
	return 1
}

func dispatch(ctx context.Context, name string, args []string, std stdio) error {
	if name == "help" {
		printUsage(std.out)
		return nil
	}
	for _, c := range commands() {
		if c.name == name {
			return c.run(ctx, args, std)
		}
	}
	printUsage(std.err)
	return usageError("unknown command %q", name)
}

// chooseKernels takes the kernel tier that the environment forces, or the best. A command does it before it computes:
// through withKernels, through loadConfig, which tells of all mistakes together, or, the doctor, as one of its findings.
func chooseKernels(environ []string) error {
	isa, source := config.Lookup(environ, "CPU_ISA")
	if err := kernels.Use(isa); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

// withKernels is run after the choice of the kernel tier.
func withKernels(run runner) runner {
	return func(ctx context.Context, args []string, std stdio) error {
		if err := chooseKernels(os.Environ()); err != nil {
			return err
		}
		return run(ctx, args, std)
	}
}

// loadConfig loads the configuration and chooses the kernel tier.
func loadConfig(environ []string) (config.Config, error) {
	cfg, err := loadNames(environ)
	return withMistakes(cfg, err, chooseKernels(environ))
}

// loadNames loads the configuration and has the Hub's client check the names that it would refuse at each request.
func loadNames(environ []string) (config.Config, error) {
	cfg, err := config.Load(environ)
	return withMistakes(cfg, err, checkVariable(environ, "MODEL_REPO", hub.CheckRepo), checkVariable(environ, "MODEL_REVISION", hub.CheckRevision))
}

// checkVariable says what check finds wrong with a variable, if it is set.
func checkVariable(environ []string, variable string, check func(value string) error) error {
	value, source := config.Lookup(environ, variable)
	if value == "" {
		return nil
	}
	if err := check(value); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

// withMistakes adds mistakes that config can't see, nil for none, to those that it found: all are told together.
func withMistakes(cfg config.Config, err error, others ...error) (config.Config, error) {
	found := &config.Error{}
	_ = errors.As(err, &found) // without mistakes it stays empty
	for _, other := range others {
		if other != nil {
			found.Mistakes = append(found.Mistakes, other.Error())
		}
	}
	if len(found.Mistakes) == 0 {
		return cfg, err
	}
	return config.Config{}, found
}

func printUsage(w io.Writer) {
	fmt.Fprintf(w, "usage: sema COMMAND [options]\n\n")
	for _, c := range commands() {
		fmt.Fprintf(w, "  %-10s %s\n", c.name, c.text)
	}
	fmt.Fprintf(w, "\n`sema COMMAND -h` lists a command's options; `sema serve` is configured by the environment.\n")
}

// usageErr is a mistake in how the program was called.
type usageErr struct{ text string }

func (e *usageErr) Error() string { return e.text }

func usageError(format string, args ...any) error { return &usageErr{fmt.Sprintf(format, args...)} }

func runVersion(_ context.Context, _ []string, std stdio) error {
	revision := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				revision = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(std.out, "sema %s%s %s %s/%s, kernels %s\n", version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH, kernels.Active())
	return err
}
