"use strict";

const $ = (id) => document.getElementById(id);
const rightToLeft = new Set(["Arab", "Hebr", "Syrc", "Thaa", "Nkoo", "Adlm"]);
// A browser may refuse a page in another site's frame its storage: then nothing is remembered.
const remembered = (key, standard) => { try { return localStorage.getItem("sema." + key) || standard; } catch { return standard; } };
const remember = (key, value) => { try { localStorage.setItem("sema." + key, value); } catch { /* as above */ } };

let limit = 5000;
let running = null; // AbortController of the translation under way
let languages = []; // {code, name, native, script}

// Picker is a text field that searches a list of languages, by name, native name or code.
class Picker {
  constructor(id, extra) {
    this.input = $(id);
    this.list = $(id + "-list");
    this.id = id;
    this.extra = extra;
    this.code = "";
    this.active = -1;
    this.input.addEventListener("focus", () => { this.input.select(); this.open(""); });
    this.input.addEventListener("input", () => this.open(this.input.value));
    this.input.addEventListener("keydown", (event) => this.key(event));
    this.input.addEventListener("blur", () => this.close());
    this.list.addEventListener("mousedown", (event) => {
      event.preventDefault();
      const item = event.target.closest("li");
      if (item) this.choose(item.dataset.code);
    });
  }

  all() { return this.extra.concat(languages); }

  set(code) {
    const language = this.all().find((l) => l.code === code);
    if (!language) return false;
    this.code = code;
    this.input.value = language.name;
    remember(this.id, code);
    return true;
  }

  choose(code) {
    this.set(code);
    this.close();
    this.input.dispatchEvent(new CustomEvent("choose", { bubbles: true }));
  }

  open(query) {
    const wanted = query.trim().toLocaleLowerCase();
    const found = this.all().filter((l) => [l.name, l.native, l.code].some((s) => s.toLocaleLowerCase().includes(wanted)));
    this.list.replaceChildren(...found.map((l, i) => {
      const item = document.createElement("li");
      item.id = this.id + "-option-" + i;
      item.role = "option";
      item.dataset.code = l.code;
      const native = document.createElement("span");
      native.textContent = l.native;
      native.dir = "auto";
      item.append(l.name, native);
      return item;
    }));
    this.list.hidden = found.length === 0;
    this.input.setAttribute("aria-expanded", String(found.length > 0));
    this.move(found.length ? Math.max(0, found.findIndex((l) => l.code === this.code)) : -1);
  }

  move(index) {
    const items = this.list.children;
    this.active = items.length ? (index + items.length) % items.length : -1;
    for (let i = 0; i < items.length; i++) items[i].setAttribute("aria-selected", String(i === this.active));
    if (this.active < 0) return this.input.removeAttribute("aria-activedescendant");
    this.input.setAttribute("aria-activedescendant", items[this.active].id);
    items[this.active].scrollIntoView({ block: "nearest" });
  }

  key(event) {
    const open = !this.list.hidden;
    switch (event.key) {
      case "ArrowDown": open ? this.move(this.active + 1) : this.open(""); break;
      case "ArrowUp": this.move(this.active - 1); break;
      case "Home": if (!open) return; this.move(0); break;
      case "End": if (!open) return; this.move(-1); break;
      case "Enter": if (!open || event.ctrlKey || event.metaKey) return; this.choose(this.list.children[this.active].dataset.code); break;
      case "Escape": this.close(); break;
      default: return;
    }
    event.preventDefault();
  }

  close() {
    this.list.hidden = true;
    this.input.setAttribute("aria-expanded", "false");
    this.input.removeAttribute("aria-activedescendant");
    this.set(this.code);
  }
}

const source = new Picker("source", [{ code: "", name: "Detect language", native: "", script: "" }]);
const target = new Picker("target", []);

function count() {
  const n = [...$("text").value].length;
  $("count").textContent = n.toLocaleString() + " / " + limit.toLocaleString();
  $("count").classList.toggle("over", n > limit);
}

function direction(code) {
  const language = languages.find((l) => l.code === code);
  $("translation").dir = language && rightToLeft.has(language.script) ? "rtl" : "ltr";
  $("translation").lang = language ? language.tag : "";
}

function show(message) { $("message").textContent = message; }

// lines yields the lines of a streaming answer.
async function* lines(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (rest + value).split("\n");
    rest = parts.pop();
    yield* parts;
  }
}

// read returns the JSON of an answer. What is none comes from a proxy while the service is away.
async function read(response) {
  try {
    return await response.json();
  } catch {
    throw new Error("The service does not answer (status " + response.status + "). Try again soon.");
  }
}

// inPage makes an error of one of the API's, with the page's word where it names a field.
function inPage(answer) {
  const undetected = ["undetermined_language", "detected_unsupported_language"].includes(answer.error_type);
  return new Error(undetected ? answer.message.split(";")[0] + "; choose the language under From" : answer.message);
}

async function translate() {
  if (languages.length === 0) return; // the models are loading
  if (running) running.abort();
  const text = $("text").value;
  show("");
  $("detected").textContent = "";
  $("copy").disabled = true;
  $("translation").textContent = "";
  if (!text.trim()) return;
  const control = running = new AbortController();
  $("translation").setAttribute("aria-busy", "true");
  direction(target.code);
  try {
    const response = await fetch("/api/v1/translate/stream", {
      method: "POST", signal: control.signal, headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ text, target_language: target.code, source_language: source.code || null }),
    });
    if (!response.ok) throw inPage(await read(response));
    await receive(response, text);
  } catch (error) {
    if (error.name !== "AbortError") show(error.message);
  } finally {
    if (running === control) {
      running = null;
      $("translation").setAttribute("aria-busy", "false");
    }
  }
}

// receive shows each sentence as it comes, with the white space that was before it, and at the end the whole.
async function receive(response, text) {
  const points = [...text];
  let name = "";
  let end = 0;
  for await (const line of lines(response)) {
    if (line.startsWith("event: ")) name = line.slice(7);
    if (!line.startsWith("data: ")) continue;
    const data = JSON.parse(line.slice(6));
    if (name === "segment") {
      $("translation").append(points.slice(end, data.start).join("").replace(/\S/gu, ""), data.translated_text);
      end = data.end;
    } else if (name === "done") {
      finish(data);
    } else if (name === "error") {
      throw inPage(data);
    }
  }
}

function finish(answer) {
  $("translation").textContent = answer.translated_text;
  $("copy").disabled = false;
  if (!answer.detected) return;
  const language = languages.find((l) => l.code === answer.detected.language);
  $("detected").textContent = "Detected: " + (language ? language.name : answer.detected.language) +
    " (" + Math.round(answer.detected.confidence * 100) + " %)";
  source.detected = answer.detected.language;
}

function swap() {
  const from = source.code || source.detected;
  if (!from || !languages.some((l) => l.code === from)) return show("Choose a source language to swap.");
  const text = $("translation").textContent;
  source.set(target.code);
  target.set(from);
  if (text) $("text").value = text;
  count();
  translate();
}

async function copy() {
  const text = $("translation").textContent;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const range = document.createRange();
    range.selectNodeContents($("translation"));
    getSelection().removeAllRanges();
    getSelection().addRange(range);
    document.execCommand("copy");
  }
  $("copy").textContent = "Copied";
  setTimeout(() => { $("copy").textContent = "Copy"; }, 1500);
}

// loaded waits until models serve, and says how far they are: before that nobody knows which languages there will be.
async function loaded() {
  for (;;) {
    const response = await fetch("/ready");
    if (response.ok) return show("");
    const { models = [] } = await response.json().catch(() => ({}));
    const progress = Math.max(0, ...models.map((m) => m.progress || 0));
    show("The models are loading" + (progress ? ": " + Math.round(progress * 100) + " %" : "") + " …");
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

async function begin() {
  await loaded();
  const [list, settings] = await Promise.all(
    ["/api/v1/languages?available=true", "/frontend/settings"].map(async (path) => read(await fetch(path))));
  limit = settings.charLimit;
  languages = Object.entries(list.languages).map(([code, l]) => ({
    code, name: l.name, native: l.native_name, script: l.script, tag: (l.iso_639_1 || l.iso_639_3) + "-" + l.script,
  })).sort((a, b) => a.name.localeCompare(b.name));
  // A link can carry a text, as /ui#source=eng_Latn&target=swh_Latn&text=Hello; what is after # stays in the browser.
  const link = new URLSearchParams(location.hash.slice(1));
  source.set(link.get("source") || remembered("source", "")) || source.set("");
  target.set(link.get("target") || remembered("target", "swh_Latn")) || target.set(languages[0].code);
  if (link.has("text")) $("text").value = link.get("text");
  count();
  translate();
}

let typing = 0;
$("text").addEventListener("input", () => {
  count();
  clearTimeout(typing);
  typing = setTimeout(translate, 700);
});
$("translate").addEventListener("click", translate);
$("swap").addEventListener("click", swap);
$("copy").addEventListener("click", copy);
$("clear").addEventListener("click", () => { $("text").value = ""; count(); translate(); $("text").focus(); });
document.addEventListener("choose", translate);
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); translate(); }
  if (event.altKey && event.key.toLowerCase() === "s") { event.preventDefault(); swap(); }
});
begin().catch((error) => show("The languages could not be loaded: " + error.message));
