package handlers_test

import (
	"cmp"
	"os"
	"os/exec"
	"testing"

	"github.com/sematech/sema/handlers"
)

// TestClients runs the official Python clients of DeepL and LibreTranslate. SEMA_PYTHON names the interpreter that has
// them.
func TestClients(t *testing.T) {
	python := cmp.Or(os.Getenv("SEMA_PYTHON"), "python3")
	if exec.Command(python, "-c", "import deepl, libretranslatepy").Run() != nil {
		t.Skip("the Python packages deepl and libretranslatepy are not installed")
	}
	s := start(t, nil)
	if out, err := exec.Command(python, "testdata/clients.py", s.url).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestSchemathesis runs every check of schemathesis against the OpenAPI document. SEMA_SCHEMATHESIS names the program.
func TestSchemathesis(t *testing.T) {
	program := cmp.Or(os.Getenv("SEMA_SCHEMATHESIS"), "schemathesis")
	if _, err := exec.LookPath(program); err != nil {
		t.Skip("schemathesis is not installed (pip install schemathesis==4.32.5)")
	}
	if testing.Short() {
		t.Skip("takes a minute")
	}
	s := start(t, func(o *handlers.Options) { o.MaxCharacters = 5000 })
	run := exec.Command(program, "run", s.url+"/openapi.json",
		"--checks", "all", "--max-examples", "60", "--seed", "1", "--workers", "1")
	run.Env = append(os.Environ(), "NO_COLOR=1")
	if out, err := run.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
