"""Makes the models and golden predictions of the tests with the reference.

    pip install -r requirements.txt && python make_golden.py

Models are trained on text composed here; lines are clean and odd. Each golden
line is a text with the reference's five best labels.
"""

import gzip
import json
import os
import random
import tempfile

import fasttext

HERE = os.path.dirname(os.path.abspath(__file__))
RNG = random.Random(7)

SYLLABLES = {
    "eng_Latn": "the ing er on tion to st en ly ough wh ee ck".split(),
    "swh_Latn": "na wa ku ki mi li ni ya ha ta ngo mba sha".split(),
    "fra_Latn": "le eau ou é ai que tre ment è ç oi ille".split(),
    "rus_Cyrl": "ов на ст ие при то но ть ый ск ра".split(),
    "amh_Ethi": "ሰላ ም ነው የት ተማ ሪ ቤት በጣ ም ጥሩ".split(),
    "arb_Arab": "ال من في ها ون ية كت اب مد رسة".split(),
    "jpn_Jpan": "です ます の は が 日本 語 東京 する".split(),
    "hin_Deva": "है में का की नम स्ते आप कैसे".split(),
    "yor_Latn": "ẹ̀ ọ́ ṣ bá wí ni kí ló àti".split(),
    "zul_Latn": "ngi ku bo na la nga thi sa hle".split(),
}


def word(label):
    return "".join(RNG.choice(SYLLABLES[label]) for _ in range(RNG.randint(1, 4)))


def sentence(label):
    return " ".join(word(label) for _ in range(RNG.randint(1, 12)))


def train_file(path, n):
    labels = list(SYLLABLES)
    with open(path, "w", encoding="utf-8") as f:
        for i in range(n):
            label = labels[min(int(RNG.expovariate(0.35)), len(labels) - 1)]  # unequal counts, for the tree
            f.write(f"__label__{label} {sentence(label)}\n")


def many_labels(path):
    """300 labels, each with words of its own: enough to quantize the output."""
    with open(path, "w", encoding="utf-8") as f:
        for i in range(300):
            own = [word(RNG.choice(list(SYLLABLES))) for _ in range(4)]
            for _ in range(RNG.randint(3, 8)):
                f.write(f"__label__l{i:03d} {' '.join(RNG.choice(own) for _ in range(5))}\n")


def lines():
    out = [sentence(l) for l in SYLLABLES for _ in range(60)]
    out += [" ".join(sentence(RNG.choice(list(SYLLABLES))) for _ in range(3)) for _ in range(60)]
    odd = ["", " ", "\t", "</s>", "na </s> the", "__label__eng_Latn", "__label__x the", "the\tna\vku\fki\rli", "a", "é", "日", "ni" * 3000, "the " * 500, "👩‍👩‍👧 the", "\u200bthe\u200d",
           "A\u0301", "<the>", "the\x00na", "0123456789", "!!!", "ﬁ ﬂ", "\u2581the", "\ufeffna", "ТНЕ", "na\u00a0wa", "a" * 200]
    out += odd
    for _ in range(400):
        n = RNG.randint(1, 30)
        out.append("".join(chr(RNG.choice([RNG.randint(32, 126), RNG.randint(0xA0, 0x24F), RNG.randint(0x400, 0x4FF), RNG.randint(0x1200, 0x137F), RNG.randint(0x4E00, 0x4F00), RNG.randint(0x1F600, 0x1F640)])) for _ in range(n)))
    return [x for x in dict.fromkeys(out) if "\n" not in x]


COMMON = dict(epoch=3, thread=1, verbose=0, minCount=1, dim=8, bucket=500, seed=1)
MODELS = {
    "hs": (dict(loss="hs", minn=2, maxn=4), None),
    "softmax": (dict(loss="softmax", minn=1, maxn=3, wordNgrams=2), None),
    "ns": (dict(loss="ns", minn=2, maxn=3), None),
    "ova": (dict(loss="ova", minn=3, maxn=5), None),
    "words": (dict(loss="softmax", minn=0, maxn=0), None),
    "wordngrams": (dict(loss="hs", minn=0, maxn=0, wordNgrams=3), None),
    "ftz": (dict(loss="hs", minn=2, maxn=4, dim=10), dict()),
    "ftz_qnorm": (dict(loss="softmax", minn=2, maxn=4, dim=9), dict(qnorm=True)),
    "ftz_cutoff": (dict(loss="hs", minn=2, maxn=4, dim=16, bucket=3000), dict(qnorm=True, cutoff=900, retrain=True)),
    "ftz_qout": (dict(loss="softmax", minn=2, maxn=3, dim=12, bucket=3000), dict(qout=True, cutoff=800, dsub=3)),
    "hs_many": (dict(loss="hs", minn=2, maxn=3, dim=6), None),
}


def main():
    texts = lines()
    with tempfile.TemporaryDirectory() as tmp:
        few, many = os.path.join(tmp, "few.txt"), os.path.join(tmp, "many.txt")
        train_file(few, 1500)
        many_labels(many)
        golden = {"texts": texts, "models": {}}
        for name, (options, quantize) in MODELS.items():
            train = many if name in ("ftz_qout", "hs_many") else few
            model = fasttext.train_supervised(train, **{**COMMON, **options})
            ext = "bin"
            if quantize is not None:
                model.quantize(input=train, **quantize)
                ext = "ftz"
            path = os.path.join(HERE, f"{name}.{ext}")
            model.save_model(path)
            model = fasttext.load_model(path)
            answers = [[[label.removeprefix("__label__"), p] for p, label in model.f.predict(t + "\n", 5, 0.0, "strict")] for t in texts]
            golden["models"][os.path.basename(path)] = answers
            with open(path, "rb") as f, gzip.GzipFile(path + ".gz", "wb", 9, mtime=0) as z:
                z.write(f.read())
            os.remove(path)
        with gzip.GzipFile(os.path.join(HERE, "golden.json.gz"), "wb", 9, mtime=0) as z:
            z.write(json.dumps(golden, ensure_ascii=False).encode())


if __name__ == "__main__":
    main()
