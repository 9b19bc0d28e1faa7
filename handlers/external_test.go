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
	check := func(s *server, options ...string) {
		arguments := append([]string{"run", s.url + "/openapi.json", "--checks", "all", "--max-examples", "60", "--seed", "1", "--workers", "1"}, options...)
		run := exec.Command(program, arguments...)
		run.Env = append(os.Environ(), "NO_COLOR=1")
		out, err := run.CombinedOutput()
		t.Logf("%s", out)
		if err != nil {
			t.Error(err)
		}
	}
	check(start(t, func(o *handlers.Options) { o.MaxCharacters = 5000 }))
	admin, _ := startAdmin(t, nil)
	check(admin, "--include-path-regex", "/admin/", "--exclude-path-regex", "/events", // a stream of events has no end
		"--header", "Authorization: Bearer "+token, "--exclude-checks", "ignored_auth") // wrong tokens soon get 429: TestAdminToken
	check(admin, "--include-path-regex", "/hooks/", "--header", "X-Webhook-Secret: "+secret, "--exclude-checks", "ignored_auth")
}
