package reload_test

import (
	"math"
	"testing"

	"github.com/sematech/sema/reload"
)

// TestChrF compares with sacrebleu 2.6.0: CHRF().corpus_score(h, [r]).score.
func TestChrF(t *testing.T) {
	for _, test := range []struct {
		hypotheses, references []string
		want                   float64
	}{
		{[]string{"the cat sat on the mat"}, []string{"the cat is on the mat"}, 64.5779420625287},
		{[]string{"Habari ya asubuhi"}, []string{"Habari za asubuhi"}, 69.53046953046953},
		{[]string{"abc"}, []string{"xyz"}, 0},
		{[]string{"a"}, []string{"a"}, 100},
		{[]string{"abcdefg"}, []string{"ab"}, 59.375},
		{[]string{"ab", "Bonjour le monde !"}, []string{"abc", "Bonjour tout le monde"}, 57.49575858046293},
		{[]string{"早上好，你好吗？"}, []string{"早上好，你今天好吗？"}, 42.33079285064162},
		{[]string{""}, []string{"abc"}, 0},
		{[]string{"exactly the same"}, []string{"exactly the same"}, 100},
		{nil, nil, 0},
	} {
		if got := reload.ChrF(test.hypotheses, test.references); math.Abs(got-test.want) > 1e-9 {
			t.Errorf("%q: %v, sacrebleu has %v", test.hypotheses, got, test.want)
		}
	}
}
