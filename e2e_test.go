package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/hub/hubtest"
)

// asProgram makes the test binary be sema itself.
const asProgram = "SEMA_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

const (
	e2eRepo   = "org/models"
	e2eToken  = "an-admin-token"
	e2eSecret = "a-webhook-secret"
)

// demoFiles are the demo models as the files of a repository, with a file that
// makes each version another commit.
func demoFiles(t testing.TB, version int) map[string][]byte {
	t.Helper()
	files := map[string][]byte{"VERSION": fmt.Appendf(nil, "%d\n", version)}
	err := fs.WalkDir(demo.Models(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files[name], err = fs.ReadFile(demo.Models(), name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// program is a running sema, a process of its own.
type program struct {
	t         *testing.T
	cmd       *exec.Cmd
	url       string
	mu        sync.Mutex
	logs      bytes.Buffer
	listening chan string   // gets its address
	gone      chan struct{} // closed when it has ended
}

// startProgram runs `sema serve` and waits until it listens.
func startProgram(t *testing.T, env ...string) *program {
	t.Helper()
	p := launchProgram(t, env...)
	p.awaitListening()
	return p
}

// launchProgram runs `sema serve` for the length of the test.
func launchProgram(t *testing.T, env ...string) *program {
	t.Helper()
	p := &program{t: t, cmd: exec.Command(os.Args[0], "serve"), listening: make(chan string, 1), gone: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), asProgram+"=1", "HOST=127.0.0.1", "PORT=0", "LOG_FORMAT=json", "ADMIN_TOKEN="+e2eToken, "WEBHOOK_SECRET="+e2eSecret,
		"RELOAD_POLL_INTERVAL=0", "RATE_LIMIT_PER_MINUTE=0", "RATE_LIMIT_PER_HOUR=0", "CACHE_SIZE=0", "HF_TOKEN=", "MODEL_REPO="+e2eRepo)
	p.cmd.Env = append(p.cmd.Env, env...)
	stderr, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go p.read(stderr)
	t.Cleanup(p.kill)
	return p
}

func (p *program) awaitListening() {
	p.t.Helper()
	select {
	case address := <-p.listening:
		p.url = "http://" + address
	case <-p.gone:
		p.t.Fatalf("sema ended:\n%s", p.log())
	case <-time.After(20 * time.Second):
		p.t.Fatalf("sema does not listen:\n%s", p.log())
	}
}

// read collects the log.
func (p *program) read(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Event, Address string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Event == "listening" {
			p.listening <- line.Address
		}
		if line.Event == "request_completed" {
			continue
		}
		p.mu.Lock()
		p.logs.Write(append(lines.Bytes(), '\n'))
		p.mu.Unlock()
	}
	_ = p.cmd.Wait()
	close(p.gone)
}

func (p *program) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.logs.String()
}

// kill ends the process at once.
func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.gone
}

// stop ends the process as an operator does.
func (p *program) stop() {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Fatal(err)
	}
	select {
	case <-p.gone:
	case <-time.After(20 * time.Second):
		p.t.Fatalf("sema does not end:\n%s", p.log())
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Fatalf("sema ended with status %d:\n%s", code, p.log())
	}
}

// do sends a request with the admin token and decodes the answer.
func (p *program) do(method, path, body string, answer any) int {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url+path, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+e2eToken)
	req.Header.Set("X-Webhook-Secret", e2eSecret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		p.t.Fatalf("%v\n%s", err, p.log())
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err == nil && answer != nil {
		err = json.Unmarshal(data, answer)
	}
	if err != nil {
		p.t.Fatalf("%s %s: %v: %s", method, path, err, data)
	}
	return resp.StatusCode
}

// translate asks for a translation and returns the version that made it.
func (p *program) translate() (version string) {
	p.t.Helper()
	var answer struct {
		Text    string `json:"translated_text"`
		Version string `json:"model_version"`
	}
	status := p.do("POST", "/translate", `{"text":"Good morning","source_language":"eng_Latn","target_language":"swh_Latn"}`, &answer)
	if status == http.StatusOK && answer.Text != "Habari ya asubuhi" {
		p.t.Fatalf("translated to %q\n%s", answer.Text, p.log())
	}
	return answer.Version
}

// awaitVersion waits until a version serves; "": any.
func (p *program) awaitVersion(version string) string {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if v := p.translate(); v != "" && (version == "" || v == version) {
			return v
		}
	}
	p.t.Fatalf("version %q does not come to serve:\n%s", version, p.log())
	return ""
}

// TestReloadFromTheHub swaps real models in the real program in each way that
// involves the Hub.
func TestReloadFromTheHub(t *testing.T) {
	s := hubtest.New(t)
	commit := func(version int) string { return s.Commit(e2eRepo, "main", demoFiles(t, version)) }
	first := commit(1)
	home := t.TempDir()
	p := startProgram(t, "HF_ENDPOINT="+s.URL, "HF_HOME="+home)
	p.awaitVersion(first)

	var outcome struct{ Result, Revision, Previous string }
	second := commit(2)
	if status := p.do("POST", "/admin/reload", "", &outcome); status != 200 || outcome.Result != "swapped" || outcome.Revision != second || outcome.Previous != first {
		t.Fatalf("%d %+v", status, outcome)
	}
	if v := p.translate(); v != second {
		t.Fatalf("%s serves after the reload, not %s", v, second)
	}

	third := commit(3)
	hook := `{"event":{"action":"update","scope":"repo.content"},"repo":{"type":"model","name":"` + e2eRepo + `"},"updatedRefs":[{"ref":"refs/heads/main"}]}`
	if status := p.do("POST", "/hooks/huggingface", hook, nil); status != http.StatusAccepted {
		t.Fatalf("the webhook: %d", status)
	}
	p.awaitVersion(third)

	fourth := commit(4)
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	p.awaitVersion(fourth)

	if status := p.do("POST", "/admin/rollback", "", &outcome); status != 200 || outcome.Revision != third {
		t.Fatalf("rollback: %d %+v", status, outcome)
	}
	if v := p.translate(); v != third {
		t.Fatalf("%s serves after the rollback, not %s", v, third)
	}
	p.stop()

	s.Forget()
	offline := startProgram(t, "HF_ENDPOINT="+s.URL, "HF_HOME="+home, "HF_HUB_OFFLINE=1")
	offline.awaitVersion("")
	offline.stop()
	if n := len(s.Requests()); n != 0 {
		t.Fatalf("%d requests offline", n)
	}
}

// TestHangUpWhileStarting sends SIGHUP to a program that still reads what it starts with.
func TestHangUpWhileStarting(t *testing.T) {
	golden := filepath.Join(t.TempDir(), "golden")
	if err := syscall.Mkfifo(golden, 0o600); err != nil {
		t.Fatal(err)
	}
	p := launchProgram(t, "CANARY_FILE="+golden, "HF_HUB_OFFLINE=true", "HF_HOME="+t.TempDir())
	open := func() (*os.File, error) { return os.OpenFile(golden, os.O_WRONLY|syscall.O_NONBLOCK, 0) }
	f, err := open()
	for begun := time.Now(); err != nil && time.Since(begun) < 20*time.Second; time.Sleep(time.Millisecond) {
		f, err = open() // fails until somebody reads
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteString("eng_Latn\tswh_Latn\tGood morning\tHabari ya asubuhi\n"); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.awaitListening()
	p.awaitVersion("")
	p.stop()
}

// TestReloadByPolling needs nobody to ask.
func TestReloadByPolling(t *testing.T) {
	s := hubtest.New(t)
	first := s.Commit(e2eRepo, "main", demoFiles(t, 1))
	p := startProgram(t, "HF_ENDPOINT="+s.URL, "HF_HOME="+t.TempDir(), "RELOAD_POLL_INTERVAL=200ms")
	p.awaitVersion(first)
	p.awaitVersion(s.Commit(e2eRepo, "main", demoFiles(t, 2)))
	p.stop()
}

// writeModels writes files below dir.
func writeModels(t *testing.T, dir string, files map[string][]byte) {
	t.Helper()
	for name, data := range files {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestReloadFromAFolder swaps a folder as Kubernetes does, by a symbolic link,
// and then has a model file overwritten in place, slowly, while it serves.
func TestReloadFromAFolder(t *testing.T) {
	root := t.TempDir()
	link := filepath.Join(root, "current")
	for version := 1; version <= 2; version++ {
		files := demoFiles(t, version)
		files["translation/nllb-demo-ct2/config.json"] = append(files["translation/nllb-demo-ct2/config.json"], bytes.Repeat([]byte("\n"), version)...)
		writeModels(t, filepath.Join(root, fmt.Sprint("v", version)), files)
	}
	if err := os.Symlink("v1", link); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, "MODEL_DIR="+link, "HF_HOME="+t.TempDir())
	first := p.awaitVersion("")

	if err := os.Symlink("v2", link+".new"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(link+".new", link); err != nil {
		t.Fatal(err)
	}
	second := p.awaitOther(first)

	model := filepath.Join(root, "v2", "translation", "nllb-demo-ct2", "model.bin")
	data, err := os.ReadFile(model)
	if err != nil {
		t.Fatal(err)
	}
	data[len(data)/2] ^= 1 // a weight, by the least there is
	f, err := os.OpenFile(model, os.O_WRONLY|os.O_TRUNC, 0)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < 10; i++ {
		if _, err := f.Write(data[i*len(data)/10 : (i+1)*len(data)/10]); err != nil {
			t.Fatal(err)
		}
		if v := p.translate(); v != second {
			t.Fatalf("%q serves while the file is written, not %s\n%s", v, second, p.log())
		}
		time.Sleep(100 * time.Millisecond)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	p.awaitOther(second)
	p.stop()
}

// awaitOther waits until another version than v serves.
func (p *program) awaitOther(v string) string {
	p.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if now := p.translate(); now != v {
			return now
		}
	}
	p.t.Fatalf("%s serves on:\n%s", v, p.log())
	return ""
}

// TestKilledWhileReloading kills the program at random moments of reloads, and
// finds a cache that serves each time. SEMA_LONG=1 does it 200 times.
func TestKilledWhileReloading(t *testing.T) {
	times := 8
	if os.Getenv("SEMA_LONG") != "" {
		times = 200
	}
	s := hubtest.New(t)
	versions := map[string]bool{s.Commit(e2eRepo, "main", demoFiles(t, 0)): true}
	env := []string{"HF_ENDPOINT=" + s.URL, "HF_HOME=" + t.TempDir(), "DEMO_FALLBACK=false", "RELOAD_POLL_INTERVAL=0"}
	p := startProgram(t, env...)
	p.awaitVersion("")
	for i := range times {
		versions[s.Commit(e2eRepo, "main", demoFiles(t, i+1))] = true
		ctx, cancel := context.WithCancel(context.Background())
		go func() { // its connection breaks
			req, _ := http.NewRequestWithContext(ctx, "POST", p.url+"/admin/reload", nil)
			req.Header.Set("Authorization", "Bearer "+e2eToken)
			if resp, err := http.DefaultClient.Do(req); err == nil {
				resp.Body.Close()
			}
		}()
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond)
		p.kill()
		cancel()
		offline := startProgram(t, append(env, "HF_HUB_OFFLINE=1")...)
		if v := offline.awaitVersion(""); !versions[v] {
			t.Fatalf("%q serves after a kill", v)
		}
		offline.kill()
		p = startProgram(t, env...)
		p.awaitVersion("")
	}
	p.stop()
}
