package translate

import (
	"cmp"
	"slices"
	"strings"
	"unicode"

	"github.com/sematech/sema/fasttext"
	"github.com/sematech/sema/flores"
)

// Detector identifies languages; *fasttext.Model is one.
type Detector interface {
	Predict(text string, k int, threshold float32) []fasttext.Prediction
	Labels() []string
}

// Detection is what language a text may be in.
type Detection struct {
	Language   string      // FLORES code; "": undetermined
	Confidence float64     // 0..1, of the most likely candidate
	Candidates []Candidate // most likely first
}

// Candidate is a language with its probability, 0..1.
type Candidate struct {
	Language   string // FLORES code
	Confidence float64
}

// maxDetected is how many bytes of a text are looked at.
const maxDetected = 8 << 10

// Detect returns the k most likely languages of text. Only languages of the
// script that the text is in are candidates, and their probabilities are those
// given that script. A text that has no letters, or for which no language
// reaches Options.DetectionThreshold, is undetermined. The error is ErrEmptyText
// or ErrNoDetector.
func (p *Pipeline) Detect(text string, k int) (Detection, error) {
	if strings.TrimSpace(text) == "" {
		return Detection{}, ErrEmptyText
	}
	if p.models.Detector == nil {
		return Detection{}, ErrNoDetector
	}
	candidates := p.candidates(detectable(text))
	d := Detection{Candidates: candidates[:min(len(candidates), max(k, 1))]}
	if len(candidates) > 0 {
		d.Confidence = candidates[0].Confidence
		if d.Confidence >= p.opts.DetectionThreshold {
			d.Language = candidates[0].Language
		}
	}
	return d, nil
}

// detectable returns the start of text on one line and without URLs, e-mail
// addresses and placeholders.
func detectable(text string) string {
	if len(text) > maxDetected {
		text = strings.ToValidUTF8(text[:maxDetected], "")
	}
	if mayHaveOpaque(text) {
		text = opaque.ReplaceAllLiteralString(text, " ")
	}
	return strings.Join(strings.Fields(text), " ")
}

// candidates returns the languages that text may be in, most likely first. The
// detector sees the text as it is and in lower case, and the surer answer
// counts: "BONJOUR" is out of the vocabulary of lid.176, "bonjour" is not, and
// a model that was trained on lower-case text wants no other.
func (p *Pipeline) candidates(text string) []Candidate {
	if !strings.ContainsFunc(text, unicode.IsLetter) {
		return nil
	}
	best := p.predict(text)
	if lower := strings.ToLower(text); lower != text {
		if c := p.predict(lower); len(c) > 0 && (len(best) == 0 || c[0].Confidence > best[0].Confidence) {
			best = c
		}
	}
	return best
}

// predict returns the detector's languages that are written in the script of
// text, with their shares in the probability of all such languages.
func (p *Pipeline) predict(text string) []Candidate {
	var sum float64
	found := map[string]float64{}
	for _, prediction := range p.models.Detector.Predict(text, len(p.models.Detector.Labels()), 0) {
		language, known := flores.FromDetector(prediction.Label, text)
		if known && !flores.ScriptMatches(language.Code, text) {
			continue
		}
		sum += float64(prediction.Probability)
		if known { // others keep their share, so that Latin is not sure to be Italian
			found[language.Code] += float64(prediction.Probability)
		}
	}
	candidates := make([]Candidate, 0, len(found))
	for code, probability := range found {
		candidates = append(candidates, Candidate{code, min(1, probability/sum)})
	}
	slices.SortFunc(candidates, func(a, b Candidate) int {
		return cmp.Or(cmp.Compare(b.Confidence, a.Confidence), cmp.Compare(a.Language, b.Language))
	})
	return candidates
}
