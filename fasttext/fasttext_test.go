package fasttext

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func unzip(t testing.TB, path string) []byte {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// golden holds the reference's answers: for each model and text the best labels.
type golden struct {
	Texts  []string
	Models map[string][][][2]any
}

func readGolden(t testing.TB) golden {
	t.Helper()
	var g golden
	if err := json.Unmarshal(unzip(t, "testdata/golden.json.gz"), &g); err != nil {
		t.Fatal(err)
	}
	if len(g.Models) < 10 || len(g.Texts) < 1000 {
		t.Fatalf("the golden file has %d models and %d texts", len(g.Models), len(g.Texts))
	}
	return g
}

func model(t testing.TB, name string) *Model {
	t.Helper()
	m, err := Parse(unzip(t, filepath.Join("testdata", name+".gz")))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestGolden(t *testing.T) {
	g := readGolden(t)
	for name, answers := range g.Models {
		t.Run(name, func(t *testing.T) {
			m := model(t, name)
			for i, text := range g.Texts {
				compare(t, text, m.Predict(text, 5, 0), answers[i])
			}
		})
	}
}

func compare(t *testing.T, text string, got []Prediction, want [][2]any) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%.80q: %d labels, want %d", text, len(got), len(want))
	}
	for i, w := range want {
		label, p := w[0].(string), min(w[1].(float64), 1)
		if got[i].Label != label || math.Abs(float64(got[i].Probability)-p) > 1e-6 {
			t.Fatalf("%.80q: label %d is %v, want %s %v", text, i, got[i], label, p)
		}
	}
}

func TestPredictLimits(t *testing.T) {
	m := model(t, "hs.bin")
	if got := m.Predict("the", 100, 0); len(got) != len(m.Labels()) {
		t.Errorf("%d of %d labels", len(got), len(m.Labels()))
	}
	if got := m.Predict("the", 0, 0); got != nil {
		t.Errorf("k 0: %v", got)
	}
	for _, p := range m.Predict("na wa ku", 5, 0.5) {
		if p.Probability < 0.5-1e-4 {
			t.Errorf("%v is below the threshold", p)
		}
	}
}

func TestConcurrent(t *testing.T) {
	m := model(t, "softmax.bin")
	want := m.Predict("na wa ku", 3, 0)
	var all sync.WaitGroup
	for range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for range 200 {
				if got := m.Predict("na wa ku", 3, 0); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("%v, want %v", got, want)
					return
				}
			}
		}()
	}
	all.Wait()
}

func TestHostile(t *testing.T) {
	for _, name := range []string{"hs.bin", "ftz_cutoff.ftz"} {
		data := unzip(t, filepath.Join("testdata", name+".gz"))
		for n := 0; n < len(data); n += 1 + len(data)/300 {
			if _, err := Parse(data[:n]); !errors.Is(err, ErrInvalidModel) {
				t.Fatalf("%s cut to %d bytes: %v", name, n, err)
			}
		}
		if _, err := Parse(append(bytes.Clone(data), 0)); !errors.Is(err, ErrInvalidModel) {
			t.Errorf("%s with a byte too many: %v", name, err)
		}
	}
	if _, err := Open("testdata/none.bin"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
}

// classifier is a file of one word, two labels and one dimension.
func classifier(word string, minn, maxn int32, values [4]float32) []byte {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			if s, ok := v.(string); ok {
				b.WriteString(s)
				v = byte(0)
			}
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	put(int32(793712314), int32(12))
	put(int32(1), int32(0), int32(0), int32(0), int32(0), int32(1), int32(lossSoftmax), int32(supervised), int32(1), minn, maxn, int32(0), 0.0)
	put(int32(3), int32(1), int32(2), int64(0), int64(-1))
	put(word, int64(1), byte(0), "__label__x", int64(1), byte(1), "__label__y", int64(1), byte(1))
	put(byte(0), int64(2), int64(1), values[0], values[1]) // the word's row and the bucket's
	put(byte(0), int64(2), int64(1), values[2], values[3])
	return b.Bytes()
}

// TestNumbers: a file holds numbers only, and what they overflow to is no prediction.
func TestNumbers(t *testing.T) {
	for _, v := range []float32{float32(math.NaN()), float32(math.Inf(1)), float32(math.Inf(-1))} {
		if _, err := Parse(classifier("a", 0, 0, [4]float32{1, 0, 1, v})); !errors.Is(err, ErrInvalidModel) {
			t.Errorf("%v: %v", v, err)
		}
	}
	m, err := Parse(classifier("a", 0, 0, [4]float32{3e38, 0, 3e38, -3e38}))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Predict("a", 2, 0); got != nil {
		t.Errorf("%v of infinite scores", got)
	}
	m, err = Parse(classifier("a", 0, 0, [4]float32{1, 0, 2, 1}))
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Predict("a", 1, 0); len(got) != 1 || got[0].Label != "x" {
		t.Errorf("%v", got)
	}
}

// TestAmplification: n-grams of a small file must not fill the memory.
func TestAmplification(t *testing.T) {
	for _, length := range []int{maxWord, maxWord + 1, 4 << 20} {
		if _, err := Parse(classifier(strings.Repeat("a", length), 1, maxNgram, [4]float32{})); !errors.Is(err, ErrInvalidModel) {
			t.Errorf("a word of %d bytes: %v", length, err)
		}
	}
}

// FuzzParse damages a model and uses what is still accepted.
func FuzzParse(f *testing.F) {
	seeds := map[int][]byte{}
	for i, name := range []string{"hs.bin", "ova.bin", "ftz_qnorm.ftz", "ftz_cutoff.ftz", "ftz_qout.ftz"} {
		seeds[i] = unzip(f, filepath.Join("testdata", name+".gz"))
		for _, at := range []int{4, 8, 20, 36, 60, 64, 68, 72, 80, 88, 100} {
			f.Add(i, at, int32(1<<30))
			f.Add(i, at, int32(-1))
		}
	}
	f.Fuzz(func(t *testing.T, which, at int, value int32) {
		data := bytes.Clone(seeds[((which%5)+5)%5])
		at = ((at % (len(data) - 4)) + len(data) - 4) % (len(data) - 4)
		for i := range 4 {
			data[at+i] = byte(value >> (8 * i))
		}
		m, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrInvalidModel) {
				t.Fatal(err)
			}
			return
		}
		m.Predict("na wa ku ሰላም </s>", 5, 0)
	})
}

func FuzzPredict(f *testing.F) {
	m := model(f, "hs.bin")
	for _, seed := range []string{"", "na wa", "\xff\xfe", "</s> x", "__label__y", strings.Repeat("é", 300)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var sum float32
		for _, p := range m.Predict(text, 3, 0) {
			sum += p.Probability
			if p.Probability < 0 || p.Probability > 1 {
				t.Fatalf("%q: %v", text, p)
			}
		}
		if sum > 1.01 {
			t.Fatalf("%q: probabilities add up to %v", text, sum)
		}
	})
}

func BenchmarkPredict(b *testing.B) {
	for _, name := range []string{"hs.bin", "softmax.bin", "ftz_cutoff.ftz"} {
		b.Run(name, func(b *testing.B) {
			m := model(b, name)
			text := "na wa ku kinimi halingo mbashata the ing er on tion to st en ly ough"
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				m.Predict(text, 5, 0)
			}
		})
	}
}

func Example() {
	data, err := os.ReadFile("testdata/hs.bin.gz")
	if err != nil {
		fmt.Println(err)
		return
	}
	z, _ := gzip.NewReader(bytes.NewReader(data))
	data, _ = io.ReadAll(z)
	m, err := Parse(data)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, p := range m.Predict("niwakumi ngomashata wa na ku", 1, 0) {
		fmt.Println(p.Label)
	}
	// Output: swh_Latn
}
