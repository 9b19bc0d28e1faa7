package translate

import (
	"slices"
	"strings"

	"github.com/sematech/sema/flores"
)

// Vocabulary is what framing needs of a model's vocabulary.
type Vocabulary interface {
	Size() int
	Token(id int) string
	ID(token string) (int, bool)
}

// framing says how a family of models marks the languages and ends of its
// sources and targets.
type framing struct {
	family string
	// code returns the name of the language that a token of the vocabulary
	// stands for, or "".
	code func(token string) string
	// source and prefix build the source tokens and the target prefix from
	// pieces and the two language tokens.
	source func(pieces []string, source, target string) []string
	prefix func(target string) []string
}

const endToken = "</s>"

// The families, in the order in which they are looked for.
var framings = []framing{
	// NLLB-200 (arXiv:2207.04672): eng_Latn pieces </s> → swh_Latn ...
	{family: "nllb", code: nllbCode, source: sourceFirst, prefix: targetFirst},
	// M2M-100 (arXiv:2010.11125): __en__ pieces </s> → __sw__ ...
	{family: "m2m100", code: between("__", "__"), source: sourceFirst, prefix: targetFirst},
	// mBART-50 (arXiv:2008.00401): en_XX pieces </s> → sw_KE ...
	{family: "mbart50", code: mbartCode, source: sourceFirst, prefix: targetFirst},
	// MADLAD-400 (arXiv:2309.04662), T5: <2sw> pieces </s>
	{family: "t5", code: between("<2", ">"), source: tagFirst, prefix: noPrefix},
	// Marian with several targets: >>swh<< pieces </s>
	{family: "marian", code: between(">>", "<<"), source: tagFirst, prefix: noPrefix},
	// Marian for one pair of languages, T5 without tags: pieces </s>
	{family: "plain", code: func(string) string { return "" }, source: bare, prefix: noPrefix},
}

// mbart is the framing of mBART-25 (arXiv:2001.08210), which is told from
// mBART-50 by its vocabulary: pieces </s> en_XX → sw_KE ...
var mbart = framing{family: "mbart", code: mbartCode, source: sourceLast, prefix: targetFirst}

func sourceFirst(pieces []string, source, _ string) []string {
	return slices.Concat([]string{source}, pieces, []string{endToken})
}

func sourceLast(pieces []string, source, _ string) []string {
	return slices.Concat(pieces, []string{endToken, source})
}

func tagFirst(pieces []string, _, target string) []string {
	return slices.Concat([]string{target}, pieces, []string{endToken})
}

func bare(pieces []string, _, _ string) []string {
	return slices.Concat(pieces, []string{endToken})
}

func targetFirst(target string) []string { return []string{target} }
func noPrefix(string) []string           { return nil }

// between returns the code function of tokens with a name between two marks.
func between(left, right string) func(string) string {
	return func(token string) string {
		name, ok := strings.CutPrefix(token, left)
		if name, ok2 := strings.CutSuffix(name, right); ok && ok2 && len(name) <= 12 {
			return name
		}
		return ""
	}
}

// nllbCode knows tokens such as "eng_Latn".
func nllbCode(token string) string {
	if len(token) == 8 && token[3] == '_' {
		if _, ok := flores.Lookup(token); ok {
			return token
		}
	}
	return ""
}

// mbartCode knows tokens such as "en_XX" and "zh_CN".
func mbartCode(token string) string {
	language, region, ok := strings.Cut(token, "_")
	if !ok || len(language) < 2 || len(language) > 3 || len(region) != 2 || strings.ToUpper(region) != region ||
		strings.ToLower(language) != language || region[0] < 'A' {
		return ""
	}
	if language == "zh" {
		return language + "-" + region
	}
	return language
}

// frame is a framing with the languages of one vocabulary.
type frame struct {
	framing
	tokens  map[string]string // FLORES code → language token; empty: the model has one pair
	special map[string]bool   // tokens that are no text
}

// withoutEnd leaves the end token to the runtime.
func (f framing) withoutEnd() framing {
	source := f.source
	f.source = func(pieces []string, from, to string) []string {
		return slices.DeleteFunc(source(pieces, from, to), func(t string) bool { return t == endToken })
	}
	return f
}

// newFrame recognises the family from the vocabularies: the first of which at
// least two languages are there. addsEnd says that the runtime adds the end
// token to sources.
func newFrame(source, target Vocabulary, addsEnd bool) *frame {
	for _, f := range framings {
		vocabulary := target
		if f.family == "t5" || f.family == "marian" {
			vocabulary = source // its tags are in the source
		}
		tokens := languageTokens(f, vocabulary)
		if len(tokens) < 2 && f.family != "plain" {
			continue
		}
		if _, ok := target.ID("sw_KE"); f.family == "mbart50" && !ok {
			f = mbart
		}
		if addsEnd {
			f = f.withoutEnd()
		}
		fr := &frame{framing: f, tokens: tokens, special: map[string]bool{endToken: true, "<s>": true, "<pad>": true}}
		for _, token := range tokens {
			fr.special[token] = true
		}
		return fr
	}
	return nil // not reached: "plain" fits all
}

// languageTokens returns the language tokens of v by FLORES code. The first of
// two for one language counts.
func languageTokens(f framing, v Vocabulary) map[string]string {
	tokens := map[string]string{}
	for id := range v.Size() {
		token := v.Token(id)
		name := f.code(token)
		if name == "" {
			continue
		}
		language, err := flores.Resolve(name)
		if err != nil {
			continue
		}
		if _, ok := tokens[language.Code]; !ok {
			tokens[language.Code] = token
		}
	}
	return tokens
}

// languages returns the FLORES codes that the model serves, sorted; nil if it
// does not say.
func (f *frame) languages() []string {
	var codes []string
	for code := range f.tokens {
		codes = append(codes, code)
	}
	slices.Sort(codes)
	return codes
}

// serves reports whether the model has the language.
func (f *frame) serves(code string) bool {
	_, ok := f.tokens[code]
	return ok || len(f.tokens) == 0
}

// text drops what is not text from a hypothesis.
func (f *frame) text(hypothesis []string) []string {
	return slices.DeleteFunc(slices.Clone(hypothesis), func(t string) bool { return f.special[t] })
}
