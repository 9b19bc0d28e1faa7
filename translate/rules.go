package translate

import (
	"strings"
	"sync"
	"unicode/utf8"
)

// rules are what sentence splitting knows of one language.
type rules struct {
	abbreviations map[string]bool // lower-case, without the last full stop: never end a sentence
	beforeNumbers map[string]bool // likewise, don't end one before a digit: "No. 5"
	starters      map[string]bool // words that begin a sentence behind an acronym
	pronouns      map[string]bool // words of one letter that are no initials
	ordinals      bool            // "3." is "third"
}

// ordinal reports whether a number with a full stop behind it is an ordinal: in
// the languages that write ordinals so, unless it is a year or the like.
func (r *rules) ordinal(word string) bool {
	return r.ordinals && utf8.RuneCountInString(word) <= 2
}

func setOf(words string) map[string]bool {
	set := make(map[string]bool)
	for w := range strings.FieldsSeq(words) {
		set[w] = true
	}
	return set
}

// rulesOf returns the rules of a FLORES code: those of the language, or common
// ones.
func rulesOf(language string) *rules {
	code, _, _ := strings.Cut(language, "_")
	table := ruleTable()
	if r, ok := table[code]; ok {
		return r
	}
	return table[""]
}

var ruleTable = sync.OnceValue(func() map[string]*rules {
	table := map[string]*rules{}
	for code, words := range abbreviations {
		table[code] = &rules{
			abbreviations: setOf(words + " " + abbreviations[""]),
			beforeNumbers: setOf(beforeNumbers[code] + " " + beforeNumbers[""]),
			starters:      setOf(starters[code]),
			pronouns:      setOf(pronouns[code]),
		}
	}
	for code := range strings.FieldsSeq(ordinalLanguages) {
		r, ok := table[code]
		if !ok {
			common := *table[""]
			r = &common
			table[code] = r
		}
		r.ordinals = true
	}
	return table
})

// ordinalLanguages write ordinals as a number and a full stop.
const ordinalLanguages = "deu ltz nob nno dan fao isl fin est lvs ltg hun ces slk slv hrv bos srp pol szl tur azj epo eus"

// pronouns of one letter, which may end a sentence.
var pronouns = map[string]string{"eng": "I", "": "I"}

// starters are for the languages whose acronyms have full stops.
var starters = map[string]string{
	"":    "The He She It We They You In On At But And This That These There His Her If When",
	"eng": "The A An He She It We They You I In On At But And This That These Those There His Her Their Our My Its If When While After Before However What Why How Who",
	"fra": "Le La Les Un Une Des Il Elle Ils Elles Nous Vous On Je Tu Ce Cette Ces Mais Et Dans En Pour Sur Son Sa Ses Quand",
	"spa": "El La Los Las Un Una Él Ella Ellos Ellas Nosotros Yo Tú Usted Este Esta Esto Pero Y En Por Para Su Sus Cuando Se Es",
	"por": "O A Os As Um Uma Ele Ela Eles Elas Nós Eu Você Este Esta Isto Mas E Em No Na Por Para Seu Sua Quando Se",
	"ita": "Il Lo La I Gli Le Un Una Lui Lei Noi Voi Loro Io Questo Questa Ma E In Nel Per Il Suo Sua Quando Si È",
	"nld": "De Het Een Hij Zij Ze Wij We Ik Jij Dit Dat Deze Maar En In Op Voor Toen Er",
	"deu": "Der Die Das Ein Eine Er Sie Es Wir Ich Du Dies Diese Aber Und In Im Am Auf Für Als Wenn Man",
	"rus": "Он Она Они Мы Я Ты Вы Это Но И В На По Для Когда Если Его Её Там",
}

// abbreviations that are followed by more of the sentence, by language ("":
// every language). "etc." and its like are not here: a capital decides.
var abbreviations = map[string]string{
	"":    "dr prof mr mrs ms mlle mme st vs e.g i.e cf ph.d hon rev",
	"eng": "dr prof mr mrs ms mx st gen sen rep gov pres lt sgt capt col maj cmdr adm rev hon fr messrs mt ft vs viz e.g i.e cf ca approx dept univ no.s ave blvd rd esq jan feb mar apr jun jul aug sep sept oct nov dec",
	"fra": "m mm mme mmes mlle mlles me mgr dr pr prof st ste vs cf p.ex env éd av bd janv févr juil sept oct nov déc",
	"spa": "sr sra sres sras srta srtas d dª dña dr dra drs dras prof profa lic ing arq gral cnel cap tte excmo excma ilmo ilma fco ma sta sto p.ej vs cf ee aprox av avda ud uds vd vds mons hnos",
	"por": "sr sra srs sras srta dr dra drs dras prof profa profª eng arq gen cel cap sgt exmo exma ilmo av p.ex ex vs cf d dª aprox sto sta",
	"ita": "sig sigg sig.ra sig.na dott dott.ssa dr prof prof.ssa avv ing arch geom rag on sen gen col cap ten mons cav comm egr gent spett vs cf p.es es ca",
	"ron": "dl dna dra dr prof ing av gen col lt dvs str bd nr cf",
	"cat": "sr sra srs dr dra prof av pl ex p.ex cf sta st",
	"glg": "sr sra dr dra prof av p.ex cf sto sta",
	"deu": "hr fr frl dr prof dipl ing mag st str bzw ca d.h z.b u.a o.ä u.ä v.a z.t z.zt i.d.r d h z u o v s sog inkl exkl zzgl ggf evtl vgl bspw allg geb gest verh jr bd hrsg abs jan feb mär apr jun jul aug sep sept okt nov dez mio mrd tsd min max nr",
	"nld": "dhr mevr mw mej dr drs ir ing mr prof ds jhr st bijv d.w.z m.a.w o.a t.a.v i.p.v e.d ca nl vgl z.g jan feb mrt apr jun jul aug sept okt nov dec",
	"afr": "mnr mev mej dr prof ds adv st bv d.w.s m.a.w o.a ca",
	"dan": "hr fr frk dr prof f.eks bl.a d.v.s ca inkl ekskl m.fl pga jf jan feb mar apr jun jul aug sept okt nov dec kl nr",
	"nob": "hr fr frk dr prof f.eks bl.a dvs ca inkl ekskl jf pga jan feb mar apr jun jul aug sept okt nov des kl nr",
	"nno": "hr fr frk dr prof t.d f.eks bl.a dvs ca inkl ekskl jf kl nr",
	"swe": "hr fr frk dr prof t.ex bl.a d.v.s dvs ca inkl exkl jfr s.k pga jan feb mar apr jun jul aug sept okt nov dec kl nr",
	"isl": "hr fr dr próf t.d m.a þ.e o.fl u.þ.b sbr nr",
	"fin": "hra rva nti tri dr prof esim ts mm ns n nk ks vrt klo puh",
	"est": "hr pr prl dr prof nt s.t st lk nn ca vrd u",
	"lit": "p dr prof doc pvz t.y t.t vad gen plk kun šv g al pr r",
	"lvs": "dr prof piem t.i u.c šk g k c plkv",
	"pol": "p dr hab prof mgr inż lek gen płk mjr kpt por ks św np tzn tzw m.in ok ul al pl im wg zob por nr godz",
	"ces": "p pí sl dr prof doc ing mgr bc mudr judr rndr phdr paeddr gen plk kpt npor sv např tj tzv tzn mj ul nám tř č čp str srov vč",
	"slk": "p dr prof doc ing mgr bc mudr judr gen plk kpt sv napr t.j tzv resp ul nám č str porov",
	"slv": "g ga gdč dr prof doc mag ing inž sv npr t.i tj oz ul št str prim",
	"hrv": "g gđa gđica dr prof doc mr mag ing sv npr tj tzv odn ul br str usp",
	"bos": "g gđa dr prof doc mr ing sv npr tj tzv odn ul br str",
	"srp": "г гђа др проф доц мр инж св нпр тј тзв одн ул бр стр g dr prof npr tj tzv",
	"mkd": "г д-р проф доц инж св пр т.е т.н ул бр стр",
	"bul": "г г-н г-жа г-ца д-р проф доц инж св ул бул бр стр напр т.е т.нар акад ген полк",
	"rus": "г гр г-н г-жа д-р проф доц акад им ул пл пр просп пер бул стр рис табл напр т.е т.н т.к св о ген полк подп кап лейт инж тов см ср обл р-н",
	"ukr": "г гр п д-р проф доц акад ім вул пл просп пров бул стор рис табл напр т.зв ген полк св о див пор м с обл р-н",
	"bel": "г гр сп д-р праф дац акад ім вул пл пр мал табл напр г.зн т.зв св",
	"ell": "κ κα κος δρ καθ π.χ δηλ βλ λ.χ αρ σελ οδ λεωφ αγ στρ",
	"hun": "dr prof id ifj özv pl ún ill kb vö ld szt u sz ún",
	"tur": "dr prof doç yrd av sn bay bn müh mim org gen alb yb bnb yzb tğm hz st örn bkz cad sok mah apt no yy",
	"azj": "dr prof dos cən məs bax və.s küç pr akad",
	"hye": "դր պրոֆ տ օր փ պրն տկն",
	"heb": "ד״ר פרופ גב מר עו״ד",
	"arb": "د أ م ص ق ب",
	"pes": "د آ دکتر",
	"hin": "डॉ डा प्रो श्री सुश्री कु पं स्व रु उदा",
	"mar": "डॉ प्रा श्री कु सौ पं रु उदा",
	"npi": "डा प्रा श्री पं रु",
	"ben": "ডা ড ডঃ প্রো মো মোঃ মি শ্রী",
	"guj": "ડૉ ડો પ્રો શ્રી કુ રૂ",
	"pan": "ਡਾ ਪ੍ਰੋ ਸ੍ਰੀ ਸ ਰੁ",
	"tam": "திரு திருமதி டாக்டர் பேரா செல்வி ரூ எ.கா",
	"tel": "డా ప్రొ శ్రీ శ్రీమతి రూ",
	"kan": "ಡಾ ಪ್ರೊ ಶ್ರೀ ಶ್ರೀಮತಿ ರೂ",
	"mal": "ഡോ പ്രൊ ശ്രീ ശ്രീമതി രൂ",
	"sin": "ආචාර්ය මහා පූ රු",
	"vie": "ts ths pgs gs bs ks ô b tp q p đ v.d vd",
	"ind": "dr prof drs ir h hj sdr tn ny nn bpk jl tgl a.n d.a u.p no",
	"zsm": "dr prof en pn cik tn hj hjh jln no",
	"tgl": "g gng bb dr dra prof sta sto kgg",
	"swh": "bw bi bb dk prof mh mhe k.m n.k uk",
	"hau": "mal dr prof alh",
	"yor": "dr prof ogb",
	"som": "dr prof mud tus",
	"epo": "s-ro s-ino d-ro prof ekz t.e k.a ktp",
	"eus": "jn and dr irak adib or zk",
	"cym": "mr mrs dr yr athro h.y",
	"gle": "an tuas dr oll uas m.sh i.e",
	"sqi": "z znj dr prof p.sh rr nr",
	"als": "z znj dr prof p.sh rr nr",
	"ltz": "här madame dr prof z.b d.h bzw ca",
	"mlt": "sur sra dr prof eż p.eż",
}

// beforeNumbers are abbreviations that end no sentence before a digit.
var beforeNumbers = map[string]string{
	"":    "no nr n nos art fig p pp vol ch sec § tel ext cap",
	"eng": "no nos art fig figs eq ch chap sec p pp vol vols ed tel ext ca approx pt para",
	"fra": "n no nos art fig chap p pp vol t tél éq al ann",
	"spa": "n núm nº art arts fig cap p pp pág págs vol t tel ec",
	"por": "n núm nº art arts fig cap p pp pág págs vol tel",
	"ita": "n art artt fig cap p pp pag pagg vol tel",
	"deu": "nr abb art abs bd kap s tab tel vol § ziff",
	"nld": "nr art afb blz p hfst tel",
	"rus": "с стр рис табл гл ст п пп т тел № ч кн изд",
	"ukr": "с стор рис табл гл ст п т тел ч",
	"pol": "nr s str rys tab art ust pkt t tel rozdz",
	"ces": "č s str obr tab čl odst tel",
	"swe": "nr s fig kap tel art kl",
	"dan": "nr s fig kap tlf art kl",
	"nob": "nr s fig kap tlf art kl",
	"hun": "sz o old tel",
	"tur": "no s sf tel",
	"ron": "nr art fig p pag vol tel cap",
	"ell": "αρ σελ τηλ εικ άρθρ",
	"swh": "na uk sura mst",
	"ind": "no hlm hal bab gbr ps tel",
}
