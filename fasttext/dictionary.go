package fasttext

import "strings"

const (
	endOfSentence = "</s>"
	labelPrefix   = "__label__"
)

// args are the training arguments that inference needs.
type args struct {
	dim, wordNgrams, loss, model, bucket, minn, maxn int
}

// Limits on arguments that cost time for each letter of an input.
const (
	maxNgram      = 64
	maxWordNgrams = 64
)

func (r *reader) args() args {
	version := 0
	if r.i32("the magic number") != 793712314 && r.err == nil {
		r.fail("it does not start with fastText's magic number")
	}
	if version = r.i32("the version"); r.err == nil && (version < 1 || version > 12) {
		r.fail("version %d is not supported", version)
	}
	var v [12]int
	for i := range v {
		v[i] = r.i32("the arguments")
	}
	r.i64("the arguments") // t, a float64
	a := args{dim: v[0], wordNgrams: v[5], loss: v[6], model: v[7], bucket: v[8], minn: v[9], maxn: v[10]}
	if a.model == supervised && version == 11 {
		a.maxn = 0 // that version had no subwords in supervised models
	}
	switch {
	case r.err != nil:
	case a.model != supervised:
		r.fail("it is not a classifier (model %d)", a.model)
	case a.loss < lossHS || a.loss > lossOVA:
		r.fail("loss %d is not known", a.loss)
	case a.dim < 1 || a.dim > 1<<16:
		r.fail("%d dimensions", a.dim)
	case a.maxn > maxNgram || a.wordNgrams > maxWordNgrams || a.bucket < 0:
		r.fail("n-grams of %d letters or %d words in %d buckets", a.maxn, a.wordNgrams, a.bucket)
	case a.bucket == 0 && (a.maxn > 0 || a.wordNgrams > 1):
		r.fail("it has n-grams and no buckets for them")
	}
	return a
}

// dictionary maps words to the rows of the input matrix.
type dictionary struct {
	args
	words, labels int
	names         []string // words, then labels
	counts        []int64  // of the labels
	ids           map[string]int32
	isLabel       []bool
	subwords      [][]int32 // of each word, itself included
	pruned        map[int32]int32
	pruneSize     int64
}

// minEntry is the least that an entry takes.
const minEntry = 1 + 8 + 1

func (r *reader) dictionary(a args) *dictionary {
	d := &dictionary{args: a}
	size := r.i32("the dictionary's size")
	d.words, d.labels = r.i32("the number of words"), r.i32("the number of labels")
	r.i64("the number of tokens")
	d.pruneSize = r.i64("the pruned size")
	if r.err == nil && (size < 0 || d.words < 0 || d.labels < 1 || d.words+d.labels != size || size > (len(r.data)-r.off)/minEntry) {
		r.fail("%d words and %d labels in a dictionary of %d do not fit", d.words, d.labels, size)
	}
	if r.err != nil {
		return d
	}
	r.entries(d, size)
	r.prunes(d)
	if r.err == nil {
		r.subwords(d)
	}
	return d
}

func (r *reader) entries(d *dictionary, size int) {
	d.ids, d.names, d.isLabel = make(map[string]int32, size), make([]string, 0, size), make([]bool, 0, size)
	for i := 0; i < size && r.err == nil; i++ {
		name, count := r.word(), r.i64("an entry's count")
		label := r.flag("an entry's type")
		if r.err == nil && label != (i >= d.words) {
			r.fail("entry %d is out of order: words come before labels", i)
		}
		d.names, d.isLabel = append(d.names, name), append(d.isLabel, label)
		d.ids[name] = int32(i)
		if label {
			d.counts = append(d.counts, count)
		}
	}
}

func (r *reader) prunes(d *dictionary) {
	if r.err != nil || d.pruneSize <= 0 {
		return
	}
	if d.pruneSize > int64(len(r.data)-r.off)/8 {
		r.fail("%d pruned rows do not fit in the file", d.pruneSize)
		return
	}
	d.pruned = make(map[int32]int32, d.pruneSize)
	for range d.pruneSize {
		from := r.i32("a pruned row")
		d.pruned[int32(from)] = int32(r.i32("a pruned row"))
	}
}

// spareSubwords is how many rows the words of a dictionary may have beside as
// many for each byte of the file as bytesSubwords says: several times what real
// models have, whose words are a small part of them.
const (
	spareSubwords = 1 << 16
	bytesSubwords = 4
)

// subwords lists the rows of each word.
func (r *reader) subwords(d *dictionary) {
	most := spareSubwords + bytesSubwords*len(r.data)
	var rows []int32 // of all words: one piece of memory, not one for each
	d.subwords = make([][]int32, d.words)
	ends := make([]int, d.words)
	for i := range ends {
		if rows = append(rows, int32(i)); d.names[i] != endOfSentence {
			rows = d.appendSubwords(rows, d.names[i])
		}
		if ends[i] = len(rows); len(rows) > most {
			r.fail("its words have more than %d n-grams of letters", most)
			return
		}
	}
	start := 0
	for i, end := range ends {
		d.subwords[i], start = rows[start:end:end], end
	}
}

// hash is FNV-1a over sign-extended bytes, as the reference computes it.
func hash(h uint32, b byte) uint32 { return (h ^ uint32(int32(int8(b)))) * 16777619 }

const hashStart = 2166136261

func wordHash(w string) uint32 {
	h := uint32(hashStart)
	for i := range len(w) {
		h = hash(h, w[i])
	}
	return h
}

// appendSubwords appends the rows of the letter n-grams of <word>.
func (d *dictionary) appendSubwords(rows []int32, word string) []int32 {
	if d.maxn <= 0 {
		return rows
	}
	n := len(word) + 2
	at := func(i int) byte {
		switch i {
		case 0:
			return '<'
		case n - 1:
			return '>'
		}
		return word[i-1]
	}
	for i := 0; i < n; i++ {
		if continues(at(i)) {
			continue
		}
		h := uint32(hashStart)
		for j, letters := i, 1; j < n && letters <= d.maxn; letters++ {
			h = hash(h, at(j))
			for j++; j < n && continues(at(j)); j++ {
				h = hash(h, at(j))
			}
			if letters >= d.minn && !(letters == 1 && (i == 0 || j == n)) {
				rows = d.appendBucket(rows, h%uint32(d.bucket))
			}
		}
	}
	return rows
}

// continues reports whether a byte is not the first of a UTF-8 sequence.
func continues(b byte) bool { return b&0xC0 == 0x80 }

// appendBucket appends the row of a bucket, unless it was pruned.
func (d *dictionary) appendBucket(rows []int32, bucket uint32) []int32 {
	id := int32(bucket)
	if d.pruneSize == 0 || id < 0 {
		return rows
	}
	if d.pruneSize > 0 {
		to, ok := d.pruned[id]
		if !ok {
			return rows
		}
		id = to
	}
	return append(rows, int32(d.words)+id)
}

func isSpace(b byte) bool {
	return b == ' ' || b == '\n' || b == '\r' || b == '\t' || b == '\v' || b == '\f' || b == 0
}

// line appends the rows of the words and n-grams of a line to rows. A literal
// end of sentence ends it; otherwise one is added.
func (d *dictionary) line(text string, s *scratch) {
	for i := 0; i < len(text); {
		for i < len(text) && isSpace(text[i]) {
			i++
		}
		start := i
		for i < len(text) && !isSpace(text[i]) {
			i++
		}
		if i > start && d.token(text[start:i], s) {
			d.wordNgramRows(s)
			return
		}
	}
	d.token(endOfSentence, s)
	d.wordNgramRows(s)
}

// token appends a word's rows and reports whether it ends the sentence.
func (d *dictionary) token(w string, s *scratch) bool {
	id, known := d.ids[w]
	if known && d.isLabel[id] || !known && strings.HasPrefix(w, labelPrefix) {
		return w == endOfSentence
	}
	switch {
	case !known:
		if w != endOfSentence {
			s.rows = d.appendSubwords(s.rows, w)
		}
	case d.maxn <= 0:
		s.rows = append(s.rows, id)
	default:
		s.rows = append(s.rows, d.subwords[id]...)
	}
	s.hashes = append(s.hashes, int32(wordHash(w)))
	return w == endOfSentence
}

func (d *dictionary) wordNgramRows(s *scratch) {
	if d.wordNgrams <= 1 {
		return
	}
	for i := range s.hashes {
		h := uint64(int64(s.hashes[i]))
		for j := i + 1; j < len(s.hashes) && j < i+d.wordNgrams; j++ {
			h = h*116049371 + uint64(int64(s.hashes[j]))
			s.rows = d.appendBucket(s.rows, uint32(h%uint64(d.bucket)))
		}
	}
}
