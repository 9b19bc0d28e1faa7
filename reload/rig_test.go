package reload_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/fasttext"
	"github.com/sematech/sema/hub"
	"github.com/sematech/sema/hub/hubtest"
	"github.com/sematech/sema/modelstore"
	"github.com/sematech/sema/reload"
	"github.com/sematech/sema/sentencepiece"
	"github.com/sematech/sema/telemetry"
	"github.com/sematech/sema/translate"
)

const (
	repo       = "sematech/sema-utils"
	modelFile  = "translation/nllb-demo-ct2/model.bin"
	vocabulary = "translation/nllb-demo-ct2/shared_vocabulary.json"
)

// files are the demo models, path → content.
var files = sync.OnceValue(func() map[string][]byte {
	all := map[string][]byte{}
	err := fs.WalkDir(demo.Models(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			all[name], err = fs.ReadFile(demo.Models(), name)
		}
		return err
	})
	if err != nil {
		panic(err)
	}
	return all
})

// with returns the demo models with one file changed.
func with(name string, change func([]byte) []byte) map[string][]byte {
	all := map[string][]byte{}
	for n, data := range files() {
		all[n] = data
	}
	all[name] = change(bytes.Clone(all[name]))
	return all
}

// saying returns models that translate "Hello" to a word of the version's own.
func saying(word string) map[string][]byte {
	return with(vocabulary, func(data []byte) []byte {
		return bytes.ReplaceAll(data, []byte(`\u2581Habari"`), fmt.Appendf(nil, `\u2581%s"`, word))
	})
}

// variable returns where a float variable of model.bin begins, and its length.
func variable(model []byte, name string) []byte {
	at := bytes.Index(model, append([]byte(name), 0)) + len(name) + 1
	rank := int(model[at])
	at += 1 + 4*rank + 1
	n := int(binary.LittleEndian.Uint32(model[at:]))
	return model[at+4 : at+4+n]
}

func fill(floats []byte, value func(i int) float32) {
	for i := range len(floats) / 4 {
		binary.LittleEndian.PutUint32(floats[4*i:], math.Float32bits(value(i)))
	}
}

// notANumber returns models with a damaged weight.
func notANumber() map[string][]byte {
	return with(modelFile, func(model []byte) []byte {
		fill(variable(model, "decoder/layer_norm/gamma"), func(int) float32 { return float32(math.NaN()) })
		return model
	})
}

// looping returns models of which one token always wins: the last layer says
// the same whatever comes in.
func looping() map[string][]byte {
	return with(modelFile, func(model []byte) []byte {
		weights, scales := variable(model, "decoder/embeddings/weight"), variable(model, "decoder/embeddings/weight_scale")
		const depth = 256
		row, best := 0, 0.0
		for i := 100; i < 2000; i++ {
			scale := math.Float32frombits(binary.LittleEndian.Uint32(scales[4*i:]))
			var norm float64
			for _, w := range weights[i*depth : (i+1)*depth] {
				norm += float64(int8(w)) * float64(int8(w)) / float64(scale*scale)
			}
			if norm > best {
				row, best = i, norm
			}
		}
		fill(variable(model, "decoder/layer_norm/gamma"), func(int) float32 { return 0 })
		fill(variable(model, "decoder/layer_norm/beta"), func(i int) float32 { return float32(int8(weights[row*depth+i])) })
		return model
	})
}

// silent returns models that end every translation at once: the row of the end
// token wins.
func silent() map[string][]byte {
	return with(modelFile, func(model []byte) []byte {
		weights := variable(model, "decoder/embeddings/weight")
		fill(variable(model, "decoder/layer_norm/gamma"), func(int) float32 { return 0 })
		fill(variable(model, "decoder/layer_norm/beta"), func(i int) float32 { return float32(int8(weights[2*256+i])) * 100 })
		return model
	})
}

// write puts models in a folder.
func write(t testing.TB, dir string, models map[string][]byte) {
	t.Helper()
	for name, data := range models {
		to := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// A rig is a controller that runs.
type rig struct {
	testing.TB
	*reload.Controller
	store   *modelstore.Store[*reload.Models]
	metrics *telemetry.Metrics
	end     func()
}

// quick are options for tests: small, and without long waits.
func quick() reload.Options {
	return reload.Options{
		Debounce: 30 * time.Millisecond, Backoff: 30 * time.Millisecond, DrainTimeout: 5 * time.Second,
		Pipeline: translate.Options{Runtime: ctranslate2.Options{Threads: 1, CacheBytes: 64 << 20}},
	}
}

// run starts a controller, which ends with the test.
func run(t testing.TB, o reload.Options) *rig {
	t.Helper()
	r := &rig{TB: t, store: &modelstore.Store[*reload.Models]{}, metrics: telemetry.NewMetrics()}
	o.Store, o.Metrics = r.store, r.metrics
	c, err := reload.New(o)
	if err != nil {
		t.Fatal(err)
	}
	r.Controller = c
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Run did not end")
		}
		r.store.Swap(nil)
	})
	t.Cleanup(r.end)
	return r
}

// onHub are options for a repository on a Hub.
func onHub(t testing.TB, h *hubtest.Server) reload.Options {
	o := quick()
	o.Repo = repo
	o.Hub = &hub.Options{Endpoint: h.URL, CacheDir: t.TempDir(), Retries: -1, Backoff: time.Millisecond, Timeout: time.Second}
	return o
}

// until waits for a condition.
func (r *rig) until(what string, ok func() bool) {
	r.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			var all []string
			for _, g := range r.Generations() {
				all = append(all, strings.TrimSpace(fmt.Sprintln(g.State, g.Revision, g.Step, g.Error)))
			}
			r.Fatalf("waited in vain until %s; generations:\n%s", what, strings.Join(all, "\n"))
		}
	}
}

// serves waits until a revision serves.
func (r *rig) serves(revision string) {
	r.Helper()
	r.until(revision+" serves", func() bool { b := r.store.Current(); return b != nil && b.Revision == revision })
}

// ask reloads and demands a result.
func (r *rig) ask(q modelstore.Request, want string) modelstore.Outcome {
	r.Helper()
	if q.Trigger == "" {
		q.Trigger = "admin"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	outcome, err := r.Reload(ctx, q)
	if outcome.Result != want || (err != nil) != (want == "failed") {
		r.Fatalf("reload %+v: %+v, %v; want %s", q, outcome, err, want)
	}
	return outcome
}

// says translates "Hello" with what serves.
func (r *rig) says(want string) {
	r.Helper()
	b, err := r.store.Acquire()
	if err != nil {
		r.Fatal(err)
	}
	defer b.Release()
	res, err := b.Models.Translate(r.Context(), translate.Request{Text: "Hello", Source: "eng_Latn", Target: "swh_Latn"})
	if err != nil || strings.TrimPrefix(res.Text, "▁") != want { // the tokenizer does not know the version's word
		r.Errorf("Hello is %q, %v; want %q", res.Text, err, want)
	}
}

// state returns the first generation in a state.
func (r *rig) state(state string) modelstore.Generation {
	all := r.Generations()
	i := slices.IndexFunc(all, func(g modelstore.Generation) bool { return g.State == state })
	if i < 0 {
		return modelstore.Generation{}
	}
	return all[i]
}

// scrape demands a line in the metrics.
func (r *rig) scrape(line string) {
	r.Helper()
	var out strings.Builder
	if err := r.metrics.Write(&out); err != nil || !strings.Contains(out.String(), line+"\n") {
		r.Errorf("the metrics lack %s: %v", line, err)
	}
}

// steps lists the steps of the events of a trigger, without progress.
func (r *rig) steps(trigger string) string {
	past, _, stop := r.Events(0)
	defer stop()
	var steps []string
	for _, e := range past {
		if e.Trigger == trigger && e.Result != "" {
			steps = append(steps, e.Step+":"+e.Result)
		}
	}
	return strings.Join(steps, " ")
}

// overflowing returns models whose numbers become infinite.
func overflowing() map[string][]byte {
	return with(modelFile, func(model []byte) []byte {
		fill(variable(model, "decoder/embeddings/weight_scale"), func(int) float32 { return 1e-37 })
		return model
	})
}

// shouting returns models that understand, and say Cyrillic words only.
func shouting() map[string][]byte {
	all := with(vocabulary, func(data []byte) []byte {
		return replaceWords(data, func(n int) string { return fmt.Sprintf("%c%c%c", 'а'+n%30, 'а'+n/30%30, 'а'+n/900%30) })
	})
	dir := path.Dir(vocabulary)
	all[dir+"/source_vocabulary.json"], all[dir+"/target_vocabulary.json"] = files()[vocabulary], all[vocabulary]
	delete(all, vocabulary)
	return all
}

// foreign returns models with a vocabulary of the right size, but of others.
func foreign() map[string][]byte {
	return with(vocabulary, func(data []byte) []byte {
		return replaceWords(data, func(n int) string { return fmt.Sprintf("zq%d", n) })
	})
}

// replaceWords replaces what is no special token in a vocabulary, of one token a
// line, by the line's number.
func replaceWords(data []byte, word func(n int) string) []byte {
	lines := strings.Split(string(data), "\n")
	for n, line := range lines {
		if strings.Contains(line, `"<`) || strings.Contains(line, `_`) || !strings.Contains(line, `"`) {
			continue
		}
		lines[n] = fmt.Sprintf(`  %q`, word(n))
		if strings.HasSuffix(line, ",") {
			lines[n] += ","
		}
	}
	return []byte(strings.Join(lines, "\n"))
}

// mislabel returns a detector that takes each language for another.
func mislabel(detector []byte) []byte {
	for _, pair := range [][2]string{{"eng", "deu"}, {"swh", "kin"}, {"fra", "spa"}} {
		a, b := []byte("__label__"+pair[0]+"_Latn"), []byte("__label__"+pair[1]+"_Latn")
		mark := bytes.Repeat([]byte{'#'}, len(a))
		detector = bytes.ReplaceAll(bytes.ReplaceAll(bytes.ReplaceAll(detector, a, mark), b, a), mark, b)
	}
	return detector
}

// open opens models with another runtime around theirs.
func open(dir string, runtime translate.Translator, inner *ctranslate2.Translator, opts translate.Options) (*translate.Pipeline, error) {
	tokenizer, err := sentencepiece.Open(filepath.Join(dir, "translation/tokenizer/sentencepiece.bpe.model"))
	if err != nil {
		return nil, err
	}
	detector, err := fasttext.Open(filepath.Join(dir, "language_detection/lid.demo.ftz"))
	if err != nil {
		return nil, err
	}
	return translate.New(translate.Models{
		Translator: runtime, SourceVocabulary: inner.SourceVocabulary(), TargetVocabulary: inner.TargetVocabulary(),
		SourceTokenizer: tokenizer, Detector: detector,
	}, opts)
}
