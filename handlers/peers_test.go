package handlers_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/limiter"
)

const form = "application/x-www-form-urlencoded"

// same compares an answer's body with JSON, whatever the order of its keys.
func same(t *testing.T, what string, a answer, code int, want string) {
	t.Helper()
	var got, expected any
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Errorf("%s: %v: %s", what, err, a.body)
		return
	}
	if err := json.Unmarshal([]byte(want), &expected); err != nil {
		t.Fatal(err)
	}
	one, _ := json.Marshal(got)
	other, _ := json.Marshal(expected)
	if a.StatusCode != code || string(one) != string(other) {
		t.Errorf("%s: %d %s\nwant %d %s", what, a.StatusCode, one, code, other)
	}
}

// TestJSONSentAsAForm is what curl -d sends without a header.
func TestJSONSentAsAForm(t *testing.T) {
	s := start(t, nil)
	for path, body := range map[string]string{
		"/translate": `{"text":"Hello","target_language":"swh_Latn"}`, "/api/v1/translate": ` {"text":"Hello","target_language":"swh_Latn"}`,
		"/api/v1/detect-language": `{"text":"Hello"}`, "/detect": `{"q":"Hello"}`, "/v2/translate": `{"text":["Hello"],"target_lang":"SW"}`,
	} {
		if a := s.do("POST", path, body, "Content-Type", form); a.StatusCode != 415 || !strings.Contains(a.body, "Content-Type: application/json") {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

func TestLibreTranslate(t *testing.T) {
	s := start(t, nil)
	same(t, "json", s.post("/translate", `{"q":"Hello","source":"en","target":"sw","format":"text"}`), 200, `{"translatedText":"<swh_Latn>Hello"}`)
	same(t, "auto", s.post("/translate", `{"q":"Hello","source":"auto","target":"sw"}`), 200,
		`{"translatedText":"<swh_Latn>Hello","detectedLanguage":{"confidence":90,"language":"en"}}`)
	same(t, "array", s.post("/translate", `{"q":["a","b"],"source":"en","target":"sw"}`), 200, `{"translatedText":["<swh_Latn>a","<swh_Latn>b"]}`)
	body := url.Values{"q": {"Hello"}, "source": {"en"}, "target": {"sw"}}.Encode()
	same(t, "form", s.do("POST", "/translate", body, "Content-Type", form), 200, `{"translatedText":"<swh_Latn>Hello"}`)
	const boundary = "--b\r\nContent-Disposition: form-data; name="
	parts := boundary + "\"q\"\r\n\r\nHello\r\n" + boundary + "\"source\"\r\n\r\nen\r\n" + boundary + "\"target\"\r\n\r\nsw\r\n--b--\r\n"
	same(t, "multipart", s.do("POST", "/translate", parts, "Content-Type", "multipart/form-data; boundary=b"), 200, `{"translatedText":"<swh_Latn>Hello"}`)
	same(t, "html", s.post("/translate", `{"q":"<p>A &amp; B</p>","source":"en","target":"sw","format":"html"}`), 200,
		`{"translatedText":"<p>&lt;swh_Latn&gt;A &amp; B</p>"}`)
	same(t, "detect", s.do("POST", "/detect", "q=Hello", "Content-Type", form), 200,
		`[{"confidence":90,"language":"en"},{"confidence":5,"language":"fr"},{"confidence":1,"language":"sw"}]`)
	if a := s.post("/translate", `{"q":"Hello","source":"en","target":"xx"}`); a.StatusCode != 400 || a.json(t)["error"] == nil {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.get("/frontend/settings"); a.json(t)["charLimit"] != 100.0 {
		t.Errorf("%s", a.body)
	}
	for _, a := range []answer{s.get("/languages?format=libre"), s.get("/libretranslate/languages"), s.get("/languages", "Content-Type", form)} {
		if !strings.HasPrefix(a.body, `[{"code":"`) || !strings.Contains(a.body, `{"code":"sw","name":"Swahili","targets":[`) {
			t.Errorf("%.200s", a.body)
		}
	}
}

func TestDeepL(t *testing.T) {
	s := start(t, nil)
	same(t, "json", s.post("/v2/translate", `{"text":["Hello","Bye"],"target_lang":"SW"}`), 200,
		`{"translations":[{"detected_source_language":"EN","text":"<swh_Latn>Hello","billed_characters":5},{"detected_source_language":"EN","text":"<swh_Latn>Bye","billed_characters":3}]}`)
	same(t, "form", s.do("POST", "/v2/translate", "text=a&text=b&source_lang=FR&target_lang=EN-US", "Content-Type", form), 200,
		`{"translations":[{"detected_source_language":"FR","text":"<eng_Latn>a","billed_characters":1},{"detected_source_language":"FR","text":"<eng_Latn>b","billed_characters":1}]}`)
	same(t, "tags", s.post("/v2/translate", `{"text":["<a>x</a> <keep>y</keep> {0}"],"target_lang":"SW","tag_handling":"xml","ignore_tags":["keep"]}`), 200,
		`{"translations":[{"detected_source_language":"EN","text":"<a>&lt;swh_Latn&gt;x</a> <keep>y</keep> {0}","billed_characters":27}]}`)
	for _, body := range []string{`{"text":["a"],"target_lang":"QQ"}`, `{"text":[],"target_lang":"SW"}`, `{"text":[` + strings.Repeat(`"a",`, 50) + `"a"],"target_lang":"SW"}`} {
		if a := s.post("/v2/translate", body); a.StatusCode != 400 || a.json(t)["message"] == nil {
			t.Errorf("%.40s: %d %s", body, a.StatusCode, a.body)
		}
	}
	if a := s.post("/v2/translate", `{"text":["`+strings.Repeat("a", 130<<10)+`"],"target_lang":"SW"}`); a.StatusCode != 413 {
		t.Errorf("%d", a.StatusCode)
	}
	same(t, "usage", s.get("/v2/usage"), 200, `{"character_count":37,"character_limit":1000000000000}`)
	if a := s.get("/v2/languages?type=target"); !strings.Contains(a.body, `"EN-US"`) || strings.Contains(a.body, `"EN"`) {
		t.Errorf("%.300s", a.body)
	}
}

// TestTagsNeverReachTheModel: HTML's elements of raw text, such as title and noscript, may hold tags all the same.
func TestTagsNeverReachTheModel(t *testing.T) {
	s := start(t, nil)
	for _, test := range []struct{ markup, text, want string }{
		{"xml", `<doc><title/><p class="a">Hello</p></doc>`, `<doc><title/><p class="a">«Hello»</p></doc>`},
		{"xml", `<doc><title>Hi <b>you</b></title><p>Bye</p></doc>`, `<doc><title>«Hi »<b>«you»</b></title><p>«Bye»</p></doc>`},
		{"xml", `<d><script>a<b/></script><p>Bye</p></d>`, `<d><script>a<b/></script><p>«Bye»</p></d>`},
		{"xml", `<d><style/><textarea/><p>Bye</p></d>`, `<d><style/><textarea/><p>«Bye»</p></d>`},
		{"xml", `<d><plaintext><p>Bye</p></plaintext>End</d>`, `<d><plaintext><p>«Bye»</p></plaintext>«End»</d>`},
		{"xml", `<d>Hello<![CDATA[a > b <p>Bye</p>]]>Bye</d>`, `<d>«Hello»<![CDATA[a > b <p>Bye</p>]]>«Bye»</d>`},
		{"html", `<noscript><p>Hello</p></noscript>`, `<noscript><p>«Hello»</p></noscript>`},
		{"html", `<title>Hi &amp; <b>bye</b></title><iframe src="x"><p>Bye</p></iframe>`, `<title>«Hi &amp; »<b>«bye»</b></title><iframe src="x"><p>«Bye»</p></iframe>`},
		{"html", `<script src="a.js"/><p class="title">Hello</p>`, `<script src="a.js"/><p class="title">«Hello»</p>`},
		{"html", `<script>"</p><code>"</script>Hello<style>a > b {}</style>`, `<script>"</p><code>"</script>«Hello»<style>a > b {}</style>`},
		{"html", `<textarea></code><b></textarea><p>Hello</p>`, `<textarea></code><b></textarea><p>«Hello»</p>`},
	} {
		want := strings.NewReplacer("«", "&lt;swh_Latn&gt;", "»", "").Replace(test.want)
		body, _ := json.Marshal(map[string]any{"text": []string{test.text}, "source_lang": "EN", "target_lang": "SW", "tag_handling": test.markup})
		a := s.post("/v2/translate", string(body))
		if got := a.json(t)["translations"].([]any)[0].(map[string]any)["text"]; got != want {
			t.Errorf("%s %s:\n%s\nwant\n%s", test.markup, test.text, got, want)
		}
		if test.markup == "xml" {
			continue
		}
		body, _ = json.Marshal(map[string]any{"q": test.text, "source": "en", "target": "sw", "format": "html"})
		if got := s.post("/libretranslate/translate", string(body)).json(t)["translatedText"]; got != want {
			t.Errorf("LibreTranslate %s:\n%s\nwant\n%s", test.text, got, want)
		}
	}
}

func TestKeys(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.APIKey = "right" })
	body := `{"text":["a"],"target_lang":"SW"}`
	if a := s.post("/v2/translate", body, "Authorization", "DeepL-Auth-Key wrong"); a.StatusCode != 403 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.post("/v2/translate", body, "Authorization", "DeepL-Auth-Key right"); a.StatusCode != 200 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.post("/translate", `{"q":"a","source":"en","target":"sw","api_key":"wrong"}`); a.StatusCode != 403 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	for _, path := range []string{"?q=a&target=sw", "/detect?q=a", "/languages?target=sw"} {
		path = "/language/translate/v2" + path
		for _, wrong := range []answer{s.get(path), s.get(path + "&key=wrong"), s.get(path, "X-Goog-Api-Key", "wrong")} {
			if wrong.StatusCode != 403 || !strings.HasPrefix(wrong.body, `{"error":{"code":403,`) {
				t.Errorf("%s: %d %s", path, wrong.StatusCode, wrong.body)
			}
		}
		for _, right := range []answer{s.get(path + "&key=right"), s.get(path, "X-Goog-Api-Key", "right")} {
			if right.StatusCode != 200 {
				t.Errorf("%s: %d %s", path, right.StatusCode, right.body)
			}
		}
	}
}

func TestGoogle(t *testing.T) {
	s := start(t, nil)
	same(t, "default html", s.post("/language/translate/v2", `{"q":["Tom &amp; <b>Jerry</b>"],"target":"sw"}`), 200,
		`{"data":{"translations":[{"translatedText":"&lt;swh_Latn&gt;Tom &amp; <b>&lt;swh_Latn&gt;Jerry</b>","detectedSourceLanguage":"en"}]}}`)
	same(t, "an address first", s.post("/language/translate/v2", `{"q":["https://12.34<br>Hello"],"target":"sw"}`), 200,
		`{"data":{"translations":[{"translatedText":"https://12.34<br>&lt;swh_Latn&gt;Hello","detectedSourceLanguage":"en"}]}}`)
	same(t, "text", s.get("/language/translate/v2?q=Hello&q=Bye&source=en&target=sw&format=text"), 200,
		`{"data":{"translations":[{"translatedText":"<swh_Latn>Hello"},{"translatedText":"<swh_Latn>Bye"}]}}`)
	same(t, "detect", s.post("/language/translate/v2/detect", `{"q":"Hello"}`), 200,
		`{"data":{"detections":[[{"language":"en","isReliable":false,"confidence":0.9}]]}}`)
	if a := s.post("/language/translate/v2", `{"q":"a","target":"xx"}`); a.StatusCode != 400 || a.json(t)["error"].(map[string]any)["code"] != 400.0 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	if a := s.get("/language/translate/v2/languages?target=en"); !strings.Contains(a.body, `{"language":"sw","name":"Swahili"}`) {
		t.Errorf("%.300s", a.body)
	}
}

// TestMarkupHasOneLanguage: what comes first may be a name, or too short to have a language.
func TestMarkupHasOneLanguage(t *testing.T) {
	s := start(t, nil)
	same(t, "a name first", s.post("/language/translate/v2", `{"q":["<b>NASA</b> <p>Good morning, how are you?</p>"],"target":"sw"}`), 200,
		`{"data":{"translations":[{"translatedText":"<b>&lt;swh_Latn&gt;NASA</b> <p>&lt;swh_Latn&gt;Good morning, how are you?</p>","detectedSourceLanguage":"en"}]}}`)
	same(t, "a short heading", s.post("/translate", `{"q":"<h1>Hm</h1><p>Good morning</p>","source":"auto","target":"sw","format":"html"}`), 200,
		`{"translatedText":"<h1>&lt;swh_Latn&gt;Hm</h1><p>&lt;swh_Latn&gt;Good morning</p>","detectedLanguage":{"confidence":90,"language":"en"}}`)
	for _, q := range []string{"<b>Hm</b>", "<b>བོད་</b> <p>སྐད།</p>"} {
		if a := s.post("/translate", `{"q":"`+q+`","source":"auto","target":"sw","format":"html"}`); a.StatusCode != 409 {
			t.Errorf("%s: %d %s", q, a.StatusCode, a.body)
		}
	}
	if a := s.post("/translate", `{"q":"<p>སྐད།</p>","source":"bo","target":"sw","format":"html"}`); a.StatusCode != 400 {
		t.Errorf("named and not served: %d %s", a.StatusCode, a.body)
	}
}

// TestLineEndsOfHTML: there a line end is a space, but not within pre, in XML or where HTML's tags stand in plain text.
func TestLineEndsOfHTML(t *testing.T) {
	s := start(t, nil)
	const text = "\n <p>\tGood\n    morning,&#10;you\u00a0\n</p>\n<pre>a\n  b <b>c\n d</b></pre> e\r\n f"
	const spaced, kept = "\tGood morning, you\u00a0\n", "\tGood\n    morning,\nyou\u00a0\n"
	for markup, first := range map[string]string{"html": spaced, "xml": kept} {
		body, _ := json.Marshal(map[string]any{"text": []string{text}, "source_lang": "EN", "target_lang": "SW", "tag_handling": markup})
		last := map[string]string{"html": "« e f»", "xml": "« e\r\n f»"}[markup]
		want := strings.NewReplacer("«", "&lt;swh_Latn&gt;", "»", "").Replace("\n <p>«" + first + "»</p>\n<pre>«a\n  b »<b>«c\n d»</b></pre>" + last)
		if got := s.post("/v2/translate", string(body)).json(t)["translations"].([]any)[0].(map[string]any)["text"]; got != want {
			t.Errorf("%s: %q\nwant %q", markup, got, want)
		}
	}
	same(t, "google", s.post("/language/translate/v2", `{"q":"Good\n\tmorning","source":"en","target":"sw"}`), 200,
		`{"data":{"translations":[{"translatedText":"&lt;swh_Latn&gt;Good morning"}]}}`)
	same(t, "text", s.post("/language/translate/v2", `{"q":"Good\nmorning","source":"en","target":"sw","format":"text"}`), 200,
		`{"data":{"translations":[{"translatedText":"<swh_Latn>Good\nmorning"}]}}`)
	same(t, "immersive", s.post("/immersive", `{"source_lang":"en","target_lang":"sw","text_list":["Good\n<b0>morning\nyou</b0>"]}`), 200,
		`{"translations":[{"detected_source_lang":"en","text":"&lt;swh_Latn&gt;Good\n<b0>&lt;swh_Latn&gt;morning\nyou</b0>"}]}`)
}

// TestOneTextWithoutALanguage: of several texts it stays as it is and the others are translated.
func TestOneTextWithoutALanguage(t *testing.T) {
	s := start(t, nil)
	same(t, "deepl", s.post("/v2/translate", `{"text":["Hello","Hm","བོད་"],"target_lang":"SW"}`), 200,
		`{"translations":[{"detected_source_language":"EN","text":"<swh_Latn>Hello","billed_characters":5},
			{"detected_source_language":"","text":"Hm","billed_characters":2},{"detected_source_language":"BO","text":"བོད་","billed_characters":4}]}`)
	same(t, "google", s.post("/language/translate/v2", `{"q":["Hello","<b>Hm</b>&nbsp;","<b>བོད་</b>"],"target":"sw"}`), 200,
		`{"data":{"translations":[{"translatedText":"&lt;swh_Latn&gt;Hello","detectedSourceLanguage":"en"},{"translatedText":"<b>Hm</b>&nbsp;"},
			{"translatedText":"<b>བོད་</b>","detectedSourceLanguage":"bo"}]}}`)
	same(t, "libre", s.post("/translate", `{"q":["Hello","Hm","བོད་"],"source":"auto","target":"sw"}`), 200,
		`{"translatedText":["<swh_Latn>Hello","Hm","བོད་"],
			"detectedLanguage":[{"confidence":90,"language":"en"},{"confidence":0,"language":""},{"confidence":80,"language":"bo"}]}`)
	same(t, "immersive", s.post("/immersive", `{"source_lang":"auto","target_lang":"sw","text_list":["Hello","Hm","བོད་"]}`), 200,
		`{"translations":[{"detected_source_lang":"en","text":"&lt;swh_Latn&gt;Hello"},{"detected_source_lang":"auto","text":"Hm"},{"detected_source_lang":"bo","text":"བོད་"}]}`)
	for _, body := range []string{`{"text":["Hm"],"target_lang":"SW"}`, `{"text":["བོད་"],"target_lang":"SW"}`} {
		if a := s.post("/v2/translate", body); a.StatusCode != 409 {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.body)
		}
	}
	if a := s.post("/v2/translate", `{"text":["Hello","བོད་"],"source_lang":"BO","target_lang":"SW"}`); a.StatusCode != 400 {
		t.Errorf("named and not served: %d %s", a.StatusCode, a.body)
	}
}

// TestQuotesInMarkup: clients that don't decode entities show them; Google's expect them.
func TestQuotesInMarkup(t *testing.T) {
	s := start(t, nil)
	same(t, "google", s.post("/language/translate/v2", `{"q":"It's <b>\"R&amp;D\"</b>","source":"en","target":"sw"}`), 200,
		`{"data":{"translations":[{"translatedText":"&lt;swh_Latn&gt;It&#39;s <b>&lt;swh_Latn&gt;&#34;R&amp;D&#34;</b>"}]}}`)
	same(t, "libre", s.post("/translate", `{"q":"It's <b>\"R&amp;D\"</b>","source":"en","target":"sw","format":"html"}`), 200,
		`{"translatedText":"&lt;swh_Latn&gt;It's <b>&lt;swh_Latn&gt;\"R&amp;D\"</b>"}`)
	same(t, "deepl", s.post("/v2/translate", `{"text":["It&apos;s <x/>"],"source_lang":"EN","target_lang":"SW","tag_handling":"xml"}`), 200,
		`{"translations":[{"detected_source_language":"EN","text":"&lt;swh_Latn&gt;It's <x/>","billed_characters":14}]}`)
	same(t, "immersive", s.post("/immersive", `{"source_lang":"en","target_lang":"sw","text_list":["It's {0} <b0>\"x\"</b0>"]}`), 200,
		`{"translations":[{"detected_source_lang":"en","text":"&lt;swh_Latn&gt;It's {0} <b0>&lt;swh_Latn&gt;\"x\"</b0>"}]}`)
}

// TestErrorsBeforeTheRoute: those of the limits and of methods have the dialect's shape too.
func TestErrorsBeforeTheRoute(t *testing.T) {
	s := start(t, func(o *handlers.Options) {
		o.Limits = limiter.New(limiter.NewMemory(10, nil), 1, 0)
	})
	const google, deepL = "/language/translate/v2", "/v2/translate"
	s.get(google + "?q=a&target=fr&source=en")
	for path, key := range map[string]string{google + "?q=a&target=fr&source=en": "error", deepL: "message"} {
		a := s.post(path, `{"text":["a"],"target_lang":"FR"}`)
		if body := a.json(t); a.StatusCode != 429 || body[key] == nil || body["error_type"] != nil {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
	if a := s.do("DELETE", google, ""); a.StatusCode != 405 || !strings.HasPrefix(a.body, `{"error":{"code":405,`) {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestImmersive(t *testing.T) {
	s := start(t, nil)
	for _, path := range []string{"/translate", "/immersive"} {
		same(t, path, s.post(path, `{"source_lang":"auto","target_lang":"sw","text_list":["Hello {0} <b0>x</b0>","12 {1}"]}`), 200,
			`{"translations":[{"detected_source_lang":"en","text":"&lt;swh_Latn&gt;Hello {0} <b0>&lt;swh_Latn&gt;x</b0>"},{"detected_source_lang":"auto","text":"12 {1}"}]}`)
	}
	if a := s.post("/immersive", `{"source_lang":"auto","target_lang":"xx","text_list":["a"]}`); a.StatusCode != 400 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestNLLBAPI(t *testing.T) {
	s := start(t, nil)
	same(t, "get", s.get("/api/v4/translator?text=Hello&source=eng_Latn&target=swh_Latn"), 200, `{"result":"<swh_Latn>Hello"}`)
	same(t, "post", s.post("/api/v4/translator", `{"text":"Hello","source":"eng_Latn","target":"swh_Latn"}`), 200, `{"result":"<swh_Latn>Hello"}`)
	same(t, "language", s.get("/api/v4/language?text=Hello"), 200, `{"language":"eng_Latn","confidence":0.9}`)
	a := s.get("/api/v4/translator/stream?text=One.+Two.&source=eng_Latn&target=swh_Latn&event_type=t")
	if a.body != "event: t\ndata: <swh_Latn>One. \n\nevent: t\ndata: <swh_Latn>Two.\n\n" {
		t.Errorf("%q", a.body)
	}
	wantError(t, s.get("/api/v4/translator?target=swh_Latn"), 422, "empty_text")
}

// TestNLLBAPIStreamIsWhole: what is between segments and after the last is a part of the translation, and so is a text
// that needs no model.
func TestNLLBAPIStreamIsWhole(t *testing.T) {
	s := start(t, nil)
	for text, want := range map[string]string{
		"1. One. 2. Two.\n":        "data: 1. <swh_Latn>One. \n\ndata: 2. <swh_Latn>Two.\ndata: \n\n",
		"One. 42. \n43":            "data: <swh_Latn>One. \n\ndata: 42. \ndata: 43\n\n",
		"https://example.org/\n12": "data: https://example.org/\ndata: 12\n\n",
	} {
		query := url.Values{"text": {text}, "source": {"eng_Latn"}, "target": {"swh_Latn"}}.Encode()
		if a := s.get("/api/v4/translator/stream?" + query); a.StatusCode != 200 || a.body != want {
			t.Errorf("%q: %q, want %q", text, a.body, want)
		}
	}
}

// TestNLLBAPILineEnds: each of the three is a line's end in Server-Sent Events, so that none may be within data.
func TestNLLBAPILineEnds(t *testing.T) {
	s := start(t, nil)
	for _, end := range []string{"%0A", "%0D", "%0D%0A"} {
		a := s.get("/api/v4/translator/stream?text=One" + end + "event:+x" + end + end + "Two&source=eng_Latn&target=swh_Latn&event_type=a" + end + "b")
		if a.body != "event: ab\ndata: <swh_Latn>One\ndata: event: x\ndata: \ndata: Two\n\n" {
			t.Errorf("%s: %q", end, a.body)
		}
	}
}
