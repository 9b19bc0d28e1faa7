"""Trains the demo's language detector with fastText.

    python corpus.py work && python detector.py work

The text is that of detector.tsv (phrases by language, written for this project)
and of the translation corpus. Lines are phrases, pieces of phrases and
mixtures, some in lower case, so that short inputs are known as well.
"""

import os
import random
import sys

import fasttext

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "models", "language_detection", "lid.demo.ftz")
CORPUS = ["eng_Latn", "fra_Latn", "swh_Latn"]
LINES = 3000  # of each language


def phrases(work):
    """Phrases by language, and how many of the first count more."""
    by = {}
    with open(os.path.join(HERE, "detector.tsv"), encoding="utf-8") as f:
        for line in f:
            label, text = line.rstrip("\n").split("\t")
            by[label] = text.split("|")
    rng = random.Random(3)
    for name, n in (("phrases.tsv", None), ("train.tsv", 400)):
        with open(os.path.join(work, name), encoding="utf-8") as f:
            rows = [r.rstrip("\n").split("\t") for r in f]
        for row in rows if n is None else rng.sample(rows, n):
            for label, text in zip(CORPUS, row):
                by[label].append(text)
    return by


def variant(texts, rng):
    text = rng.choice(texts)
    words = text.split()
    r = rng.random()
    if r < 0.35 and len(words) > 1:
        n = rng.randint(1, min(4, len(words)))
        i = rng.randrange(len(words) - n + 1)
        text = " ".join(words[i:i + n])
    elif r < 0.55:
        text += " " + rng.choice(texts)
    if rng.random() < 0.3:
        text = text.strip(" .?!¿¡")
    return text.lower() if rng.random() < 0.5 else text


def main():
    work = sys.argv[1]
    by, rng = phrases(work), random.Random(5)
    train = os.path.join(work, "detector.txt")
    rows = [f"__label__{label} {variant(texts, rng)}\n" for label, texts in by.items() for _ in range(LINES)]
    rng.shuffle(rows)
    held, rows = rows[:1500], rows[1500:]
    with open(train, "w", encoding="utf-8") as f:
        f.writelines(rows)
    with open(train + ".held", "w", encoding="utf-8") as f:
        f.writelines(held)
    model = fasttext.train_supervised(train, dim=24, minn=1, maxn=4, bucket=60000, epoch=12, lr=0.6, loss="softmax", thread=1, seed=1, verbose=0)
    print("held out, dense:", model.test(train + ".held"))
    model.quantize(input=train, qnorm=True, cutoff=25000, retrain=True, epoch=4, lr=0.3, thread=1, verbose=0)
    print("held out, quantized:", model.test(train + ".held"))
    os.makedirs(os.path.dirname(OUT), exist_ok=True)
    model.save_model(OUT)
    print(os.path.getsize(OUT), "bytes,", len(by), "languages")
    for text in ["Hello", "hello handsome", "Habari ya asubuhi", "Bonjour, comment allez-vous?", "Jambo", "Ninapenda chakula", "Where is my car?", "Good morning", "Merci beaucoup", "ሰላም", "Muraho", "guten Tag"]:
        print(text, [(label.removeprefix("__label__"), round(p, 3)) for p, label in model.f.predict(text + "\n", 3, 0.0, "strict")])


if __name__ == "__main__":
    main()
