package handlers_test

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/sematech/sema/handlers"
	"github.com/sematech/sema/telemetry"
)

// FuzzBodies sends any body to each route that takes one: there is always an answer, it is JSON, and it is never a 5xx.
func FuzzBodies(f *testing.F) {
	logger, err := telemetry.NewLogger(io.Discard, "panic", "json")
	if err != nil {
		f.Fatal(err)
	}
	app, err := handlers.New(handlers.Options{
		Models: &fakeModels{model: &fakeModel{}}, Log: logger, Metrics: telemetry.NewMetrics(), MaxCharacters: 100,
		Control: &fakeControl{}, AdminToken: token, WebhookSecret: secret, ModelRepo: "o/n",
	})
	if err != nil {
		f.Fatal(err)
	}
	for _, body := range []string{
		hello, `{"q":["a","<b>x</b>"],"source":"auto","target":"sw","format":"html"}`, `{"source_lang":"en","target_lang":"sw","text_list":["{0} a"]}`,
		`{"texts":["a",null],"target_languages":["sw"]}`, `{"text":["a &amp; <x/> <![CDATA[b]]> <!-- c -->"],"target_lang":"SW","tag_handling":"xml","ignore_tags":"x"}`,
		`q=a&q=%ff&target=sw`, "\x00", `{"text":"\ud800"}`, strings.Repeat("[", 1000), `{"text":"a","top_k":1e400}`, `null`,
		hubSays("update", "repo.content", "model", "o/n", `{"ref":"refs/heads/main"}`), `{"revision":"v1"}`,
	} {
		f.Add(body, false)
		f.Add(body, true)
	}
	f.Fuzz(func(t *testing.T, body string, asForm bool) {
		if strings.Contains(body, "panic") || strings.Contains(body, "fail") || strings.Contains(body, "slow") || strings.Contains(body, "nowhere") {
			t.Skip("the fake's own words")
		}
		media := "application/json"
		if asForm {
			media = form
		}
		for _, path := range []string{"/translate", "/translate/batch", "/detect-language", "/detect-language/batch", "/detect", "/v2/translate", "/language/translate/v2", "/immersive", "/api/v4/translator", "/hooks/huggingface", "/admin/reload?dry_run=1"} {
			request := httptest.NewRequest("POST", path, strings.NewReader(body))
			request.Header.Set("Content-Type", media)
			request.Header.Set("X-Webhook-Secret", secret)
			request.Header.Set(bearer[0], bearer[1])
			response, err := app.Test(request, -1)
			if err != nil {
				t.Fatal(path, err)
			}
			read, err := io.ReadAll(response.Body)
			if err != nil || response.StatusCode >= 500 || !json.Valid(read) {
				t.Errorf("%s: %d %.300s %v", path, response.StatusCode, read, err)
			}
		}
	})
}
