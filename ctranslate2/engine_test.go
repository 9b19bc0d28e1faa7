package ctranslate2_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/sematech/sema/ctranslate2"
)

func openModel(t testing.TB, name string) *ctranslate2.Translator {
	t.Helper()
	tr, err := ctranslate2.Open(filepath.Join("testdata", "models", filepath.FromSlash(name)), ctranslate2.Options{Threads: 2, CacheBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// call is one TranslateBatch of a mixed load.
type call struct {
	source, prefix [][]string
	opts           ctranslate2.TranslationOptions
}

// mixedCalls returns calls of many kinds: searches, beams, lengths, languages.
func mixedCalls(v *ctranslate2.Vocabulary) []call {
	var calls []call
	for i := range 24 {
		o := ctranslate2.DefaultTranslationOptions()
		o.ReturnScores = true
		o.BeamSize = 1 + i%5
		o.MaxDecodingLength = 4 + 3*i
		switch i % 6 {
		case 1:
			o.RepetitionPenalty, o.NoRepeatNgramSize = 1.3, 2
		case 2:
			o.BeamSize, o.NumHypotheses = 4, 3
		case 3:
			o.BeamSize, o.SamplingTopK, o.Seed = 1, 10, uint64(i)
		case 4:
			o.ReturnAlternatives, o.NumHypotheses = true, 3
		case 5:
			o.CoveragePenalty, o.ReturnAttention, o.Lane = 0.2, true, ctranslate2.Bulk
		}
		var c call
		for s := range 1 + i%4 {
			tokens := []string{"eng_Latn"}
			for w := range 2 + (i*7+s*5)%30 {
				tokens = append(tokens, v.Token(10+(i*31+s*17+w*13)%200))
			}
			c.source = append(c.source, append(tokens, v.EOS()))
			c.prefix = append(c.prefix, []string{"swh_Latn"})
		}
		c.opts = o
		calls = append(calls, c)
	}
	return calls
}

// TestResultsDoNotDependOnCompany runs calls alone and then all at once: tokens
// and attention must be the same to the last bit, scores but for the last digits.
func TestResultsDoNotDependOnCompany(t *testing.T) {
	for _, name := range []string{"nllb/int8", "nllb/float32"} {
		t.Run(name, func(t *testing.T) {
			tr := openModel(t, name)
			defer tr.Close()
			calls := mixedCalls(tr.SourceVocabulary())
			alone := make([][]ctranslate2.Result, len(calls))
			for i, c := range calls {
				var err error
				if alone[i], err = tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); err != nil {
					t.Fatal(err)
				}
			}
			var all sync.WaitGroup
			for range 3 {
				for i, c := range calls {
					all.Add(1)
					go func() {
						defer all.Done()
						got, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
						if err != nil {
							t.Error(err)
						} else if !same(got, alone[i]) {
							t.Errorf("call %d has another result in company: %v, alone %v", i, got, alone[i])
						}
					}()
				}
			}
			all.Wait()
		})
	}
}

// same compares results; the log of a sum over the vocabulary may differ in the
// last digit, for it is cut into other pieces.
func same(a, b []ctranslate2.Result) bool {
	for i := range a {
		if !reflect.DeepEqual(a[i].Hypotheses, b[i].Hypotheses) || !reflect.DeepEqual(a[i].Attention, b[i].Attention) {
			return false
		}
		for j := range a[i].Scores {
			if math.Abs(float64(a[i].Scores[j]-b[i].Scores[j])) > 2e-6*math.Max(1, math.Abs(float64(b[i].Scores[j]))) {
				return false
			}
		}
	}
	return len(a) == len(b)
}

// long is a call that decodes for long: the end token is kept out.
func long(v *ctranslate2.Vocabulary, steps int) call {
	o := ctranslate2.DefaultTranslationOptions()
	o.BeamSize, o.MaxDecodingLength, o.MinDecodingLength = 1, steps, steps
	return call{[][]string{{"eng_Latn", v.Token(20), v.EOS()}}, [][]string{{"swh_Latn"}}, o}
}

func TestCancel(t *testing.T) {
	tr := openModel(t, "nllb/int8")
	defer tr.Close()
	c := long(tr.SourceVocabulary(), 60000)
	ctx, cancel := context.WithCancel(context.Background())
	steps := 0
	c.opts.MaxDecodingLength, c.opts.MinDecodingLength = 1000, 1000
	c.opts.Callback = func(ctranslate2.StepResult) bool {
		steps++
		if steps == 5 {
			cancel()
			time.Sleep(20 * time.Millisecond) // the caller has seen it
		}
		return false
	}
	if _, err := tr.TranslateBatch(ctx, c.source, c.prefix, c.opts); !errors.Is(err, context.Canceled) {
		t.Fatalf("a cancelled call: %v", err)
	}
	if steps > 6 {
		t.Errorf("%d steps ran, it was cancelled at the fifth", steps)
	}
	if _, err := tr.TranslateBatch(ctx, c.source, c.prefix, c.opts); !errors.Is(err, context.Canceled) {
		t.Errorf("a call that was cancelled before: %v", err)
	}
	c.opts.Callback, c.opts.MaxDecodingLength, c.opts.MinDecodingLength = nil, 10, 10
	if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); err != nil {
		t.Errorf("a call after it: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	tr, err := ctranslate2.Open(filepath.Join("testdata", "models", "nllb", "int8"), ctranslate2.Options{Threads: 1, CacheBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	c := long(tr.SourceVocabulary(), 60000)
	c.opts.BeamSize = 8
	if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); !errors.Is(err, ctranslate2.ErrTooLarge) {
		t.Errorf("a call beyond the budget: %v", err)
	}
	// Many that fit one at a time all get their turn.
	c.opts.BeamSize, c.opts.MaxDecodingLength, c.opts.MinDecodingLength = 2, 100, 5
	for range 30 {
		c.source, c.prefix = append(c.source, c.source[0]), append(c.prefix, c.prefix[0])
	}
	if r, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); err != nil || len(r) != 31 {
		t.Errorf("many calls within the budget: %d, %v", len(r), err)
	}
}

func TestClose(t *testing.T) {
	before := runtime.NumGoroutine()
	tr := openModel(t, "nllb/int8")
	c := long(tr.SourceVocabulary(), 100)
	var calls sync.WaitGroup
	for range 4 {
		calls.Add(1)
		go func() {
			defer calls.Done()
			if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); err != nil && !errors.Is(err, ctranslate2.ErrClosed) {
				t.Error(err)
			}
		}()
	}
	time.Sleep(5 * time.Millisecond)
	if err := tr.Close(); err != nil {
		t.Error(err)
	}
	calls.Wait()
	if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); !errors.Is(err, ctranslate2.ErrClosed) {
		t.Errorf("a call after Close: %v", err)
	}
	for range 100 {
		if runtime.NumGoroutine() <= before {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Errorf("%d goroutines are left of %d", runtime.NumGoroutine(), before)
}

// TestInteractiveFirst checks that a short interactive call does not wait for a
// long bulk one.
func TestInteractiveFirst(t *testing.T) {
	tr := openModel(t, "nllb/int8")
	defer tr.Close()
	bulk := long(tr.SourceVocabulary(), 100)
	bulk.opts.Lane = ctranslate2.Bulk
	for range 300 {
		bulk.source, bulk.prefix = append(bulk.source, bulk.source[0]), append(bulk.prefix, bulk.prefix[0])
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if _, err := tr.TranslateBatch(context.Background(), bulk.source, bulk.prefix, bulk.opts); err != nil {
			t.Error(err)
		}
	}()
	time.Sleep(20 * time.Millisecond)
	quick := long(tr.SourceVocabulary(), 3)
	if _, err := tr.TranslateBatch(context.Background(), quick.source, quick.prefix, quick.opts); err != nil {
		t.Error(err)
	}
	select {
	case <-done:
		t.Error("the interactive call came back after all of the bulk")
	default:
	}
	<-done
}

func TestCallback(t *testing.T) {
	tr := openModel(t, "nllb/int8")
	defer tr.Close()
	c := long(tr.SourceVocabulary(), 12)
	c.opts.ReturnScores = true
	var seen []string
	c.opts.Callback = func(s ctranslate2.StepResult) bool {
		if s.Step != len(seen) || s.IsLast != (s.Step == 11) {
			t.Errorf("step %+v after %d", s, len(seen))
		}
		seen = append(seen, s.Token)
		return false
	}
	whole, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
	if err != nil || !reflect.DeepEqual(whole[0].Hypotheses[0], seen) {
		t.Fatalf("the callback saw %v, the result is %v, %v", seen, whole, err)
	}
	n := 0
	c.opts.Callback = func(ctranslate2.StepResult) bool { n++; return n == 4 }
	cut, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
	if err != nil || !reflect.DeepEqual(cut[0].Hypotheses[0], seen[:4]) {
		t.Errorf("stopped at the fourth token: %v, %v", cut, err)
	}
}

func TestSampling(t *testing.T) {
	tr := openModel(t, "nllb/float32")
	defer tr.Close()
	v := tr.SourceVocabulary()
	draw := func(topk int, topp, temperature float32, seed uint64) []string {
		c := long(v, 2)
		c.opts.SamplingTopK, c.opts.SamplingTopP, c.opts.SamplingTemperature, c.opts.Seed = topk, topp, temperature, seed
		r, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		return r[0].Hypotheses[0]
	}
	bestOf := func(k int) map[string]bool {
		c := long(v, 2)
		c.opts.ReturnAlternatives, c.opts.NumHypotheses = true, k
		r, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts)
		if err != nil {
			t.Fatal(err)
		}
		set := map[string]bool{}
		for _, h := range r[0].Hypotheses {
			set[h[1]] = true
		}
		return set
	}
	allowed, seen := bestOf(4), map[string]int{}
	for seed := range uint64(400) {
		token := draw(4, 1, 1.5, seed)[1]
		if !allowed[token] {
			t.Fatalf("%q is not one of the four best", token)
		}
		seen[token]++
	}
	if len(seen) < 2 {
		t.Errorf("400 draws gave %v only", seen)
	}
	for seed := range uint64(20) {
		if a, b := draw(0, 1, 2, seed), draw(0, 1, 2, seed); !reflect.DeepEqual(a, b) {
			t.Errorf("seed %d gives %v and %v", seed, a, b)
		}
		if got, want := draw(0, 1e-6, 1, seed)[1], draw(1, 1, 1, 0)[1]; got != want {
			t.Errorf("a nucleus of nearly nothing holds %q, the best token is %q", got, want)
		}
	}
	if a, b := draw(10, 1, 0, 1), draw(1, 1, 1, 2); !reflect.DeepEqual(a, b) {
		t.Errorf("temperature 0 gives %v, the best are %v", a, b)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	tr := openModel(t, "nllb/int8")
	defer tr.Close()
	for what, change := range map[string]func(o *ctranslate2.TranslationOptions){
		"beam":        func(o *ctranslate2.TranslationOptions) { o.BeamSize = 0 },
		"hypotheses":  func(o *ctranslate2.TranslationOptions) { o.NumHypotheses = 3 },
		"lengths":     func(o *ctranslate2.TranslationOptions) { o.MinDecodingLength = 999 },
		"penalty":     func(o *ctranslate2.TranslationOptions) { o.RepetitionPenalty = 0 },
		"bias":        func(o *ctranslate2.TranslationOptions) { o.PrefixBiasBeta = 1 },
		"top p":       func(o *ctranslate2.TranslationOptions) { o.SamplingTopP = 0 },
		"temperature": func(o *ctranslate2.TranslationOptions) { o.SamplingTemperature = float32(math.NaN()) },
		"end token":   func(o *ctranslate2.TranslationOptions) { o.EndTokens = []string{"no such token"} },
		"suppressed":  func(o *ctranslate2.TranslationOptions) { o.SuppressSequences = [][]string{{"no such token"}} },
		"callback": func(o *ctranslate2.TranslationOptions) {
			o.Callback = func(ctranslate2.StepResult) bool { return false }
		},
	} {
		c := long(tr.SourceVocabulary(), 5)
		c.opts.BeamSize = 2
		change(&c.opts)
		if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); !errors.Is(err, ctranslate2.ErrInvalidOptions) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := tr.TranslateBatch(context.Background(), [][]string{{"a"}}, [][]string{{"b"}, {"c"}}, ctranslate2.DefaultTranslationOptions()); !errors.Is(err, ctranslate2.ErrInvalidOptions) {
		t.Errorf("more prefixes than sources: %v", err)
	}
}

func ExampleTranslator_TranslateBatch() {
	t, err := ctranslate2.Open("testdata/models/nllb/int8", ctranslate2.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer t.Close()
	opts := ctranslate2.DefaultTranslationOptions()
	opts.MaxDecodingLength = 4
	source := [][]string{{"eng_Latn", "▁be", "zu", "</s>"}}
	results, err := t.TranslateBatch(context.Background(), source, [][]string{{"swh_Latn"}}, opts)
	fmt.Println(results[0].Hypotheses[0][0], err)
	// Output: swh_Latn <nil>
}

// allocations counts what translating steps tokens allocates: the least of some
// runs, because other goroutines allocate too.
func allocations(t *testing.T, tr *ctranslate2.Translator, beam, steps int) float64 {
	t.Helper()
	c := long(tr.TargetVocabulary(), steps)
	c.opts.BeamSize = beam
	least := math.Inf(1)
	for range 6 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); err != nil {
			t.Error(err)
		}
		runtime.ReadMemStats(&after)
		least = min(least, float64(after.Mallocs-before.Mallocs))
	}
	return least
}

// TestAllocations holds the decoding loop to allocating nothing per token, but
// for rows and pages that grow now and then.
func TestAllocations(t *testing.T) {
	tr := openModel(t, "nllb/int8")
	defer tr.Close()
	const steps = 40
	for _, beam := range []int{1, 4} {
		short, long := allocations(t, tr, beam, steps), allocations(t, tr, beam, 3*steps)
		perToken := (long - short) / (2 * steps)
		t.Logf("beam %d: %.2f allocations a token", beam, perToken)
		if perToken > 0.5 {
			t.Errorf("beam %d: %.2f allocations a token", beam, perToken)
		}
	}
}

// TestIdleCacheGoesBack: an idle translator gives back what its cache took.
func TestIdleCacheGoesBack(t *testing.T) {
	restore := ctranslate2.SetTrimAfter(100 * time.Millisecond)
	tr := openModel(t, "nllb/int8")
	defer func() { tr.Close(); restore() }()
	c := long(tr.SourceVocabulary(), 50)
	if _, err := tr.TranslateBatch(context.Background(), c.source, c.prefix, c.opts); err != nil {
		t.Fatal(err)
	}
	if tr.Touched() == 0 {
		t.Fatal("nothing was used")
	}
	for range 100 {
		if tr.Touched() == 0 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d bytes are still held", tr.Touched())
}
