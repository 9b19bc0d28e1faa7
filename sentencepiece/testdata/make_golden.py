"""Writes the models and golden files that the package's tests read.

    pip install sentencepiece==0.2.3
    python make_golden.py [--seed N] [--lines N] [DIR]

Trains small models on text that this script composes from phrases.txt and from
the letters of every script in Unicode, encodes and decodes odd lines with the
reference implementation, and writes to DIR (default: beside this file)

    models.bz2          name, size and content of each model, one after another
    encode.jsonl.bz2    a line of text and what each model makes of it
    decode.jsonl.bz2    IDs or pieces and the text that a model makes of them

Made with CPython 3.11 (Unicode 14); --seed and --lines make other, larger sets for
a check by hand.
"""

import argparse
import base64
import bz2
import collections
import contextlib
import io
import json
import os
import random
import struct
import tempfile
import unicodedata

import sentencepiece as spm

assert spm.__version__ == "0.2.3", spm.__version__

HERE = os.path.dirname(os.path.abspath(__file__))
SPACE = "\u2581"


# --- text ---------------------------------------------------------------

def phrases():
    with open(os.path.join(HERE, "phrases.txt"), encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t")[1] for line in f]


def scripts():
    """The letters, marks and digits of each script, by its name in Unicode."""
    found = collections.defaultdict(list)
    for cp in range(0x21, 0x30000):
        c = chr(cp)
        if unicodedata.category(c)[0] in "LMN":
            name = unicodedata.name(c, "").split()
            if len(name) > 1:
                found[name[0]].append(c)
    return {k: v for k, v in sorted(found.items()) if len(v) >= 8}


def pseudo_words(rng, letters, n, variety=24):
    """n words of a made-up language that prefers a few letters and repeats itself."""
    favoured = rng.sample(letters, min(len(letters), variety))
    stems = ["".join(rng.choices(favoured, k=rng.randint(1, 4))) for _ in range(12)]
    return [rng.choice(stems) + (rng.choice(stems) if rng.random() < 0.4 else "") for _ in range(n)]


def corpus(rng):
    """Training text: phrases, mixes of their words, pseudo-words of each script."""
    base = phrases()
    words = [w for p in base for w in p.split()]
    lines = base * 6
    lines += [" ".join(rng.choices(words, k=rng.randint(3, 9))) for _ in range(8000)]
    lines += [f"{rng.randint(0, 99999)} {rng.choice(words)} {rng.randint(0, 99)}%" for _ in range(300)]
    for letters in scripts().values():
        lines += [" ".join(pseudo_words(rng, letters, 4, 8)) for _ in range(2)]
    return lines


ODD = [
    "\u200b", "\u200c", "\u200d", "\u2060", "\ufeff", "\u00ad", "\u200e", "\u202e", "\u034f",
    "\u0301", "\u0308\u0301", "\u0327", "\u20dd", "\u3099", "\u0e33", "\u0345",
    "\x00", "\x01", "\x07", "\x08", "\x0b", "\x0c", "\x1b", "\x1f", "\x7f", "\x85", "\x9f",
    "\t", "\n", "\r\n", " ", "  ", "   ", "\u00a0", "\u1680", "\u2003", "\u2028", "\u3000", "\u205f",
    SPACE, SPACE * 2, " " + SPACE, SPACE + " ", "x" + SPACE + "y",
    "ﬁ", "ﬄ", "①", "㍿", "㌀", "㎏", "½", "ⅷ", "ＡＢＣ", "１２３", "ｶﾞ", "！？", "Å", "ſ", "İ", "ı", "ß", "ẞ", "ﷺ", "ﷲ",
    "👩‍👩‍👧‍👦", "🇰🇪🇫🇷", "👍🏽", "❤️", "🏴\U000e0067\U000e0062\U000e007f", "☕", "𝕳𝖊𝖑𝖑𝖔", "𝟙𝟚",
    "\ufffd", "\ufffe", "\uffff", "\ue000", "\U0010ffff", "\U000e0001", "\U0001f9ff", "\U00020000", "\U0002f800",
    "e\u0301", "n\u0303", "A\u030a", "가", "\u1112\u1161\u11ab", "が", "か\u3099", "क\u093c", "\u0958",
    "<s>", "</s>", "<unk>", "<pad>", "<0x41>", "<0xFF>", "<ctl>", "<mask>", "<2en>", "▁<mask>", "<MASK>",
    "http://a.b/c?d=e&f", "user@example.com", "3.14", "1,000", "--", "...", "…", "“”", "‘’", "~", "〜", "～", "\\", "'", '"',
]

EDGES = [
    "", " ", "  ", "\t", "\n", "\u3000", SPACE, SPACE * 3, " " + SPACE, SPACE + " ", f"a{SPACE}", f"{SPACE}a", f" {SPACE} a {SPACE} ",
    "a", " a", "a ", " a ", "a  b", "a \t b", "a\u3000\u3000b", "\u200b", "\u200b \u200b", "a\u200bb", "\x00", "a\x00b", "\x00a\x00",
    "\u0301", " \u0301", "a\u0301", "a \u0301", "A\u0301\u0301", "aa", "aaa", "aaaaaaa", "a" * 300, "ab" * 150, "the" * 60,
    "日本" * 80, "🎉" * 40, "\u0301" * 50, " " * 100, " x" * 100, "x" + " " * 50 + "y", "\ufeff" * 10, "<mask><mask> <mask>",
    "foo foofoo  foo", "中国中国人", "a中国a", "<ctl>", "x<ctl>y", "<s>x</s>", "<0x41><0x42>", "\u2047", "x \u2047 y", "\ufdfa",
    "＜ｓ＞", "ｘ＜ｃｔｌ＞", "aab aaab", "  aa  ", "new\u00adline", "...", "a" + SPACE * 5 + "b", "\u2582\u2580", "\xe2\x96", "ﬁ" * 30,
]


def sentence(rng, base, letters):
    if rng.random() < 0.5:
        words = rng.choice(base).split()
        i = rng.randrange(len(words))
        return " ".join(words[i:i + rng.randint(1, 8)])
    return " ".join(pseudo_words(rng, letters[rng.choice(list(letters))], rng.randint(1, 6)))


def odd(rng, text):
    """text with up to four odd strings put in."""
    for _ in range(rng.randint(1, 4)):
        i = rng.randint(0, len(text))
        text = text[:i] + rng.choice(ODD) + text[i:]
    return text


def broken(rng, text):
    """text as bytes that are not UTF-8."""
    raw = bytearray(text.encode("utf-8", "surrogatepass"))
    for _ in range(rng.randint(1, 4)):
        i = rng.randint(0, len(raw))
        how = rng.randrange(4)
        if how == 0:
            raw[i:i] = bytes(rng.randrange(0x80, 0x100) for _ in range(rng.randint(1, 3)))
        elif how == 1:
            del raw[i:i + 1]
        elif how == 2:
            raw[i:i] = rng.choice([b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x96", b"\xff", b"\xf0\x9f\x98"])
        elif i < len(raw):
            raw[i] ^= 1 << rng.randrange(8)
    return bytes(raw)


def code_points():
    """Every assigned code point outside the large uniform blocks, 64 a line."""
    chars = [chr(cp) for cp in range(1, 0x30000)
             if unicodedata.category(chr(cp)) not in ("Cn", "Cs", "Co")
             and not (0x3400 <= cp < 0x9fc0 or 0xac40 <= cp < 0xd780 or 0x12000 <= cp < 0x1a000
                      or 0x1b000 <= cp < 0x1d000 or 0x20100 <= cp < 0x2f800)]
    return ["".join(chars[i:i + 64]) for i in range(0, len(chars), 64)]


def long_lines(rng):
    """Texts whose path scores in a unigram model pass the limit for a reset."""
    words = [w for p in phrases() for w in p.split()]
    yield " ".join(words * 25)
    yield "\u4e91" * 80000 + " ".join(rng.choices(words, k=2000))
    yield "".join(rng.choices(words, k=4000))


def test_lines(rng, n):
    base, letters = phrases(), scripts()
    lines = EDGES + ODD + base
    lines += [" ".join(pseudo_words(rng, v, 4)) for v in letters.values()]
    while len(lines) < n:
        text = sentence(rng, base, letters)
        kind = rng.random()
        lines.append(text if kind < 0.15 else odd(rng, text) if kind < 0.8 else broken(rng, odd(rng, text)))
    return lines


# --- models -------------------------------------------------------------

SYMBOLS = ["<mask>", "<2en>", "foo", "中国", "aa", "  ", SPACE + "the", "x y", "ﬁ", "é", "<0x41>x"]
TYPE, UNUSED = 3 << 3, 5  # the tag of a piece's type, and one type
IDENTITY = dict(normalization_rule_name="identity")
RAW = dict(IDENTITY, add_dummy_prefix=False, remove_extra_whitespaces=False)

NORMALIZATION = "61 61\t62\n41\t20\n42\t\n31\t20 32 20\nE9\t65 301\n"  # aa→b, A→space, B→nothing, 1→" 2 "
DENORMALIZATION = "21\t203C\n6F 6F\t30\n3F\t20 20\n"  # !→‼, oo→0, ?→two spaces

MODELS = {
    "bpe": dict(model_type="bpe", vocab_size=2000),
    "bpe_nllb": dict(model_type="bpe", vocab_size=4000, character_coverage=0.99, pad_id=3,
                     normalization_rule_name="nmt_nfkc", remove_extra_whitespaces=True, add_dummy_prefix=True),
    "bpe_bytes": dict(RAW, model_type="bpe", vocab_size=2500, byte_fallback=True, character_coverage=0.98,
                      split_digits=True, allow_whitespace_only_pieces=True),
    "bpe_dummy": dict(IDENTITY, model_type="bpe", vocab_size=2000, byte_fallback=True, character_coverage=0.98,
                      add_dummy_prefix=True, remove_extra_whitespaces=False),
    "bpe_symbols": dict(model_type="bpe", vocab_size=2200, user_defined_symbols=SYMBOLS, control_symbols=["<ctl>"]),
    "bpe_suffix": dict(model_type="bpe", vocab_size=2000, normalization_rule_name="nmt_nfkc_cf",
                       treat_whitespace_as_suffix=True),
    "bpe_across": dict(IDENTITY, model_type="bpe", vocab_size=2000, split_by_whitespace=False, unk_surface="<?>"),
    "unigram": dict(model_type="unigram", vocab_size=2500),
    "unigram_bytes": dict(model_type="unigram", vocab_size=2500, byte_fallback=True, character_coverage=0.98,
                          normalization_rule_name="nfkc_cf"),
    "unigram_symbols": dict(model_type="unigram", vocab_size=2200, user_defined_symbols=SYMBOLS, control_symbols=["<ctl>"],
                            byte_fallback=True, remove_extra_whitespaces=False),
    "unigram_raw": dict(RAW, model_type="unigram", vocab_size=2200, unk_surface=""),
    "unigram_suffix": dict(model_type="unigram", vocab_size=2200, treat_whitespace_as_suffix=True,
                           remove_extra_whitespaces=False),
    "unigram_rules": dict(model_type="unigram", vocab_size=2200, normalization_rule_tsv=NORMALIZATION,
                          denormalization_rule_tsv=DENORMALIZATION, unk_piece="<?>"),
    "word": dict(model_type="word", vocab_size=1500),
    "char": dict(model_type="char", vocab_size=1200, user_defined_symbols=SYMBOLS),
}


def train(lines, options):
    options = dict(options)
    out = io.BytesIO()
    # The paths of rule files end up in the model: relative ones, to be repeatable.
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for key in ("normalization_rule_tsv", "denormalization_rule_tsv"):
            if key in options:
                with open(key, "w", encoding="utf-8") as f:
                    f.write(options[key])
                options[key] = key
        spm.SentencePieceTrainer.train(
            sentence_iterator=iter(lines), model_writer=out, num_threads=1, minloglevel=2,
            max_sentence_length=20000, hard_vocab_limit=False, **{"character_coverage": 0.985, **options})
    return out.getvalue()


def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7f | 0x80)
        n >>= 7
    return bytes(out + bytes([n]))


def message(number, body):
    return varint(number << 3 | 2) + varint(len(body)) + body


def top_level(model):
    """The fields of a model, all of which are messages."""
    pos = 0
    def read():
        nonlocal pos
        n = shift = 0
        while True:
            b = model[pos]
            pos += 1
            n |= (b & 0x7f) << shift
            if b < 0x80:
                return n
            shift += 7
    while pos < len(model):
        tag, size = read(), read()
        yield tag >> 3, model[pos:pos + size]
        pos += size


def with_unused(rng, model, share):
    """model with a share of its normal pieces marked unused: in protobuf, of two
    values for a field the last one counts."""
    out = []
    for number, body in top_level(model):
        normal = number == 1 and body[-2:-1] != bytes([TYPE])  # only other types are written
        if normal and rng.random() < share:
            body += bytes([TYPE, UNUSED])
        out.append(message(number, body))
    return b"".join(out)


def train_all():
    rng = random.Random(1)
    lines = corpus(rng)
    models = {name: train(lines, options) for name, options in MODELS.items()}
    for name in ("bpe", "unigram", "char"):
        models[name + "_unused"] = with_unused(rng, models[name], 0.2)
    # escape_whitespaces = false cannot be trained: add the field by hand.
    models["unigram_unescaped"] = models["unigram_raw"] + message(3, b"\x28\x00")
    return models


# --- golden files -------------------------------------------------------

def encode_record(processors, text):
    """What each model makes of text; "unk" are the texts of the unknown pieces."""
    want = {}
    for name, p in processors.items():
        ids = p.encode(text, out_type=int)
        pieces = p.encode(text, out_type=str)
        unk = [piece for i, piece in zip(ids, pieces) if i == p.unk_id()]
        rest = iter(unk)
        assert pieces == [next(rest) if i == p.unk_id() else p.id_to_piece(i) for i in ids], (name, text)
        want[name] = [ids, p.decode(ids), p.decode(pieces)] + ([unk] if unk else [])
        if want[name][2] == want[name][1]:
            want[name][2] = None
    key = {"text": text} if isinstance(text, str) else {"raw": base64.b64encode(text).decode()}
    return {**key, "want": want}


def decode_records(rng, processors, n):
    for name, p in processors.items():
        special = [i for i in range(p.get_piece_size()) if p.is_control(i) or p.is_unknown(i) or p.is_byte(i)]
        for _ in range(n):
            ids = [rng.choice(special) if rng.random() < 0.4 else rng.randrange(p.get_piece_size())
                   for _ in range(rng.randint(0, 12))]
            yield {"model": name, "ids": ids, "text": p.decode(ids)}
            pieces = [p.id_to_piece(i) for i in ids] or ["x"]
            for _ in range(rng.randint(1, 3)):
                pieces.insert(rng.randint(0, len(pieces)), rng.choice(ODD + EDGES[:30]))
            yield {"model": name, "pieces": pieces, "text": p.decode(pieces)}


def write(path, records):
    with bz2.open(path, "wt", encoding="utf-8") as f:
        for r in records:
            f.write(json.dumps(r, ensure_ascii=False, separators=(",", ":")) + "\n")


def main():
    args = argparse.ArgumentParser()
    args.add_argument("dir", nargs="?", default=HERE)
    args.add_argument("--seed", type=int, default=2)
    args.add_argument("--lines", type=int, default=2400)
    args = args.parse_args()

    models = train_all()
    with bz2.open(os.path.join(args.dir, "models.bz2"), "wb") as f:
        for name, content in models.items():
            f.write(struct.pack("<II", len(name), len(content)) + name.encode() + content)

    processors = {name: spm.SentencePieceProcessor(model_proto=content) for name, content in models.items()}
    swept = {name: processors[name] for name in ("bpe", "bpe_suffix", "unigram_bytes")}
    long = {name: processors[name] for name in ("bpe_nllb", "unigram", "unigram_suffix")}
    rng = random.Random(args.seed)
    lines = test_lines(rng, args.lines)
    write(os.path.join(args.dir, "encode.jsonl.bz2"),
          [encode_record(processors, text) for text in lines] +
          [encode_record(swept, text) for text in code_points()] +
          [encode_record(long, text) for text in long_lines(rng)])
    write(os.path.join(args.dir, "decode.jsonl.bz2"), decode_records(rng, processors, args.lines // 16))


if __name__ == "__main__":
    main()
