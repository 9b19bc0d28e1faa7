package translate_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"github.com/sematech/sema/ctranslate2"
	"github.com/sematech/sema/flores"
	"github.com/sematech/sema/translate"
)

func TestTranslateKeepsWhatIsBetween(t *testing.T) {
	for _, test := range []struct{ text, want string }{
		{"Hello there. How are you?", "HELLO THERE. HOW ARE YOU?"},
		{"  Hello.\n\n\t- one\r\n\t- two 😀\n", "  HELLO.\n\n\t- ONE\r\n\t- TWO 😀\n"},
		{"See\n42\nhttps://example.com/a\nend", "SEE\n42\nhttps://example.com/a\nEND"},
		{"This line is long enough to be wrapped by a mail\nprogram and goes on here.", "THIS LINE IS LONG ENOUGH TO BE WRAPPED BY A MAIL\nPROGRAM AND GOES ON HERE."},
		{"你好。我很好。", "你好。我很好。"},
		{"12345", "12345"},
	} {
		p := newPipeline(t, &upper{}, translate.Options{})
		r, err := p.Translate(t.Context(), translate.Request{Text: test.text, Source: "eng_Latn", Target: "swh_Latn"})
		if err != nil || r.Text != test.want {
			t.Errorf("got %q, %v\nwant %q", r.Text, err, test.want)
		}
	}
}

// TestWrapsBreakNoWord: where the translation has fewer spaces than the source had wraps, its words stay whole.
func TestWrapsBreakNoWord(t *testing.T) {
	u := &upper{answer: func([]string, ctranslate2.TranslationOptions) []string { return []string{"▁Habari"} }}
	text := "This line is long enough to be wrapped by a mail\nprogram and goes on here and is wrapped again by a\nprogram and ends."
	r, err := newPipeline(t, u, translate.Options{}).Translate(t.Context(), translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
	if err != nil || !strings.Contains(r.Text, "Habari") || strings.Count(r.Text, "\n") != 2 {
		t.Errorf("%q, %v", r.Text, err)
	}
}

func TestTranslateOneBatchWithFraming(t *testing.T) {
	u := &upper{}
	p := newPipeline(t, u, translate.Options{})
	r, err := p.Translate(t.Context(), translate.Request{Text: "Hello there. Bye.", Source: "en", Target: "sw"})
	if err != nil {
		t.Fatal(err)
	}
	if want := [][]string{{"eng_Latn", "▁Hello", "▁there.", "</s>"}, {"eng_Latn", "▁Bye.", "</s>"}}; !reflect.DeepEqual(u.sources, want) {
		t.Errorf("sources %q", u.sources)
	}
	if want := [][]string{{"swh_Latn"}, {"swh_Latn"}}; !reflect.DeepEqual(u.prefixes, want) {
		t.Errorf("prefixes %q", u.prefixes)
	}
	if len(u.options) != 1 || u.options[0].BeamSize != 1 || u.options[0].MaxDecodingLength != 256 {
		t.Errorf("options %+v", u.options)
	}
	want := []translate.Segment{
		{Index: 0, Start: 0, End: 12, Text: "HELLO THERE.", SourceTokens: 4, Tokens: 3},
		{Index: 1, Start: 13, End: 17, Text: "BYE.", SourceTokens: 3, Tokens: 2},
	}
	if !reflect.DeepEqual(r.Segments, want) || r.SourceTokens != 7 || r.Tokens != 5 || r.Source != "eng_Latn" || r.Target != "swh_Latn" || r.Detected != nil {
		t.Errorf("result %+v", r)
	}
}

// A source without spaces between sentences gets them where the target has them.
func TestTranslateFromUnspacedScript(t *testing.T) {
	u := &upper{answer: func(pieces []string, _ ctranslate2.TranslationOptions) []string { return []string{"▁Hello."} }}
	p := newPipeline(t, u, translate.Options{})
	r, err := p.Translate(t.Context(), translate.Request{Text: "你好。我很好。", Source: "zho_Hans", Target: "eng_Latn"})
	if err != nil || r.Text != "Hello. Hello." {
		t.Errorf("%q, %v", r.Text, err)
	}
}

func TestTranslateSplitsLongSentences(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("one two three, ", 40) + "end.",
		strings.Repeat("word ", 200),
		strings.Repeat("a", 3000),
		strings.Repeat("This line is long enough to be wrapped by a mail\nprogram and goes on and on here and is wrapped\nagain and ", 20) + "end.",
		strings.Repeat("字", 500),
	} {
		u := &upper{}
		p := newPipeline(t, u, translate.Options{MaxSegmentTokens: 20})
		r, err := p.Translate(t.Context(), translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range u.sources {
			if len(s) > 20 {
				t.Errorf("a source has %d tokens", len(s))
			}
		}
		noSpace := func(s string) string { return strings.Join(strings.Fields(s), "") }
		if noSpace(r.Text) != noSpace(strings.ToUpper(text)) || strings.Count(r.Text, "\n") != strings.Count(text, "\n") {
			t.Errorf("%.40q is %.200q", text, r.Text)
		}
	}
	u := &upper{}
	p := newPipeline(t, u, translate.Options{MaxSegmentTokens: 12})
	if _, err := p.Translate(t.Context(), translate.Request{Text: "One two three four five, six seven eight nine ten.", Source: "en", Target: "sw"}); err != nil {
		t.Fatal(err)
	}
	if len(u.sources) != 2 || u.sources[1][1] != "▁six" {
		t.Errorf("not cut at the clause mark: %q", u.sources)
	}
}

func TestTranslateRespectsPositions(t *testing.T) {
	u := &upper{positions: 30}
	p := newPipeline(t, u, translate.Options{})
	if _, err := p.Translate(t.Context(), translate.Request{Text: strings.Repeat("word ", 200), Source: "en", Target: "sw"}); err != nil {
		t.Fatal(err)
	}
	for _, s := range u.sources {
		if len(s) > 30 {
			t.Errorf("a source has %d tokens", len(s))
		}
	}
	if n := u.options[0].MaxDecodingLength; n != 30 {
		t.Errorf("maximum decoding length %d", n)
	}
}

func TestTranslateErrors(t *testing.T) {
	p := newPipeline(t, &upper{}, translate.Options{MaxTextTokens: 10})
	for _, test := range []struct {
		request translate.Request
		is      error
		text    string
	}{
		{translate.Request{Text: " \n", Target: "swh_Latn"}, translate.ErrEmptyText, ""},
		{translate.Request{Text: "asdf", Target: "swh_Latn"}, translate.ErrUndetermined, ""},
		{translate.Request{Text: "নমস্কার", Target: "swh_Latn"}, translate.ErrUnsupportedLanguage, `detected language "ben_Beng"`},
		{translate.Request{Text: "a", Source: "ben_Beng", Target: "swh_Latn"}, translate.ErrUnsupportedLanguage, "source"},
		{translate.Request{Text: "a", Source: "eng_Latn", Target: "zho_Hant"}, translate.ErrUnsupportedLanguage, "did you mean zho_Hans"},
		{translate.Request{Text: strings.Repeat("a b. ", 10), Source: "eng_Latn", Target: "swh_Latn"}, translate.ErrTooLong, "10 tokens"},
	} {
		_, err := p.Translate(t.Context(), test.request)
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.text) {
			t.Errorf("%+v: %v", test.request, err)
		}
	}
	var unknown *flores.UnknownLanguageError
	if _, err := p.Translate(t.Context(), translate.Request{Text: "a", Source: "eng_Latn", Target: "klingon"}); !errors.As(err, &unknown) {
		t.Errorf("klingon: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := p.Translate(ctx, translate.Request{Text: "a", Source: "eng_Latn", Target: "swh_Latn"}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
}

func TestTranslateNeedsNoModel(t *testing.T) {
	u := &upper{}
	p := newPipeline(t, u, translate.Options{})
	for _, request := range []translate.Request{
		{Text: "42 😀 https://example.com", Target: "swh_Latn"},
		{Text: "Habari!", Source: "swh_Latn", Target: "swh_Latn"},
	} {
		if r, err := p.Translate(t.Context(), request); err != nil || r.Text != request.Text || len(u.sources) > 0 {
			t.Errorf("%+v: %+v, %v", request, r, err)
		}
	}
}

// stream returns what the callbacks got.
func stream(t *testing.T, p *translate.Pipeline, request translate.Request) (r translate.Result, texts []string, segments []translate.Segment) {
	t.Helper()
	request.OnText = func(s string) { texts = append(texts, s) }
	request.OnSegment = func(s translate.Segment) { segments = append(segments, s) }
	r, err := p.Translate(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(texts, ""); got != r.Text {
		t.Errorf("streamed %q, result %q", got, r.Text)
	}
	if !reflect.DeepEqual(segments, r.Segments) {
		t.Errorf("streamed %+v, result %+v", segments, r.Segments)
	}
	return r, texts, segments
}

func TestTranslateStreams(t *testing.T) {
	text := "- One two three. Four five.\n\n" + "This line is long enough to be wrapped by a mail\nprogram and goes on here. 42"
	for _, beam := range []int{1, 4} {
		p := newPipeline(t, &upper{}, translate.Options{BeamSize: beam})
		r, _, segments := stream(t, p, translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
		if r.Text != strings.ToUpper(text) || len(segments) != 3 {
			t.Errorf("beam %d: %q", beam, r.Text)
		}
	}
}

// loopingOnce repeats itself unless the options forbid it.
func loopingOnce(pieces []string, opts ctranslate2.TranslationOptions) []string {
	if pieces[0] != "▁Loop" || opts.NoRepeatNgramSize > 0 {
		return nil
	}
	var out []string
	for len(out) < opts.MaxDecodingLength-1 {
		out = append(out, "▁la", "▁li")
	}
	return out
}

func TestLoopIsDecodedAgain(t *testing.T) {
	for _, beam := range []int{1, 4} {
		u := &upper{answer: loopingOnce}
		p := newPipeline(t, u, translate.Options{BeamSize: beam})
		r, err := p.Translate(t.Context(), translate.Request{Text: "Good day. Loop here. Bye.", Source: "eng_Latn", Target: "swh_Latn"})
		if err != nil || r.Text != "GOOD DAY. LOOP HERE. BYE." || !r.Segments[1].Retried || r.Segments[0].Retried {
			t.Errorf("beam %d: %+v, %v", beam, r, err)
		}
		if len(u.sources) != 4 || u.options[0].NoRepeatNgramSize != 0 || u.options[1].NoRepeatNgramSize == 0 {
			t.Errorf("beam %d: %d sources, options %+v", beam, len(u.sources), u.options)
		}
	}
	u := &upper{answer: loopingOnce}
	p := newPipeline(t, u, translate.Options{})
	r, _, _ := stream(t, p, translate.Request{Text: "Good day. Loop here. Bye.", Source: "eng_Latn", Target: "swh_Latn"})
	if !strings.HasPrefix(r.Text, "GOOD DAY. la li la li") || !strings.HasSuffix(r.Text, " BYE.") || len(r.Text) > 200 {
		t.Errorf("streamed text that loops is ended: %q", r.Text)
	}
}

// A translation that repeats itself as its source does is right.
func TestRepetitionInSourceIsNoLoop(t *testing.T) {
	u := &upper{}
	p := newPipeline(t, u, translate.Options{})
	text := strings.TrimSpace(strings.Repeat("no ", 40))
	r, err := p.Translate(t.Context(), translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
	if err != nil || r.Text != strings.ToUpper(text) || r.Segments[0].Retried || len(u.sources) != 1 {
		t.Errorf("%+v, %v", r, err)
	}
}

func TestTranslateConcurrently(t *testing.T) {
	p := newPipeline(t, &upper{}, translate.Options{})
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			text := fmt.Sprintf("Request %d here. And its end.", i)
			r, _, _ := stream(t, p, translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
			if r.Text != strings.ToUpper(text) {
				t.Errorf("%q", r.Text)
			}
		})
	}
}

func FuzzTranslate(f *testing.F) {
	f.Add("Hello. How are you?\n\n- I'm fine.\r\n", 20)
	f.Add("This line is long enough to be wrapped by a mail\nprogram and goes on here, and on, and on.", 6)
	f.Add("你好。我很好。\xff", 4)
	f.Add("his line is long        to be wr3eapmail\n\x00\x00\x7f \x02ed \x00p", 67)
	f.Fuzz(func(t *testing.T, text string, limit int) {
		if strings.TrimSpace(text) == "" {
			return
		}
		u := &upper{answer: func(pieces []string, _ ctranslate2.TranslationOptions) []string { return pieces }}
		p := newPipeline(t, u, translate.Options{MaxSegmentTokens: 4 + max(0, limit)%100})
		r, _, _ := stream(t, p, translate.Request{Text: text, Source: "eng_Latn", Target: "swh_Latn"})
		if got, want := wordRunes(r.Text), wordRunes(text); got != want && !hasToken(text) {
			t.Errorf("%q is %q", text, r.Text)
		}
	})
}

// wordRunes drops all but letters, marks and digits.
func wordRunes(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.L, unicode.M, unicode.N) && r != 0xFE0F {
			return r
		}
		return -1
	}, s)
}

// hasToken reports whether text contains what is a special token.
func hasToken(text string) bool {
	for _, token := range nllb {
		if strings.Contains(text, token) {
			return true
		}
	}
	return false
}
