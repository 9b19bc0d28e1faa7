package translate_test

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/sematech/sema/translate"
)

// sentencesOf returns the sentences of text, and all spans joined by "|".
func sentencesOf(text, language string) (sentences []string, all string) {
	var parts []string
	for _, s := range translate.Split(text, language) {
		parts = append(parts, text[s.Start:s.End])
		if s.Kind == translate.Sentence {
			sentences = append(sentences, text[s.Start:s.End])
		}
	}
	return sentences, strings.Join(parts, "|")
}

// TestSplitHardSentences has one text a line; "|" stands where it is split.
func TestSplitHardSentences(t *testing.T) {
	for _, test := range []struct{ language, want string }{
		{"eng_Latn", "Dr. Smith met Mr. J. K. Jones at 5 p.m. |He left."},
		{"eng_Latn", "The U.S. President spoke. |She lives in the U.S. |They agreed."},
		{"eng_Latn", "It costs $3.50 in No. 5 St. James St. e.g. on Sundays."},
		{"eng_Latn", "\"Stop!\" he said. |\"Why?\" |She ran."},
		{"eng_Latn", "Wait... what? |Well... |Then we go."},
		{"eng_Latn", "hello. |how are you. |i am fine"},
		{"eng_Latn", "Hello! |how are you?"},
		{"eng_Latn", "It ended.|Then we left."},
		{"eng_Latn", "See https://example.com/?A=B&c=D.E for more. |Write to Jo.Do@example.com today."},
		{"eng_Latn", "I use Node.js and example.Com daily."},
		{"eng_Latn", "It was found in 2020. |Then it was lost.[1] |Nobody cared."},
		{"eng_Latn", "It was I. |She knew. |Elizabeth I. of England reigned."},
		{"eng_Latn", "He is 5. |She is 6."},
		{"eng_Latn", "Apples, etc. |Bananas (fresh ones.) |And more."},
		{"fra_Latn", "M. Dupont est là. |« Viens ! » dit-il. |Il est 10 h."},
		{"fra_Latn", "« Viens ! » |Il part. |Où vas-tu ? |J'habite av. Foch, p.ex. à Paris."},
		{"fra_Latn", "Il y a des villes, p.ex. Paris. |Et Lyon, c.-à-d. Ici."},
		{"spa_Latn", "¿Qué tal? |¡Hola!|¿Cómo está Ud. hoy? |El Sr. Pérez no vino."},
		{"por_Latn", "O Dr. Silva chegou. |Ele mora na Av. Paulista."},
		{"ita_Latn", "Il sig. Rossi è qui. |Ha 30 anni."},
		{"deu_Latn", "Am 3. Oktober 1990 war es, z. B. in Berlin, soweit. |Ludwig XIV. war König."},
		{"deu_Latn", "„Komm!“ sagte er. |Es war 1990. |Dann kam der 2. Mai."},
		{"nld_Latn", "Dhr. Jansen woont o.a. in Utrecht. |Zij niet."},
		{"swe_Latn", "Det är t.ex. Anna. |Hon kom kl. 5."},
		{"dan_Latn", "Den 3. Juli kom hr. Jensen. |Han gik."},
		{"fin_Latn", "Esim. Helsingissä on 5. Kerros. |Se on siellä."},
		{"pol_Latn", "Mieszka przy ul. Długiej. |Prof. Nowak, tzw. Mistrz, śpi."},
		{"pol_Latn", "To jest moja pani. |Ona jest miła. |To jest pan. |On śpi."},
		{"ces_Latn", "Např. Praha má 3. Ročník. |To je vše."},
		{"hun_Latn", "Dr. Kovács pl. Budapesten él. |Jó napot!"},
		{"tur_Latn", "Prof. Dr. Ahmet Bey geldi. |Sonra gitti."},
		{"rus_Cyrl", "А. С. Пушкин жил на ул. Мойка. |«Идём!» — сказал он. |Это т.е. Всё."},
		{"ukr_Cyrl", "Він живе на вул. Хрещатик. |Добре!"},
		{"ell_Grek", "Τι κάνεις; |Είμαι καλά, π.χ. Σήμερα. |Ναι."},
		{"hye_Armn", "Բարեւ։ |Ինչպես եք: |Լավ եմ։"},
		{"kat_Geor", "გამარჯობა. |როგორ ხარ? |კარგად."},
		{"heb_Hebr", "שלום. |מה שלומך? |פרופ. כהן כאן."},
		{"arb_Arab", "مرحبا. |كيف حالك؟ |د. أحمد هنا."},
		{"pes_Arab", "سلام. |حال شما چطور است؟ |خوبم."},
		{"urd_Arab", "میں ٹھیک ہوں۔ |آپ کیسے ہیں؟"},
		{"hin_Deva", "डॉ. शर्मा आए। |वे गए। |क्या हुआ?"},
		{"hin_Deva", "वे आए। |वे गए॥ |ठीक है।"},
		{"ben_Beng", "ডা. রহমান এলেন। |তিনি গেলেন।"},
		{"tam_Taml", "திரு. குமார் வந்தார். |அவர் போனார்."},
		{"sin_Sinh", "ඔහු ආවා. |ඇය ගියා."},
		{"mya_Mymr", "ဒါက၊ ကောင်းတယ်။ |သူသွားပြီ။"},
		{"khm_Khmr", "ខ្ញុំទៅផ្សារ។ |គាត់ទិញត្រី ។ល។ |គាត់ទៅ។"},
		{"bod_Tibt", "བཀྲ་ཤིས་བདེ་ལེགས། |ཁྱེད་རང་སྐུ་གཟུགས་བདེ་པོ་ཡིན་པས། །|ང་བདེ་པོ་ཡིན།"},
		{"amh_Ethi", "ሰላም ነው። |ደህና ነህ፧ |አዎ፣ ደህና።"},
		{"zho_Hans", "你好。|我很好！|“你呢？”|他问。|价格是3.5元。"},
		{"zho_Hant", "她說：「好。」|我走了。"},
		{"jpn_Jpan", "「はい。」と言った。|彼は行った。|本当！？"},
		{"kor_Hang", "안녕하세요. |저는 3.5점을 받았습니다. |네!"},
		{"nqo_Nkoo", "ߌ ߣߌ ߗߋ߹ |ߒ ߕߐ߮."},
		{"sat_Olck", "ᱡᱚᱦᱟᱨ᱾ |ᱪᱮᱫ ᱞᱮᱠᱟ᱾"},
		{"mni_Beng", "ꯑꯩ ꯂꯥꯛꯀꯅꯤ꯫ |ꯃꯍꯥꯛ ꯆꯠꯈꯤ꯫"},
		{"taq_Tfng", "ⴰⵣⵓⵍ. |ⵎⴰⵏⵣⴰⴽⵉⵏ?"},
		{"swh_Latn", "Dk. Juma amefika. |Bw. Ali yuko wapi? |Habari ya asubuhi!"},
		{"vie_Latn", "TS. Nam ở TP. Huế. |Anh ấy khỏe."},
		{"ind_Latn", "Ini No. 5 di Jl. Sudirman. |Bagus!"},
		{"yor_Latn", "Báwo ni? |Dáadáa ni. |Ẹ ṣé."},
		{"", "Dr. Who came. |Unknown language? |Yes."},
	} {
		text := strings.ReplaceAll(test.want, "|", "")
		got, _ := sentencesOf(text, test.language)
		var want []string
		for _, s := range strings.Split(test.want, "|") {
			want = append(want, strings.TrimSpace(s))
		}
		if strings.Join(got, "|") != strings.Join(want, "|") {
			t.Errorf("%s:\n got %s\nwant %s", test.language, strings.Join(got, " | "), strings.Join(want, " | "))
		}
	}
}

// TestSplitKeepsSurroundings says which bytes are held outside the model; ⟨⟩
// stand around what goes to it.
func TestSplitKeepsSurroundings(t *testing.T) {
	for _, want := range []string{
		"  ⟨Hello there.⟩  ⟨How are you?⟩\n\n\t⟨Fine.⟩\r\n",
		"- ⟨First item⟩\n- ⟨second item⟩\n  * ⟨third⟩\n1. ⟨One⟩\n2) ⟨Two⟩\n(a) ⟨Three⟩\n[x] ⟨Done⟩",
		"# ⟨Title⟩\n\n> ⟨Quoted mail.⟩\n> > ⟨Twice.⟩",
		"👋 ⟨Hello.⟩ 😀👍🏽 ⟨Good morning⟩ 🇫🇷\n😀",
		"42\n3.14 %\nhttps://example.com/a?b=c\nme@example.com\n{name} %s\n⟨Page⟩\n---\n",
		"⟨Name⟩\t⟨Age⟩\n⟨Asha⟩\t12",
		"⟨apples⟩\n⟨bananas⟩\n⟨oranges⟩",
		"⟨Roses are red⟩\n⟨Violets are blue⟩",
		"⟨This line is long enough to be wrapped by a mail\nprogram and goes on here.⟩\n⟨And a new one.⟩",
		"> ⟨This line is long enough to be wrapped by a mail\n> program and goes on here.⟩",
		"⟨Introduction to machine learning methods⟩\n⟨Topics in natural language⟩\n⟨Deep learning⟩",
		"⟨The representatives of the whole company and\nKenya Airways will meet in Nairobi on a\nMonday.⟩",
		"⟨Das ist ein langer Satz, der in der Mitte vom\nHaus umbrochen ist.⟩\n⟨Ende⟩",
		"⟨这是一个很长的句子它在这里被断开成为两行因为\n它太长了。⟩",
		"⟨The first paragraph has no full stop⟩\n\n⟨The second has none⟩",
		"— ⟨Viens !⟩\n— ⟨Non.⟩",
		"", "\n", "\xff\xfe", " ⟨\xff a⟩ ",
	} {
		text := strings.NewReplacer("⟨", "", "⟩", "").Replace(want)
		var got strings.Builder
		for _, s := range translate.Split(text, "eng_Latn") {
			if s.Kind == translate.Sentence {
				got.WriteString("⟨" + text[s.Start:s.End] + "⟩")
			} else {
				got.WriteString(text[s.Start:s.End])
			}
		}
		if got.String() != want {
			t.Errorf("\n got %q\nwant %q", got.String(), want)
		}
	}
}

func TestSplitOrdinalAtLineStart(t *testing.T) {
	got, _ := sentencesOf("3. Oktober ist ein Feiertag.", "deu_Latn")
	if len(got) != 1 || !strings.HasPrefix(got[0], "3.") {
		t.Errorf("the ordinal is not in the sentence: %q", got)
	}
	got, _ = sentencesOf("1. Erstens\n2. Zweitens", "deu_Latn")
	if strings.Join(got, "|") != "Erstens|Zweitens" {
		t.Errorf("list: %q", got)
	}
}

// Thai has no full stop: long text is cut at spaces.
func TestSplitThai(t *testing.T) {
	phrase := "วันนี้อากาศดีมากเราจึงไปเดินเล่นที่สวนสาธารณะกับเพื่อน"
	text := strings.TrimSpace(strings.Repeat(phrase+" ", 10))
	got, _ := sentencesOf(text, "tha_Thai")
	if len(got) < 3 {
		t.Fatalf("%d phrases", len(got))
	}
	for _, s := range got {
		if n := len([]rune(s)); n > 300 {
			t.Errorf("a phrase has %d runes", n)
		}
	}
	if got, _ := sentencesOf(phrase, "tha_Thai"); len(got) != 1 {
		t.Errorf("a short text is %d phrases", len(got))
	}
}

// checkCover fails unless the spans are text, byte for byte, and as they should be.
func checkCover(t *testing.T, text string, spans []translate.Span) {
	t.Helper()
	pos := 0
	for i, s := range spans {
		if s.Start != pos || s.End <= s.Start {
			t.Fatalf("span %d is [%d,%d) behind %d in %q", i, s.Start, s.End, pos, text)
		}
		pos = s.End
		switch part := text[s.Start:s.End]; s.Kind {
		case translate.Sentence:
			if !strings.ContainsFunc(part, unicode.IsLetter) || strings.TrimSpace(part) != part {
				t.Fatalf("span %d is the sentence %q", i, part)
			}
		case translate.Separator:
			if i > 0 && spans[i-1].Kind == translate.Separator {
				t.Fatalf("separators %d and %d meet in %q", i-1, i, text)
			}
		}
	}
	if pos != len(text) {
		t.Fatalf("%d of %d bytes are covered of %q", pos, len(text), text)
	}
}

func FuzzSplit(f *testing.F) {
	for _, s := range []string{
		"Hello. How are you?\n\n- I'm fine.\r\n", "a.B c.D\xff!\xc3", "「はい。」と\t言った。", "1. a\n2. b", "> x\n> y",
		"Τι;\u2028Ναι. [1] [2", "http://x.y/?a=B. C", "A.\u0301b. \u200d", "e.g. U.S. The", "།། །", "....!?…", "😀.😀A",
	} {
		f.Add(s, "eng_Latn")
		f.Add(s, "deu_Latn")
	}
	f.Fuzz(func(t *testing.T, text, language string) {
		checkCover(t, text, translate.Split(text, language))
	})
}

// Splitting is linear: hostile text of 256 KiB takes no longer than prose.
func TestSplitIsLinear(t *testing.T) {
	for _, s := range []string{"a.((((((((", "a.", ". ", "\"'", "1. a\n", "\n> ", "a.b", "www.", "A. ", "?", "x@", "[1]", "{", "a:", "\xff.", "%1", "a\n"} {
		text := "a." + strings.Repeat(s, (256<<10)/len(s))
		start := time.Now()
		spans := translate.Split(text, "deu_Latn")
		if d := time.Since(start); d > 10*time.Second {
			t.Errorf("%q repeated takes %v", s, d)
		}
		checkCover(t, text, spans)
	}
}

func BenchmarkSplit(b *testing.B) {
	text := strings.Repeat("Dr. Smith met Mr. Jones in the U.S. on Monday, e.g. at 5 p.m. \"Stop!\" he said.\n\n- Привет. Как дела?\n", 100)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		translate.Split(text, "eng_Latn")
	}
}
