package handlers_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/handlers"
)

func TestTranslate(t *testing.T) {
	s := start(t, nil)
	for _, prefix := range []string{"", "/api/v1"} {
		a := s.post(prefix+"/translate", `{"text":"Hello","target_language":"swh_Latn","source_language":"en"}`)
		got := a.json(t)
		if a.StatusCode != 200 || got["translated_text"] != "<swh_Latn>Hello" || got["source_language"] != "eng_Latn" || got["target_language"] != "swh_Latn" {
			t.Errorf("%d %s", a.StatusCode, a.body)
		}
		if got["character_count"] != 5.0 || got["model_version"] != "v1" || a.Header.Get("X-Model-Version") != "v1" || got["detected"] != nil {
			t.Errorf("%s", a.body)
		}
		stamp, err := time.Parse(time.RFC3339, got["timestamp"].(string))
		if err != nil || stamp.Location() != time.UTC || got["request_id"] != a.Header.Get("X-Request-ID") || got["total_time"].(float64) <= 0 {
			t.Errorf("%v %s", err, a.body)
		}
	}
	if s.models.held.Load() != 0 {
		t.Error("a model is still held")
	}
}

func TestTranslateDetectsTheSource(t *testing.T) {
	s := start(t, nil)
	for _, source := range []string{``, `,"source_language":null`, `,"source_language":""`, `,"source_language":"auto"`} {
		got := s.post("/translate", `{"text":"Hello","target_language":"fra_Latn"`+source+`}`).json(t)
		found, _ := got["detected"].(map[string]any)
		if got["source_language"] != "eng_Latn" || found["language"] != "eng_Latn" || found["confidence"] != 0.9 {
			t.Errorf("%s: %v", source, got)
		}
	}
}

func TestBadInput(t *testing.T) {
	s := start(t, nil)
	long := strings.Repeat("é", 101)
	for _, test := range []struct {
		body, errorType string
		code            int
		contains        string
	}{
		{`{"text":"Hello","target_language":`, "malformed_json", 400, `"offset":34`},
		{`{"text":"Hello",}`, "malformed_json", 400, `"offset":17`},
		{``, "malformed_json", 400, ""},
		{"{\"text\":\"a\xff\",\"target_language\":\"swh_Latn\"}", "malformed_json", 400, `"offset":10`},
		{`null`, "validation_error", 422, "null"},
		{`[]`, "validation_error", 422, "object"},
		{`"x"`, "validation_error", 422, "object"},
		{`{"text":5,"target_language":"swh_Latn"}`, "validation_error", 422, `"field":"text"`},
		{`{"text":"a","target_language":["x"]}`, "validation_error", 422, `"field":"target_language"`},
		{`{"text":"a","target_language":"swh_Latn","beam_size":1.5}`, "validation_error", 422, `"field":"beam_size"`},
		{`{"text":"a","target_language":"swh_Latn","beam_size":0}`, "validation_error", 422, `"field":"beam_size"`},
		{`{"text":"a","target_language":"swh_Latn","beam_size":9}`, "validation_error", 422, `"field":"beam_size"`},
		{`{"text":"a","target_language":"swh_Latn","beam_size":1e400}`, "validation_error", 422, "beam_size: 1e400 is out of range"},
		{`{"text":"a","target_language":"swh_Latn","beam_size":"1"}`, "validation_error", 422, "beam_size: must be a number, not string"},
		{`{"text":"a","target_language":"` + strings.Repeat("x", 39) + `üy"}`, "unknown_language", 422, `\"` + strings.Repeat("x", 39) + `ü…\" is not`},
		{`{"text":"","target_language":"swh_Latn"}`, "empty_text", 422, `"field":"text"`},
		{`{"text":" \n\t ","target_language":"swh_Latn"}`, "empty_text", 422, ""},
		{`{"target_language":"swh_Latn"}`, "empty_text", 422, ""},
		{`{"text":"a"}`, "validation_error", 422, `"field":"target_language"`},
		{`{"text":"a","target_language":"swx_Latn"}`, "unknown_language", 422, "swh_Latn"},
		{`{"text":"a","target_language":"swh_Latn","source_language":"xx"}`, "unknown_language", 422, `"field":"source_language"`},
		{`{"text":"` + long + `","target_language":"swh_Latn"}`, "text_too_long", 413, "101"},
		{`{"text":"123","target_language":"swh_Latn"}`, "undetermined_language", 409, "source_language"},
		{`{"text":"fail","target_language":"swh_Latn"}`, "internal_error", 500, ""},
		{`{"text":"panic","target_language":"swh_Latn"}`, "internal_error", 500, ""},
	} {
		a := s.post("/api/v1/translate", test.body)
		wantError(t, a, test.code, test.errorType)
		if !strings.Contains(a.body, test.contains) || strings.Contains(a.body, "secret") {
			t.Errorf("%.60s: want %q in %s", test.body, test.contains, a.body)
		}
	}
	if got := s.post("/translate", `{"text":"`+long[2:]+`","target_language":"swh_Latn"}`); got.StatusCode != 200 {
		t.Errorf("100 code points: %s", got.body)
	}
}

func TestHostileBodiesGetAnAnswer(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.BodyLimit = 1 << 20 })
	for name, body := range map[string]string{
		"nul":               `{"text":"a\u0000b","target_language":"swh_Latn"}`,
		"raw nul":           "{\"text\":\"a\x00b\",\"target_language\":\"swh_Latn\"}",
		"lone surrogate":    `{"text":"a\ud800b","target_language":"swh_Latn"}`,
		"duplicate keys":    `{"text":"a","text":"b","target_language":"swh_Latn"}`,
		"deep array":        strings.Repeat("[", 400_000),
		"deep object":       `{"text":` + strings.Repeat(`{"a":`, 100_000) + `1` + strings.Repeat("}", 100_000) + `}`,
		"huge number":       `{"text":"a","beam_size":1e999,"target_language":"swh_Latn"}`,
		"megabyte language": `{"text":"a","target_language":"` + strings.Repeat("x", 900_000) + `"}`,
		"megabyte number":   `{"text":"a","beam_size":` + strings.Repeat("1", 900_000) + `,"target_language":"swh_Latn"}`,
	} {
		a := s.post("/translate", body)
		if a.StatusCode >= 500 || len(a.body) > 4000 {
			t.Errorf("%s: %d, %d bytes: %.200s", name, a.StatusCode, len(a.body), a.body)
		}
	}
	wantError(t, s.post("/translate", `{"text":"`+strings.Repeat("a", 2<<20)+`"}`), 413, "body_too_large")
	if a := s.get("/live"); a.StatusCode != 200 {
		t.Error("the service is gone")
	}
}

// TestLastDuplicateWins: of several values under one key the last counts, whatever their type.
func TestLastDuplicateWins(t *testing.T) {
	s := start(t, nil)
	const languages = `"source_language":"en","target_language":"swh_Latn"`
	a := s.post("/translate", `{"text":"Hello","text":"Water","beam_size":99,"beam_size":1,`+languages+`}`)
	if a.StatusCode != 200 || a.json(t)["translated_text"] != "<swh_Latn>Water" {
		t.Errorf("text: %d %s", a.StatusCode, a.body)
	}
	a = s.post("/translate/batch", `{"texts":["Hello","Bye"],"texts":["Water"],`+languages+`}`)
	if got := a.json(t); got["total"] != 1.0 || got["results"].([]any)[0].(map[string]any)["translated_text"] != "<swh_Latn>Water" {
		t.Errorf("texts: %d %s", a.StatusCode, a.body)
	}
	if a := s.post("/detect-language/batch", `{"texts":["Hello","Bye"],"texts":["Water"]}`); a.json(t)["total"] != 1.0 {
		t.Errorf("texts to detect: %d %s", a.StatusCode, a.body)
	}
	same(t, "q", s.post("/libretranslate/translate", `{"q":["Hello","Bye"],"q":"Water","source":"en","target":"sw"}`), 200, `{"translatedText":"<swh_Latn>Water"}`)
	same(t, "q with null", s.post("/libretranslate/translate", `{"q":["Hello","Bye"],"q":["Water",null],"source":"en","target":"sw"}`), 200,
		`{"translatedText":["<swh_Latn>Water",""]}`)
}

func TestMediaTypes(t *testing.T) {
	s := start(t, nil)
	body := `{"text":"Hello","target_language":"swh_Latn"}`
	for _, media := range []string{"application/json", "application/json; charset=utf-8", "application/vnd.sema+json", "APPLICATION/JSON"} {
		if a := s.do("POST", "/translate", body, "Content-Type", media); a.StatusCode != 200 {
			t.Errorf("%s: %s", media, a.body)
		}
	}
	for _, media := range []string{"", "text/plain", "application/xml", ";;"} {
		wantError(t, s.do("POST", "/translate/batch", body, "Content-Type", media), 415, "unsupported_media_type")
	}
}

// TestBodiesThatGrow: what would be far larger in memory than on the wire is refused before it is unpacked.
func TestBodiesThatGrow(t *testing.T) {
	s := start(t, nil)
	form := "--X\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\nHello\r\n--X--\r\n"
	for media, body := range map[string]string{"application/json": hello, "multipart/form-data; boundary=X": form, "application/x-www-form-urlencoded": "q=Hello&target=sw"} {
		for _, encoding := range []string{"gzip", "br", "identity, gzip"} {
			a := s.do("POST", "/translate", body, "Content-Type", media, "Content-Encoding", encoding)
			wantError(t, a, 415, "unsupported_media_type")
		}
		if a := s.do("POST", "/translate", body, "Content-Type", media, "Content-Encoding", "Identity"); a.StatusCode == 415 {
			t.Errorf("%s: %s", media, a.body)
		}
	}
	fields := strings.Repeat("q=a&", 2000)
	wantError(t, s.do("POST", "/translate", fields, "Content-Type", "application/x-www-form-urlencoded"), 400, "bad_request")
	if a := s.do("POST", "/v2/languages", "{"+fields, "Content-Type", "application/x-www-form-urlencoded"); a.StatusCode != 400 {
		t.Errorf("behind a brace: %d %.100s", a.StatusCode, a.body)
	}
	text := "--X\r\nContent-Disposition: form-data; name=\"q\"\r\n\r\n" + strings.Repeat("&nbsp;", 2000) + "\r\n--X--\r\n"
	if a := s.do("POST", "/translate", text, "Content-Type", "multipart/form-data; boundary=X"); strings.Contains(a.body, "fields") {
		t.Errorf("a multipart form of one field: %.100s", a.body)
	}
	if a := s.do("POST", "/v2/translate", fields, "Content-Type", "Application/X-WWW-form-urlencoded"); a.StatusCode != 400 || !strings.Contains(a.body, "fields") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

func TestNotFoundAndMethods(t *testing.T) {
	s := start(t, nil)
	wantError(t, s.get("/api/v1/nothing"), 404, "not_found")
	a := s.get("/api/v1/translate")
	wantError(t, a, 405, "method_not_allowed")
	if !strings.Contains(a.Header.Get("Allow"), "POST") {
		t.Errorf("Allow: %q", a.Header.Get("Allow"))
	}
	if a := s.do("HEAD", "/api/v1/languages", ""); a.StatusCode != 200 || a.body != "" {
		t.Errorf("HEAD: %d %q", a.StatusCode, a.body)
	}
}

func TestBatch(t *testing.T) {
	s := start(t, nil)
	a := s.post("/api/v1/translate/batch", `{"texts":["one","","three","panic"],"target_languages":["swh_Latn","swh_Latn","fra_Latn","swh_Latn"]}`)
	got := a.json(t)
	if a.StatusCode != 200 || got["total"] != 4.0 || got["succeeded"] != 2.0 || got["failed"] != 2.0 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	results := got["results"].([]any)
	for i, want := range []string{"<swh_Latn>one", "", "<fra_Latn>three", ""} {
		item := results[i].(map[string]any)
		if want == "" {
			if failure := item["error"].(map[string]any); failure["request_id"] != got["request_id"] {
				t.Errorf("item %d: %v", i, item)
			}
		} else if item["translated_text"] != want || item["index"] != float64(i) {
			t.Errorf("item %d: %v", i, item)
		}
	}
	wantError(t, s.post("/translate/batch", `{"texts":[],"target_language":"swh_Latn"}`), 422, "validation_error")
	wantError(t, s.post("/translate/batch", `{"texts":["a"],"target_languages":[]}`), 422, "validation_error")
	wantError(t, s.post("/translate/batch", `{"texts":["a"],"target_language":"xx"}`), 422, "unknown_language")
	wantError(t, s.post("/translate/batch", `{"texts":[`+strings.Repeat(`"a",`, 50)+`"a"],"target_language":"swh_Latn"}`), 422, "validation_error")
}

func TestStream(t *testing.T) {
	s := start(t, nil)
	a := s.post("/api/v1/translate/stream", `{"text":"Ümlaut. Good morning.","target_language":"swh_Latn","tokens":true}`)
	if a.StatusCode != 200 || !strings.HasPrefix(a.Header.Get("Content-Type"), "text/event-stream") || a.Header.Get("X-Model-Version") != "v1" {
		t.Fatalf("%d %v", a.StatusCode, a.Header)
	}
	var names []string
	for _, event := range strings.Split(strings.TrimSpace(a.body), "\n\n") {
		lines := strings.Split(event, "\n")
		if want := fmt.Sprintf("id: %d", len(names)+1); lines[1] != want {
			t.Errorf("%q, want %q", lines[1], want)
		}
		names = append(names, strings.TrimPrefix(lines[0], "event: "))
	}
	if got := strings.Join(names, " "); got != "token segment token segment done" {
		t.Errorf("events %s:\n%s", got, a.body)
	}
	for _, want := range []string{`"start":0,"end":8`, `"start":8,"end":21`, `"translated_text":"\u003cswh_Latn\u003eÜmlaut. \u003cswh_Latn\u003eGood morning."`} {
		if !strings.Contains(a.body, want) {
			t.Errorf("no %s in\n%s", want, a.body)
		}
	}
	wantError(t, s.post("/translate/stream", `{"text":"","target_language":"swh_Latn"}`), 422, "empty_text")
	for _, text := range []string{"fail", "panic"} {
		if a := s.post("/translate/stream", `{"text":"`+text+`","target_language":"swh_Latn"}`); !strings.Contains(a.body, "event: error") || strings.Contains(a.body, "secret") {
			t.Errorf("%s", a.body)
		}
	}
	if s.models.held.Load() != 0 {
		t.Error("a model is still held")
	}
}

func TestDetect(t *testing.T) {
	s := start(t, nil)
	got := s.post("/api/v1/detect-language", `{"text":"Hello"}`).json(t)
	if got["detected_language"] != "eng_Latn" || got["language_name"] != "English" || got["is_english"] != true || got["confidence"] != 0.9 || len(got["alternatives"].([]any)) != 2 {
		t.Errorf("%v", got)
	}
	got = s.post("/detect-language", `{"text":"12","top_k":1}`).json(t)
	if got["detected_language"] != "und" || got["confidence"] != 0.0 || len(got["alternatives"].([]any)) != 0 {
		t.Errorf("%v", got)
	}
	wantError(t, s.post("/detect-language", `{"text":"a","top_k":0}`), 422, "validation_error")
	wantError(t, s.post("/detect-language", `{}`), 422, "empty_text")
	got = s.post("/detect-language/batch", `{"texts":["Hello",""]}`).json(t)
	if got["total"] != 2.0 || got["results"].([]any)[1].(map[string]any)["error"] == nil {
		t.Errorf("%v", got)
	}
}

func TestDeadline(t *testing.T) {
	s := start(t, func(o *handlers.Options) { o.RequestTimeout = 100 * time.Millisecond })
	wantError(t, s.post("/translate", `{"text":"slow","target_language":"swh_Latn"}`), 504, "timeout")
}
