package reload

import (
	"strings"
	"unicode"
)

// chrF compares n-grams of up to chrFOrder letters, and recall counts chrFBeta
// times as much as precision.
const (
	chrFOrder = 6
	chrFBeta  = 2
)

// ChrF returns the character n-gram F-score of translations against one
// reference each, 0..100, over the corpus as a whole. It is chrF2 as sacrebleu
// computes it (Popović 2015, chrF: character n-gram F-score for automatic MT
// evaluation; sacrebleu's signature nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no).
func ChrF(hypotheses, references []string) float64 {
	var hypothesis, reference, match [chrFOrder]int
	for i := range min(len(hypotheses), len(references)) {
		h, r := letters(hypotheses[i]), letters(references[i])
		for n := range chrFOrder {
			inReference := ngrams(r, n+1)
			if len(inReference) == 0 {
				continue // a translation is not blamed for n-grams that can't be right
			}
			reference[n] += len(r) - n
			for gram, count := range ngrams(h, n+1) {
				hypothesis[n] += count
				match[n] += min(count, inReference[gram])
			}
		}
	}
	return fScore(hypothesis, reference, match)
}

// fScore takes the means of precision and recall over the orders that both
// sides have.
func fScore(hypothesis, reference, match [chrFOrder]int) float64 {
	var precision, recall float64
	orders := 0
	for n := range chrFOrder {
		if hypothesis[n] == 0 || reference[n] == 0 {
			continue
		}
		precision += float64(match[n]) / float64(hypothesis[n])
		recall += float64(match[n]) / float64(reference[n])
		orders++
	}
	if precision+recall == 0 {
		return 0
	}
	precision, recall = precision/float64(orders), recall/float64(orders)
	const beta = chrFBeta * chrFBeta
	return 100 * (1 + beta) * precision * recall / (beta*precision + recall)
}

// letters returns all of text but its spaces.
func letters(text string) []rune {
	return []rune(strings.Join(strings.FieldsFunc(text, unicode.IsSpace), ""))
}

// ngrams counts the parts of n letters.
func ngrams(text []rune, n int) map[string]int {
	counts := map[string]int{}
	for i := 0; i+n <= len(text); i++ {
		counts[string(text[i:i+n])]++
	}
	return counts
}
