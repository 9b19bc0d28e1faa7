package hubtest_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sematech/sema/hub/hubtest"
)

func get(t *testing.T, address string, header ...string) (int, string, http.Header) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		body = append(body, " error"...)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestServer(t *testing.T) {
	s := hubtest.New(t)
	s.PageSize = 1
	sha := s.Commit("org/name", "main", map[string][]byte{"config.json": []byte("{}"), "dir/model.bin": []byte("0123456789")})
	status, body, header := get(t, s.URL+"/api/models/org/name/revision/main")
	if status != 200 || !strings.Contains(body, sha) {
		t.Errorf("info: %d %s", status, body)
	}
	if status, _, _ := get(t, s.URL+"/api/models/org/name/revision/main", "If-None-Match", header.Get("ETag")); status != 304 {
		t.Errorf("info again: %d", status)
	}
	if status, body, header = get(t, s.URL+"/api/models/org/name/tree/"+sha); status != 200 || !strings.Contains(body, "config.json") || strings.Contains(body, "model.bin") || header.Get("Link") == "" {
		t.Errorf("tree: %d %s %v", status, body, header)
	}
	for _, c := range []struct{ file, requested, want string }{{"config.json", "", "{}"}, {"dir/model.bin", "", "0123456789"}, {"dir/model.bin", "bytes=4-", "456789"}} {
		if _, body, _ := get(t, s.URL+"/org/name/resolve/"+sha+"/"+c.file, "Range", c.requested); body != c.want {
			t.Errorf("%s %s: %s", c.file, c.requested, body)
		}
	}
	if status, _, header := get(t, s.URL+"/org/name/resolve/nothing/x"); status != 404 || header.Get("X-Error-Code") != "RevisionNotFound" {
		t.Errorf("no revision: %d %v", status, header)
	}
	s.RequireToken("org/name", "secret")
	if status, _, _ := get(t, s.URL+"/api/models/org/name/revision/main"); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	if status, _, _ := get(t, s.URL+"/api/models/org/name/revision/main", "Authorization", "Bearer secret"); status != 200 {
		t.Errorf("with a token: %d", status)
	}
	if r := s.Requests(); len(r) != 12 || r[len(r)-1].Authorization != "Bearer secret" || r[len(r)-1].Status != 200 {
		t.Errorf("%d requests: %+v", len(r), r)
	}
}

func TestFaults(t *testing.T) {
	s := hubtest.New(t)
	sha := s.Commit("r", "main", map[string][]byte{"model.bin": []byte("0123456789")})
	address := s.URL + "/r/resolve/" + sha + "/model.bin"
	try := func(f hubtest.Fault, want string) {
		t.Helper()
		f.Times = 1
		s.Fault("storage/.*model.bin", f)
		start := time.Now()
		status, body, header := get(t, address, "Range", "bytes=2-")
		if body != want {
			t.Errorf("%+v: %d %q, want %q", f, status, body, want)
		}
		if f.Status != 0 && (status != f.Status || header.Get("Retry-After") != f.Header["Retry-After"]) {
			t.Errorf("%+v: %d %v", f, status, header)
		}
		if f.Delay > time.Since(start) || f.BytesPerSecond > 0 && time.Since(start) < 50*time.Millisecond {
			t.Errorf("%+v: took %s", f, time.Since(start))
		}
	}
	try(hubtest.Fault{}, "23456789")
	try(hubtest.Fault{Status: 429, Header: map[string]string{"Retry-After": "7"}, Body: "later"}, "later")
	try(hubtest.Fault{CutAfter: 3}, "234 error")
	try(hubtest.Fault{WrongBytes: true}, "gfa`cbml")
	try(hubtest.Fault{IgnoreRange: true}, "0123456789")
	try(hubtest.Fault{Delay: 20 * time.Millisecond}, "23456789")
	try(hubtest.Fault{BytesPerSecond: 100}, "23456789")
	moved := false
	try(hubtest.Fault{Before: func() { moved = true }}, "23456789")
	if !moved {
		t.Error("Before was not called")
	}
	s.Fault("storage", hubtest.Fault{StallAfter: 2})
	client := http.Client{Timeout: 100 * time.Millisecond}
	resp, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); string(body) != "01" || err == nil {
		t.Errorf("a stall: %q, %v", body, err)
	}
	s.Heal()
	try(hubtest.Fault{}, "23456789")
}
