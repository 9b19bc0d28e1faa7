package flores

import (
	"strings"
	"unicode"
)

// scripts are the scripts of the table's languages, by their Unicode ranges.
var scripts = []struct {
	name  string
	table *unicode.RangeTable
}{
	{"Latn", unicode.Latin}, {"Arab", unicode.Arabic}, {"Cyrl", unicode.Cyrillic}, {"Hani", unicode.Han}, {"Deva", unicode.Devanagari}, {"Hira", unicode.Hiragana},
	{"Kana", unicode.Katakana}, {"Hang", unicode.Hangul}, {"Beng", unicode.Bengali}, {"Ethi", unicode.Ethiopic}, {"Grek", unicode.Greek}, {"Hebr", unicode.Hebrew},
	{"Thai", unicode.Thai}, {"Taml", unicode.Tamil}, {"Telu", unicode.Telugu}, {"Knda", unicode.Kannada}, {"Mlym", unicode.Malayalam}, {"Gujr", unicode.Gujarati},
	{"Guru", unicode.Gurmukhi}, {"Orya", unicode.Oriya}, {"Sinh", unicode.Sinhala}, {"Mymr", unicode.Myanmar}, {"Khmr", unicode.Khmer}, {"Laoo", unicode.Lao},
	{"Tibt", unicode.Tibetan}, {"Geor", unicode.Georgian}, {"Armn", unicode.Armenian}, {"Tfng", unicode.Tifinagh}, {"Olck", unicode.Ol_Chiki}, {"Nkoo", unicode.Nko},
	{"Mtei", unicode.Meetei_Mayek},
}

// count returns how many letters of each script text has, by index in scripts,
// and of others.
func count(text string) (counts [32]int, other int) {
	for _, r := range text {
		if r < 0x80 {
			if r|0x20 >= 'a' && r|0x20 <= 'z' {
				counts[0]++
			}
			continue
		}
		if !unicode.IsLetter(r) {
			continue
		}
		if i := scriptOf(r); i >= 0 {
			counts[i]++
		} else {
			other++
		}
	}
	return counts, other
}

func scriptOf(r rune) int {
	for i := range scripts {
		if unicode.Is(scripts[i].table, r) {
			return i
		}
	}
	return -1
}

// Script returns the ISO 15924 code of the script that most letters of text are
// in: Jpan for Han mixed with kana, Hani for Han alone, Zzzz for one that no
// language here uses, "" for a text without letters.
func Script(text string) string {
	counts, other := count(text)
	best, kana := 0, 0
	for i := range scripts {
		if counts[i] > counts[best] {
			best = i
		}
		if n := scripts[i].name; n == "Hira" || n == "Kana" {
			kana += counts[i]
		}
	}
	name := scripts[best].name
	switch {
	case other > counts[best]:
		return "Zzzz"
	case counts[best] == 0:
		return ""
	case name == "Hira" || name == "Kana" || name == "Hani" && kana > 0:
		return "Jpan"
	}
	return name
}

// written lists, for scripts of codes that are not one Unicode script, the
// scripts that they are written with.
var written = map[string][]string{"Jpan": {"Hira", "Kana", "Hani"}, "Hans": {"Hani"}, "Hant": {"Hani"}, "Hang": {"Hang", "Hani"}}

// alsoWritten lists languages that are written in more scripts than their code says.
var alsoWritten = map[string][]string{"sat_Beng": {"Olck"}, "mni_Beng": {"Mtei"}}

// ScriptMatches reports whether a text may be in the language of code, judged
// by its script: at least a quarter of its letters are of one that the language
// is written in. A text without letters matches all.
func ScriptMatches(code, text string) bool {
	l, ok := Lookup(code)
	if !ok {
		return false
	}
	names := append([]string{l.Script}, written[l.Script]...)
	names = append(names, alsoWritten[code]...)
	counts, total := count(text)
	match := 0
	for i := range scripts {
		total += counts[i]
		for _, name := range names {
			if scripts[i].name == name {
				match += counts[i]
			}
		}
	}
	return total == 0 || 4*match >= total
}

// traditional are common characters that only traditional Chinese has, and
// simplified those that only simplified Chinese has.
const (
	traditional = "們這來時個說為學國會對後發問經過還見樣開關動點當間頭從現長東車門書話麼話買賣愛請謝電員語氣電體萬與業樂讓認識讀寫聽錢難歲"
	simplified  = "们这来时个说为学国会对后发问经过还见样开关动点当间头从现长东车门书话么话买卖爱请谢电员语气电体万与业乐让认识读写听钱难岁"
)

// chinese returns the code of a Chinese text by the characters that it uses.
func chinese(text string) string {
	t, s := 0, 0
	for _, r := range text {
		inT, inS := strings.ContainsRune(traditional, r), strings.ContainsRune(simplified, r)
		if inT && !inS {
			t++
		}
		if inS && !inT {
			s++
		}
	}
	if t > s {
		return "zho_Hant"
	}
	return "zho_Hans"
}

// detected maps labels of lid.176 whose language depends on the script, or that
// the table's names would get wrong.
var detected = map[string]map[string]string{
	"az":  {"Latn": "azj_Latn", "Arab": "azb_Arab"},
	"azb": {"Arab": "azb_Arab"},
	"ku":  {"Latn": "kmr_Latn", "Arab": "ckb_Arab"},
	"sr":  {"Cyrl": "srp_Cyrl", "Latn": "hrv_Latn"},
	"sh":  {"Latn": "hrv_Latn", "Cyrl": "srp_Cyrl"},
	"ks":  {"Arab": "kas_Arab", "Deva": "kas_Deva"},
	"uz":  {"Latn": "uzn_Latn"},
	"kk":  {"Cyrl": "kaz_Cyrl"},
	"ms":  {"Latn": "zsm_Latn"},
	"pa":  {"Guru": "pan_Guru"},
	"mn":  {"Cyrl": "khk_Cyrl"},
	"arz": {"Arab": "arz_Arab"},
	"als": {}, "nds": {}, "sco": {}, // "als": Alemannic there
	"simple": {"Latn": "eng_Latn"},
}

// FromDetector returns the language of a detector's label: a FLORES code, or an
// ISO code as lid.176 has them, the script decided from the text. It reports
// false for a language that is not in the table.
func FromDetector(label, text string) (Language, bool) {
	if l, ok := Lookup(label); ok {
		return l, true
	}
	switch label {
	case "zh", "zho", "zh_Hans", "cmn":
		return Lookup(chinese(text))
	}
	if byScript, ok := detected[label]; ok {
		return Lookup(byScript[Script(text)])
	}
	t := languages()
	if len(label) > 8 {
		return Language{}, false
	}
	i, ok := t.byName[key(label)]
	if !ok {
		return Language{}, false
	}
	return t.all[i], true
}
