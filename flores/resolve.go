package flores

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// UnknownLanguageError says that a name is no language of the table.
type UnknownLanguageError struct {
	Input       string
	Suggestions []string // codes of the languages with the nearest names, nearest first
}

func (e *UnknownLanguageError) Error() string {
	text := fmt.Sprintf("flores: unknown language %q", e.Input)
	if len(e.Suggestions) > 0 {
		text += ": did you mean " + strings.Join(e.Suggestions, ", ") + "?"
	}
	return text
}

// aliases are names by which people and other systems call languages that the
// table calls otherwise: older and broader codes, BCP 47 tags, common names.
var aliases = map[string]string{
	"zh-cn": "zho_Hans", "zh-sg": "zho_Hans", "zh-hans": "zho_Hans", "zh-tw": "zho_Hant", "zh-hk": "zho_Hant", "zh-mo": "zho_Hant", "zh-hant": "zho_Hant", "zt": "zho_Hant",
	"cmn": "zho_Hans", "zho": "zho_Hans", "chi": "zho_Hans", "chinese": "zho_Hans", "mandarin": "zho_Hans", "cantonese": "yue_Hant", "zh-yue": "yue_Hant",
	"ara": "arb_Arab", "arabic": "arb_Arab", "ar-eg": "arz_Arab", "ar-ma": "ary_Arab", "ar-tn": "aeb_Arab", "ar-iq": "acm_Arab", "ar-lb": "apc_Arab", "ar-sy": "apc_Arab", "arb": "arb_Arab",
	"swa": "swh_Latn", "ns": "nso_Latn", "fas": "pes_Arab", "per": "pes_Arab", "persian": "pes_Arab", "farsi": "pes_Arab", "fa-af": "prs_Arab",
	"nor": "nob_Latn", "no": "nob_Latn", "norwegian": "nob_Latn", "msa": "zsm_Latn", "may": "zsm_Latn", "malay": "zsm_Latn", "mlg": "plt_Latn", "malagasy": "plt_Latn",
	"mon": "khk_Cyrl", "mongolian": "khk_Cyrl", "nep": "npi_Deva", "ori": "ory_Orya", "orm": "gaz_Latn", "oromo": "gaz_Latn", "pus": "pbt_Arab", "pashto": "pbt_Arab",
	"que": "quy_Latn", "quechua": "quy_Latn", "aym": "ayr_Latn", "aymara": "ayr_Latn", "sqi": "als_Latn", "alb": "als_Latn", "albanian": "als_Latn", "uzb": "uzn_Latn", "uzbek": "uzn_Latn",
	"yid": "ydd_Hebr", "yiddish": "ydd_Hebr", "ji": "ydd_Hebr", "aze": "azj_Latn", "azerbaijani": "azj_Latn", "kur": "kmr_Latn", "kurdish": "kmr_Latn", "lav": "lvs_Latn", "latvian": "lvs_Latn",
	"ful": "fuv_Latn", "fulah": "fuv_Latn", "fula": "fuv_Latn", "din": "dik_Latn", "dinka": "dik_Latn", "kau": "knc_Latn", "kanuri": "knc_Latn", "est": "est_Latn",
	"iw": "heb_Hebr", "in": "ind_Latn", "jw": "jav_Latn", "fil": "tgl_Latn", "filipino": "tgl_Latn", "ger": "deu_Latn", "fre": "fra_Latn", "dut": "nld_Latn", "gre": "ell_Grek",
	"cze": "ces_Latn", "rum": "ron_Latn", "mo": "ron_Latn", "slo": "slk_Latn", "baq": "eus_Latn", "arm": "hye_Armn", "geo": "kat_Geor", "ice": "isl_Latn", "mac": "mkd_Cyrl",
	"bur": "mya_Mymr", "tib": "bod_Tibt", "wel": "cym_Latn", "mao": "mri_Latn", "sh": "hrv_Latn", "hbs": "hrv_Latn", "sr-latn": "hrv_Latn", "mni": "mni_Beng", "sat": "sat_Beng", "sat_olck": "sat_Beng",
	"mni_mtei": "mni_Beng", "punjabi": "pan_Guru", "chichewa": "nya_Latn", "luganda": "lug_Latn", "kirundi": "run_Latn", "setswana": "tsn_Latn", "sesotho": "sot_Latn", "sepedi": "nso_Latn",
	"burmese": "mya_Mymr", "tibetan": "bod_Tibt", "odia": "ory_Orya", "oriya": "ory_Orya", "kiswahili": "swh_Latn", "kikuyu": "kik_Latn", "gikuyu": "kik_Latn", "creole": "hat_Latn",
	"kashmiri": "kas_Arab", "kas": "kas_Arab", "acehnese": "ace_Latn", "ace": "ace_Latn", "banjar": "bjn_Latn", "bjn": "bjn_Latn", "tamasheq": "taq_Latn", "taq": "taq_Latn", "knc": "knc_Latn",
	"tgl": "tgl_Latn", "zh": "zho_Hans", "ks-deva": "kas_Deva", "minangkabau": "min_Latn", "santali": "sat_Beng", "meitei": "mni_Beng", "manipuri": "mni_Beng",
}

// index fills byName. Earlier entries win, so that a name of one language is
// not taken by an alias.
func (t *table) index() {
	put := func(name string, i int) {
		if name = key(name); name != "" {
			if _, taken := t.byName[name]; !taken {
				t.byName[name] = i
			}
		}
	}
	for i, l := range t.all {
		put(l.Code, i)
	}
	for name, code := range aliases {
		put(name, t.byCode[code])
	}
	for i, l := range t.all {
		put(l.ISO6391, i)
		put(l.ISO6393+"-"+l.Script, i)
		if l.ISO6391 != "" {
			put(l.ISO6391+"-"+l.Script, i)
		}
		put(l.Name, i)
		put(l.NativeName, i)
	}
	for i, l := range t.all {
		put(l.ISO6393, i)
	}
}

// key is the form in which names are compared.
func key(name string) string {
	return strings.ReplaceAll(strings.ToLower(strings.TrimSpace(name)), "_", "-")
}

// maxName bounds the names that are looked at.
const maxName = 64

// Resolve returns the language that name means: a FLORES code in any case and
// with - or _, an ISO 639-1 or 639-3 code, a BCP 47 tag such as zh-TW or pt-BR,
// or an English or native name. Otherwise the error is an *UnknownLanguageError.
func Resolve(name string) (Language, error) {
	t := languages()
	if len(name) > maxName {
		return Language{}, &UnknownLanguageError{Input: truncate(name, maxName)}
	}
	k := key(name)
	for k != "" {
		if i, ok := t.byName[k]; ok {
			return t.all[i], nil
		}
		cut := strings.LastIndexByte(k, '-') // en-US: try en
		if cut < 0 || cut > 8 {
			break
		}
		if len(k)-cut == 5 { // a script that the language is not written in here
			break
		}
		k = k[:cut]
	}
	return Language{}, &UnknownLanguageError{Input: name, Suggestions: t.suggest(key(name))}
}

func truncate(s string, n int) string {
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + "…"
}

// maxSuggestions is how many languages an error names.
const maxSuggestions = 3

// suggest returns the codes of the languages whose names are nearest to name.
func (t *table) suggest(name string) []string {
	if name == "" {
		return nil
	}
	type near struct {
		code     string
		distance int
	}
	least := map[string]int{}
	for k, i := range t.byName {
		d := distance(name, k)
		if strings.HasPrefix(k, name) && len(name) >= 2 {
			d = min(d, 1)
		}
		code := t.all[i].Code
		if old, ok := least[code]; !ok || d < old {
			least[code] = d
		}
	}
	limit := max(1, utf8.RuneCountInString(name)/3)
	var all []near
	for code, d := range least {
		if d <= limit {
			all = append(all, near{code, d})
		}
	}
	slices.SortFunc(all, func(a, b near) int {
		return cmp.Or(cmp.Compare(a.distance, b.distance), cmp.Compare(a.code, b.code))
	})
	var codes []string
	for _, n := range all[:min(len(all), maxSuggestions)] {
		codes = append(codes, n.code)
	}
	return codes
}

// distance is Levenshtein's, in runes.
func distance(a, b string) int {
	x, y := []rune(a), []rune(b)
	row := make([]int, len(y)+1)
	for j := range row {
		row[j] = j
	}
	for i, r := range x {
		diagonal := row[0]
		row[0] = i + 1
		for j, s := range y {
			cost := diagonal
			if r != s {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(y)]
}
