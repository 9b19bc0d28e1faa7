package handlers_test

import (
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

// browser is a page in headless Chromium, driven over its DevTools protocol.
type browser struct {
	t      *testing.T
	conn   *websocket.Conn
	id     int
	faults []string // what the console complained about
}

// message is what the protocol sends.
type message struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
}

func openBrowser(t *testing.T, url string) *browser {
	t.Helper()
	program, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("chromium is not installed")
	}
	folder := t.TempDir()
	run := exec.Command(program, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-port=0", "--remote-allow-origins=*",
		"--user-data-dir="+folder, "--window-size=1100,700", "about:blank")
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	b := &browser{t: t, conn: connect(t, folder)}
	t.Cleanup(func() {
		_ = websocket.JSON.Send(b.conn, map[string]any{"id": -1, "method": "Browser.close"})
		_, _ = run.Process.Wait()
		time.Sleep(200 * time.Millisecond) // its helpers still write to the folder
	})
	for _, domain := range []string{"Log.enable", "Runtime.enable", "Page.enable"} {
		b.call(domain, nil)
	}
	b.call("Page.navigate", map[string]any{"url": url})
	return b
}

// connect waits for the browser to say where it listens and connects to its first page.
func connect(t *testing.T, folder string) *websocket.Conn {
	t.Helper()
	for range 150 {
		time.Sleep(200 * time.Millisecond)
		file, err := os.ReadFile(filepath.Join(folder, "DevToolsActivePort"))
		if err != nil {
			continue
		}
		port, _, _ := strings.Cut(string(file), "\n")
		response, err := http.Get("http://127.0.0.1:" + port + "/json/list")
		if err != nil {
			continue
		}
		var pages []struct{ Type, WebSocketDebuggerURL string }
		err = json.NewDecoder(response.Body).Decode(&pages)
		_ = response.Body.Close()
		for _, page := range pages {
			if err == nil && page.Type == "page" {
				if conn, err := websocket.Dial(page.WebSocketDebuggerURL, "", "http://127.0.0.1"); err == nil {
					return conn
				}
			}
		}
	}
	t.Fatal("chromium did not start")
	return nil
}

func (b *browser) call(method string, params any) json.RawMessage {
	b.t.Helper()
	b.id++
	if err := websocket.JSON.Send(b.conn, map[string]any{"id": b.id, "method": method, "params": params}); err != nil {
		b.t.Fatal(err)
	}
	for {
		var m message
		_ = b.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
		if err := websocket.JSON.Receive(b.conn, &m); err != nil {
			b.t.Fatal(method, err)
		}
		if m.Method == "Log.entryAdded" || m.Method == "Runtime.exceptionThrown" {
			b.faults = append(b.faults, string(m.Params))
		}
		if m.ID == b.id {
			return m.Result
		}
	}
}

// eval runs a script in the page and returns its value as JSON; "" if it throws or the page is about to be replaced.
func (b *browser) eval(script string) string {
	b.t.Helper()
	var reply struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	result := b.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true})
	if json.Unmarshal(result, &reply) != nil || reply.ExceptionDetails != nil {
		return ""
	}
	return string(reply.Result.Value)
}

// until waits for an expression to be true.
func (b *browser) until(script string) {
	b.t.Helper()
	for range 100 {
		if b.eval(script) == "true" {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.t.Errorf("never true: %s\n%s", script, b.eval("document.body.innerText"))
}

func (b *browser) press(key string) {
	b.t.Helper()
	for _, kind := range []string{"rawKeyDown", "keyUp"} {
		b.call("Input.dispatchKeyEvent", map[string]any{"type": kind, "key": key, "code": key})
	}
}

// TestPageWaitsForModels: the page says that they load, and offers what they serve once they do.
func TestPageWaitsForModels(t *testing.T) {
	s := start(t, nil)
	s.models.missing.Store(true)
	b := openBrowser(t, s.url+"/ui#source=eng_Latn&target=swh_Latn")
	b.until(`$("message").textContent === "The models are loading: 50 % …" && languages.length === 0`)
	b.eval(`$("text").value = "Hello."; translate()`)
	s.models.missing.Store(false)
	b.until(`languages.length > 3 && $("translation").textContent === "<swh_Latn>Hello." && $("message").textContent === ""`)
}

func TestPageInABrowser(t *testing.T) {
	s := start(t, nil)
	b := openBrowser(t, s.url+"/ui")
	b.until(`languages.length > 3 && $("target").value === "Swahili"`)

	b.eval(`$("text").value = "Hello there. Good <b>morning</b>."; $("text").dispatchEvent(new Event("input")); $("translate").click()`)
	b.until(`$("translation").textContent === "<swh_Latn>Hello there. <swh_Latn>Good <b>morning</b>."`)
	b.until(`$("detected").textContent === "Detected: English (90 %)" && !$("copy").disabled && $("count").textContent === "33 / 100"`)

	// the keyboard alone picks a language, by its native name
	b.eval(`$("target").focus()`)
	b.call("Input.insertText", map[string]any{"text": "franç"})
	b.until(`$("target-list").children.length === 1 && $("target").getAttribute("aria-expanded") === "true" && $("target").getAttribute("aria-activedescendant") !== null`)
	b.press("Enter")
	b.until(`target.code === "fra_Latn" && $("target").value.startsWith("French") && $("target-list").hidden`)
	b.until(`$("translation").textContent.startsWith("<fra_Latn>Hello")`)

	b.eval(`swap()`)
	b.until(`source.code === "fra_Latn" && target.code === "eng_Latn" && $("translation").textContent.startsWith("<eng_Latn><fra_Latn>")`)

	// a script that runs from right to left
	b.eval(`target.choose("arb_Arab")`)
	b.until(`$("translation").textContent.startsWith("<arb_Arab>") && $("translation").dir === "rtl" && $("translation").lang === "ar-Arab"`)
	b.until(`getComputedStyle($("translation")).direction === "rtl"`)
	b.eval(`target.choose("eng_Latn")`)
	b.until(`$("translation").textContent.startsWith("<eng_Latn>") && $("translation").dir === "ltr"`)

	b.eval(`$("text").value = "x".repeat(101); count(); translate()`)
	b.until(`$("count").classList.contains("over") && $("message").textContent.includes("101")`)
	b.eval(`$("text").value = "123"; source.set(""); translate()`)
	b.until(`$("message").textContent.includes("under From") && !$("message").textContent.includes("source_language")`)
	b.eval(`window.realFetch = fetch; fetch = async () => new Response("<html>", { status: 502 }); translate()`)
	b.until(`$("message").textContent.includes("status 502")`)
	b.eval(`fetch = realFetch`)
	b.faults = nil // the 413 and 409 just asked for

	b.eval(`location.href = "/ui?again#source=eng_Latn&target=swh_Latn&text=A%20link."`)
	b.until(`source.code === "eng_Latn" && $("translation").textContent === "<swh_Latn>A link."`)

	b.eval(`location.href = "/docs"`)
	b.until(`document.querySelectorAll(".opblock").length > 10`)
	b.eval(`location.href = "/redoc"`)
	b.until(`document.body.innerText.includes("Translate a text")`)
	for _, fault := range b.faults {
		t.Errorf("the console says: %s", fault)
	}
}
