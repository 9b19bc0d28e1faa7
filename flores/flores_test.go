package flores

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTable(t *testing.T) {
	all := All()
	if len(all) != 202 {
		t.Errorf("%d languages, NLLB-200 has 202", len(all))
	}
	code := regexp.MustCompile(`^[a-z]{3}_[A-Z][a-z]{3}$`)
	seen, iso1 := map[string]bool{}, map[string]string{}
	for i, l := range all {
		if !code.MatchString(l.Code) || l.Code != l.ISO6393+"_"+l.Script {
			t.Errorf("%+v: code, ISO 639-3 and script do not fit", l)
		}
		if seen[l.Code] || i > 0 && all[i-1].Code >= l.Code {
			t.Errorf("%s: twice or out of order", l.Code)
		}
		seen[l.Code] = true
		if l.Name == "" || l.NativeName == "" || !slices.Contains(Regions(), l.Region) {
			t.Errorf("%+v: incomplete", l)
		}
		if len(l.ISO6391) != 0 && len(l.ISO6391) != 2 {
			t.Errorf("%s: ISO 639-1 %q", l.Code, l.ISO6391)
		}
		if other := iso1[l.ISO6391]; l.ISO6391 != "" && other != "" {
			t.Errorf("%s and %s share %s", l.Code, other, l.ISO6391)
		}
		iso1[l.ISO6391] = l.Code
		if l.Script != "Latn" && !ScriptMatches(l.Code, l.NativeName) && l.Code != "sat_Beng" {
			t.Errorf("%s: its native name is not in its script", l.Code)
		}
	}
	for name, code := range aliases {
		if _, ok := Lookup(code); !ok {
			t.Errorf("alias %q names %q, which is not in the table", name, code)
		}
	}
	if n := len(African()); n < 50 || n > 60 {
		t.Errorf("%d African languages", n)
	}
}

func TestResolve(t *testing.T) {
	for name, want := range map[string]string{
		"swh_Latn": "swh_Latn", "SWH-latn": "swh_Latn", "sw": "swh_Latn", "swa": "swh_Latn", "swh": "swh_Latn", "Swahili": "swh_Latn", "kiswahili": "swh_Latn", "en": "eng_Latn",
		"eng": "eng_Latn", "en-US": "eng_Latn", "en_GB": "eng_Latn", "zh": "zho_Hans", "zh-TW": "zho_Hant", "zh-Hant": "zho_Hant", "zh-Hant-HK": "zho_Hant", "zh_CN": "zho_Hans",
		"pt-BR": "por_Latn", "français": "fra_Latn", "日本語": "jpn_Jpan", " amharic ": "amh_Ethi", "ar": "arb_Arab", "fa": "pes_Arab", "no": "nob_Latn", "ace": "ace_Latn",
		"ace-Arab": "ace_Arab", "sr-Cyrl": "srp_Cyrl", "yo": "yor_Latn", "zu": "zul_Latn", "knc": "knc_Latn", "sat_Olck": "sat_Beng", "fil": "tgl_Latn", "iw": "heb_Hebr", "ns": "nso_Latn",
	} {
		if l, err := Resolve(name); err != nil || l.Code != want {
			t.Errorf("Resolve(%q) = %q, %v; want %s", name, l.Code, err, want)
		}
	}
	for name, want := range map[string]string{"swahilli": "swh_Latn", "englsh": "eng_Latn", "yoruba language": "", "xx": "", "": "", "fra_Arab": "", "swh_Latm": "swh_Latn"} {
		_, err := Resolve(name)
		var unknown *UnknownLanguageError
		if !errors.As(err, &unknown) || unknown.Input != name {
			t.Errorf("Resolve(%q): %v", name, err)
			continue
		}
		if want != "" && !slices.Contains(unknown.Suggestions, want) {
			t.Errorf("Resolve(%q) suggests %v, not %s", name, unknown.Suggestions, want)
		}
	}
}

func TestScript(t *testing.T) {
	for text, want := range map[string]string{
		"Hello": "Latn", "123 🎉": "", "Привет": "Cyrl", "مرحبا": "Arab", "ሰላም": "Ethi", "こんにちは世界": "Jpan", "你好": "Hani", "안녕": "Hang", "नमस्ते": "Deva", "ⵜⴰⵎⴰⵣⵉⵖⵜ": "Tfng", "𓀀": "Zzzz",
		"a Привет": "Cyrl", "": "",
	} {
		if got := Script(text); got != want {
			t.Errorf("Script(%q) = %q, want %q", text, got, want)
		}
	}
	for _, c := range []struct {
		code, text string
		want       bool
	}{
		{"ben_Beng", "hello handsome", false}, {"eng_Latn", "hello handsome", true}, {"jpn_Jpan", "東京", true}, {"zho_Hans", "東京", true}, {"kor_Hang", "안녕", true},
		{"arb_Arab", "123", true}, {"xyz_Latn", "hello", false}, {"rus_Cyrl", "Привет OK", true}, {"sat_Beng", "ᱥᱟᱱᱛᱟᱲᱤ", true},
	} {
		if got := ScriptMatches(c.code, c.text); got != c.want {
			t.Errorf("ScriptMatches(%s, %q) = %v", c.code, c.text, got)
		}
	}
}

func TestFromDetector(t *testing.T) {
	for _, c := range []struct{ label, text, want string }{
		{"en", "Hello", "eng_Latn"}, {"sw", "Habari", "swh_Latn"}, {"zh", "我們這樣說", "zho_Hant"}, {"zh", "我们这样说", "zho_Hans"}, {"eng_Latn", "Hello", "eng_Latn"},
		{"sr", "Добар дан", "srp_Cyrl"}, {"sr", "Dobar dan", "hrv_Latn"}, {"ku", "سڵاو", "ckb_Arab"}, {"ku", "Silav", "kmr_Latn"}, {"nds", "Moin", ""}, {"als", "Grüezi", ""}, {"sq", "Mirë", "als_Latn"}, {"als_Latn", "Mirë", "als_Latn"}, {"la", "salve", ""},
		{"arz", "ازيك", "arz_Arab"}, {"", "x", ""}, {"no", "Hei", "nob_Latn"},
	} {
		l, ok := FromDetector(c.label, c.text)
		if l.Code != c.want || ok != (c.want != "") {
			t.Errorf("FromDetector(%q, %q) = %q, %v; want %q", c.label, c.text, l.Code, ok, c.want)
		}
	}
}

func TestLists(t *testing.T) {
	for _, l := range Popular() {
		if l.Code == "" {
			t.Error("a popular language is not in the table")
		}
	}
	sum := 0
	for _, r := range Regions() {
		sum += len(Region(strings.ToLower(r)))
	}
	stats := Stats()
	if sum != stats.Languages || stats.ByRegion["Africa"] != len(African()) || stats.ByScript["Latn"] == 0 {
		t.Errorf("regions do not add up: %d of %+v", sum, stats)
	}
	if len(Region("middle-east")) == 0 || len(Region("Mars")) != 0 {
		t.Error("Region")
	}
	if found := Search("swahili"); len(found) != 1 || found[0].Code != "swh_Latn" {
		t.Errorf("Search: %v", found)
	}
	if Search("") != nil {
		t.Error("an empty search finds something")
	}
	all := All()
	all[0].Code = "changed"
	if All()[0].Code == "changed" {
		t.Error("All gives the table itself away")
	}
}

func FuzzResolve(f *testing.F) {
	for _, seed := range []string{"en", "zh-TW", "swahilli", "\xff\xfe", strings.Repeat("é", 100), "---", "a-b-c-d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		l, err := Resolve(name)
		if (err == nil) != (l.Code != "") {
			t.Fatalf("Resolve(%q) = %+v, %v", name, l, err)
		}
		if err != nil && utf8.ValidString(name) && !utf8.ValidString(err.Error()) {
			t.Fatalf("error of %q is no text", name)
		}
		Script(name)
		FromDetector(name, name)
		for _, code := range []string{"eng_Latn", "jpn_Jpan", name} {
			ScriptMatches(code, name)
		}
	})
}

func ExampleResolve() {
	l, _ := Resolve("sw")
	fmt.Println(l.Code, l.Name, l.NativeName, l.Region)
	_, err := Resolve("swahilli")
	fmt.Println(err)
	// Output:
	// swh_Latn Swahili Kiswahili Africa
	// flores: unknown language "swahilli": did you mean swh_Latn?
}
