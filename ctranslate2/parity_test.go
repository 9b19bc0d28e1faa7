package ctranslate2_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sematech/sema/ctranslate2"
)

// Bars of the comparison with CTranslate2. In float32 every token must be the
// same. In int8 it agrees with itself, between its own instruction sets, no
// better than testdata/golden/isas.json says (and testdata/README.md shows).
const (
	floatScoreTolerance = 1e-5
	int8ScoreTolerance  = 1e-3
	int8GreedyShare     = 0.98
	int8BeamShare       = 0.95
	int8NearShare       = 0.95 // of scores within the tolerance
)

// TestParity compares every golden case with what CTranslate2 answered.
func TestParity(t *testing.T) {
	self := readSelfAgreement(t)
	for _, name := range goldenFiles(t) {
		t.Run(name, func(t *testing.T) {
			golden := readGolden(t, name)
			var greedy, beam agreement
			for _, group := range groupCases(golden.Cases) {
				t.Run(group[0].Dir+" as "+group[0].ComputeType, func(t *testing.T) {
					testModel(t, name, golden.Sources, group, &greedy, &beam)
				})
			}
			greedy.check(t, "int8, beam 1", self.of(name+"/1", int8GreedyShare))
			beam.check(t, "int8, beam search", self.of(name+"/4", int8BeamShare))
		})
	}
}

// groupCases puts cases together that run on the same model and compute type.
func groupCases(cases []goldenCase) [][]goldenCase {
	var groups [][]goldenCase
	index := map[[2]string]int{}
	for _, c := range cases {
		key := [2]string{c.Dir, c.ComputeType}
		i, ok := index[key]
		if !ok {
			i = len(groups)
			index[key] = i
			groups = append(groups, nil)
		}
		groups[i] = append(groups[i], c)
	}
	return groups
}

// quantized reports whether the case computes in int8.
func (c *goldenCase) quantized() bool {
	if c.ComputeType != "default" {
		return c.ComputeType == "int8"
	}
	return strings.Contains(c.Dir, "int")
}

func testModel(t *testing.T, name string, sources [][]string, cases []goldenCase, greedy, beam *agreement) {
	translator, err := ctranslate2.Open(filepath.Join("testdata", "models", name, cases[0].Dir), ctranslate2.Options{ComputeType: cases[0].ComputeType, Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer translator.Close()
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			a := compare(t, translator, sources[:c.N], &c)
			if !c.quantized() {
				return
			}
			if c.Options.BeamSize != nil && *c.Options.BeamSize == 1 {
				greedy.add(a)
			} else {
				beam.add(a)
			}
		})
	}
}

// agreement counts sources whose best hypothesis is CTranslate2's, and those
// of them whose score is close too.
type agreement struct{ near, same, all int }

func (a *agreement) add(b agreement) {
	a.near += b.near
	a.same += b.same
	a.all += b.all
}

// check wants at least the given shares.
func (a *agreement) check(t *testing.T, what string, want share) {
	t.Helper()
	if a.all == 0 {
		return
	}
	got := share{float64(a.same) / float64(a.all), float64(a.near) / float64(a.same)}
	t.Logf("%s: the best hypothesis is the same for %d of %d (%.2f %%, want %.2f %%), its score within %g for %.2f %% (want %.2f %%)",
		what, a.same, a.all, 100*got.Same, 100*want.Same, int8ScoreTolerance, 100*got.Near, 100*want.Near)
	if got.Same < want.Same || got.Near < want.Near {
		t.Errorf("%s: less agreement with CTranslate2 than wanted", what)
	}
}

func compare(t *testing.T, translator *ctranslate2.Translator, sources [][]string, c *goldenCase) agreement {
	results, err := translator.TranslateBatch(context.Background(), sources, c.Prefix, c.Options.options(t))
	if err != nil {
		t.Fatal(err)
	}
	a := agreement{all: len(sources)}
	for i, r := range results {
		var problem string
		if c.quantized() {
			problem = compareBest(&r, &c.Results[i], &a)
		} else {
			problem = compareAll(&r, &c.Results[i])
		}
		if problem != "" {
			t.Errorf("source %d %q, prefix %q: %s", i, sources[i], prefixOf(c, i), problem)
		}
	}
	return a
}

func prefixOf(c *goldenCase, i int) []string {
	if c.Prefix == nil {
		return nil
	}
	return c.Prefix[i]
}

// compareBest counts the best hypothesis if its tokens are right, and if its
// score is. The others, and even their number, depend on the last bits.
func compareBest(got *ctranslate2.Result, want *goldenResult, a *agreement) string {
	if len(got.Hypotheses) == 0 || len(want.Scores) > 0 && len(got.Scores) != len(got.Hypotheses) {
		return fmt.Sprintf("%d hypotheses and %d scores", len(got.Hypotheses), len(got.Scores))
	}
	if strings.Join(got.Hypotheses[0], " ") != want.Hypotheses[0] {
		return ""
	}
	a.same++
	if len(want.Scores) == 0 || near(got.Scores[0], want.Scores[0], int8ScoreTolerance) {
		a.near++
	}
	return ""
}

// compareAll wants everything to be the same.
func compareAll(got *ctranslate2.Result, want *goldenResult) string {
	if len(got.Hypotheses) != len(want.Hypotheses) || len(got.Scores) != len(want.Scores) {
		return fmt.Sprintf("%d hypotheses and %d scores, want %d and %d", len(got.Hypotheses), len(got.Scores), len(want.Hypotheses), len(want.Scores))
	}
	for i, h := range got.Hypotheses {
		if text := strings.Join(h, " "); text != want.Hypotheses[i] {
			return fmt.Sprintf("hypothesis %d:\n got %s %v\nwant %s %v", i, text, got.Scores, want.Hypotheses[i], want.Scores)
		}
	}
	for i, s := range want.Scores {
		if !near(got.Scores[i], s, floatScoreTolerance) {
			return fmt.Sprintf("score %d is %v, want %v", i, got.Scores[i], s)
		}
	}
	if len(want.Attention) > 0 {
		return compareAttention(got.Attention, want.Attention)
	}
	return ""
}

func compareAttention(got, want [][][]float32) string {
	if len(got) != len(want) {
		return fmt.Sprintf("attention of %d hypotheses, want %d", len(got), len(want))
	}
	for h := range want {
		if len(got[h]) != len(want[h]) {
			return fmt.Sprintf("attention of %d tokens, want %d", len(got[h]), len(want[h]))
		}
		for i, row := range want[h] {
			if len(got[h][i]) != len(row) {
				return fmt.Sprintf("attention of token %d to %d source tokens, want %d", i, len(got[h][i]), len(row))
			}
			for j, w := range row {
				if !near(got[h][i][j], w, 1e-4) {
					return fmt.Sprintf("attention of token %d to source token %d is %v, want %v", i, j, got[h][i][j], w)
				}
			}
		}
	}
	return ""
}

// near compares scores; those of long sums, larger than 1, relatively.
func near(got, want float32, tolerance float64) bool {
	return math.Abs(float64(got)-float64(want)) <= tolerance*max(1, math.Abs(float64(want)))
}
