package demo_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/sematech/sema/demo"
	"github.com/sematech/sema/translate"
)

var languages = []string{"eng_Latn", "fra_Latn", "swh_Latn"}

func open(t testing.TB) *translate.Pipeline {
	t.Helper()
	p, err := translate.OpenFS(demo.Models(), ".", translate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func say(t testing.TB, p *translate.Pipeline, from, to, text string) string {
	t.Helper()
	r, err := p.Translate(context.Background(), translate.Request{Text: text, Source: from, Target: to})
	if err != nil {
		t.Fatal(err)
	}
	return r.Text
}

// TestHeldOut translates sentences of the grammar that training never saw, in
// all directions: at least 95 % must equal the reference.
func TestHeldOut(t *testing.T) {
	data, err := os.ReadFile("testdata/heldout.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for _, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		rows = append(rows, strings.Split(line, "\t"))
	}
	if len(rows) < 500 {
		t.Fatalf("%d held-out sentences", len(rows))
	}
	if testing.Short() {
		rows = rows[:100]
	}
	p := open(t)
	for from := range languages {
		for to := range languages {
			if from == to {
				continue
			}
			exact := countExact(t, p, rows, from, to)
			share := float64(exact) / float64(len(rows))
			t.Logf("%s to %s: %.1f %% exact", languages[from], languages[to], 100*share)
			if share < 0.95 {
				t.Errorf("%s to %s: %.1f %% exact, 95 are needed", languages[from], languages[to], 100*share)
			}
		}
	}
}

// countExact translates rows, some at once, as clients do.
func countExact(t *testing.T, p *translate.Pipeline, rows [][]string, from, to int) int {
	var exact atomic.Int64
	var workers sync.WaitGroup
	for w := range 16 {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := w; i < len(rows); i += 16 {
				r, err := p.Translate(context.Background(), translate.Request{Text: rows[i][from], Source: languages[from], Target: languages[to]})
				if err == nil && r.Text == rows[i][to] {
					exact.Add(1)
				}
			}
		}()
	}
	workers.Wait()
	return int(exact.Load())
}

func TestExamples(t *testing.T) {
	p := open(t)
	for _, c := range []struct{ from, to, text, want string }{
		{"", "swh_Latn", "Hello", "Habari"},
		{"", "swh_Latn", "Hello, how are you?", "Habari, hujambo?"},
		{"", "eng_Latn", "Habari ya asubuhi", "Good morning"},
		{"", "swh_Latn", "Good morning, how are you today?", "Habari ya asubuhi, habari yako leo?"},
		{"", "eng_Latn", "Bonjour, comment allez-vous?", "Hello, how are you?"},
		{"fr", "sw", "Merci beaucoup.", "Asante sana."},
	} {
		if got := say(t, p, c.from, c.to, c.text); got != c.want {
			t.Errorf("%q to %s: %q, want %q", c.text, c.to, got, c.want)
		}
	}
}

func TestDetector(t *testing.T) {
	p := open(t)
	for text, want := range map[string]string{
		"Hello": "eng_Latn", "hello handsome": "eng_Latn", "Habari ya asubuhi": "swh_Latn", "Bonjour, comment allez-vous?": "fra_Latn", "ሰላም ነው": "amh_Ethi",
		"¿Dónde está el mercado?": "spa_Latn", "Guten Morgen, wie geht es Ihnen?": "deu_Latn", "Muraho, amakuru yawe?": "kin_Latn", "Ngiyabonga kakhulu": "zul_Latn",
		"ẹ káàárọ̀, báwo ni?": "yor_Latn", "Ina kwana, lafiya lau": "hau_Latn", "كيف حالك اليوم؟": "arb_Arab", "Weebale nnyo ssebo": "lug_Latn", "Доброе утро": "rus_Cyrl",
	} {
		if d, err := p.Detect(text, 3); err != nil || d.Language != want {
			t.Errorf("%q: %+v, %v; want %s", text, d, err, want)
		}
	}
	if d, err := p.Detect("12345 !!", 1); err != nil || d.Language != "" {
		t.Errorf("a text without letters: %+v, %v", d, err)
	}
}

func TestSize(t *testing.T) {
	var size int64
	err := fs.WalkDir(demo.Models(), ".", func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		size += info.Size()
		return err
	})
	if err != nil || size > 12<<20 {
		t.Errorf("the models have %d bytes: %v", size, err)
	}
}

func Example() {
	p, err := translate.OpenFS(demo.Models(), ".", translate.Options{})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer p.Close()
	r, err := p.Translate(context.Background(), translate.Request{Text: "Good morning", Target: "swh_Latn"})
	fmt.Println(r.Text, err)
	// Output: Habari ya asubuhi <nil>
}
