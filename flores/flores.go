// Package flores is the table of the languages of FLORES-200 as NLLB-200 names
// them, with what finds a language by other names.
//
// The codes are the 202 of NLLB-200's tokenizer. They differ from FLORES-200's
// in two ways: Santali is sat_Beng here (sat_Olck there), and NLLB has no codes
// for romanized Arabic (arb_Latn) and for Minangkabau in Arabic script (min_Arab).
package flores

import (
	_ "embed"
	"sort"
	"strings"
	"sync"
)

// Language is a language in one script.
type Language struct {
	Code       string // FLORES-200 code, such as swh_Latn
	Name       string // in English
	NativeName string
	Region     string // Africa, Americas, Asia, Europe, Middle East or Oceania
	Script     string // ISO 15924, such as Latn
	ISO6391    string // two letters, or ""
	ISO6393    string // three letters
}

//go:embed languages.tsv
var tsv string

// table is the parsed list with its indices.
type table struct {
	all    []Language
	byCode map[string]int
	byName map[string]int // lower-case names, codes and aliases
}

var languages = sync.OnceValue(func() *table {
	t := &table{byCode: map[string]int{}, byName: map[string]int{}}
	for _, line := range strings.Split(strings.TrimSuffix(tsv, "\n"), "\n") {
		f := strings.Split(line, "\t")
		iso, script, _ := strings.Cut(f[0], "_")
		t.all = append(t.all, Language{Code: f[0], Name: f[1], NativeName: f[2], Region: f[3], Script: script, ISO6391: f[4], ISO6393: iso})
	}
	sort.Slice(t.all, func(i, j int) bool { return t.all[i].Code < t.all[j].Code })
	for i, l := range t.all {
		t.byCode[l.Code] = i
	}
	t.index()
	return t
})

// All returns all languages, sorted by code.
func All() []Language { return append([]Language(nil), languages().all...) }

// Lookup returns the language of a FLORES code.
func Lookup(code string) (Language, bool) {
	t := languages()
	i, ok := t.byCode[code]
	if !ok {
		return Language{}, false
	}
	return t.all[i], true
}

func where(keep func(Language) bool) []Language {
	var found []Language
	for _, l := range languages().all {
		if keep(l) {
			found = append(found, l)
		}
	}
	return found
}

// Region returns the languages of a region, whose case does not matter.
func Region(name string) []Language {
	name = strings.NewReplacer("-", " ", "_", " ").Replace(name)
	return where(func(l Language) bool { return strings.EqualFold(l.Region, name) })
}

// Regions returns the names of the regions.
func Regions() []string {
	return []string{"Africa", "Americas", "Asia", "Europe", "Middle East", "Oceania"}
}

// African returns the languages of Africa.
func African() []Language { return Region("Africa") }

// popular are the languages that people ask for most.
var popular = []string{"eng_Latn", "swh_Latn", "fra_Latn", "arb_Arab", "spa_Latn", "por_Latn", "amh_Ethi", "hau_Latn", "yor_Latn", "ibo_Latn", "zul_Latn", "xho_Latn",
	"som_Latn", "kin_Latn", "lug_Latn", "deu_Latn", "ita_Latn", "rus_Cyrl", "zho_Hans", "jpn_Jpan", "kor_Hang", "hin_Deva", "ben_Beng", "tur_Latn", "vie_Latn", "ind_Latn"}

// Popular returns the languages that people ask for most, most asked for first.
func Popular() []Language {
	var found []Language
	for _, code := range popular {
		l, _ := Lookup(code)
		found = append(found, l)
	}
	return found
}

// Search returns the languages one of whose names or codes contains query,
// whose case does not matter.
func Search(query string) []Language {
	query = strings.ToLower(strings.TrimSpace(query))
	if query == "" {
		return nil
	}
	return where(func(l Language) bool {
		return strings.EqualFold(l.ISO6391, query) || strings.Contains(strings.ToLower(l.Code+"\n"+l.Name+"\n"+l.NativeName), query)
	})
}

// Statistics counts the table.
type Statistics struct {
	Languages int
	ByRegion  map[string]int
	ByScript  map[string]int
}

// Stats counts the languages by region and by script.
func Stats() Statistics {
	s := Statistics{ByRegion: map[string]int{}, ByScript: map[string]int{}}
	for _, l := range languages().all {
		s.Languages++
		s.ByRegion[l.Region]++
		s.ByScript[l.Script]++
	}
	return s
}
