package reload

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/sematech/sema/flores"
)

// maxGolden bounds a golden file's bytes, and maxGoldenLines its lines: all are
// translated at each reload.
const (
	maxGolden      = 4 << 20
	maxGoldenLines = 2000
)

// Golden is what ReadGolden read: sentences with their references.
type Golden []trial

// ReadGolden reads an operator's golden file of lines "source language, target
// language, source, reference", separated by tabs. Empty lines and those that
// begin with # are left out.
func ReadGolden(name string) (Golden, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("reload: golden file: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxGolden+1))
	lines.Buffer(nil, maxGolden)
	var trials Golden
	read := 0
	for n := 1; lines.Scan(); n++ {
		if read += len(lines.Bytes()) + 1; read > maxGolden || len(trials) == maxGoldenLines {
			return nil, fmt.Errorf("reload: %s is larger than %d lines or %d bytes", name, maxGoldenLines, maxGolden)
		}
		line := strings.TrimRight(lines.Text(), "\r")
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		t, err := goldenLine(line)
		if err != nil {
			return nil, fmt.Errorf("reload: %s, line %d: %w", name, n, err)
		}
		trials = append(trials, t)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reload: golden file %s: %w", name, err)
	}
	if len(trials) == 0 {
		return nil, fmt.Errorf("reload: golden file %s has no sentence", name)
	}
	return trials, nil
}

func goldenLine(line string) (trial, error) {
	fields := strings.Split(line, "\t")
	if len(fields) != 4 || strings.TrimSpace(fields[2]) == "" || strings.TrimSpace(fields[3]) == "" {
		return trial{}, errors.New("want source language, target language, source and reference, separated by tabs")
	}
	source, err := flores.Resolve(fields[0])
	if err != nil {
		return trial{}, err
	}
	target, err := flores.Resolve(fields[1])
	if err != nil {
		return trial{}, err
	}
	return trial{Sentence{source.Code, target.Code, fields[2]}, fields[3]}, nil
}
