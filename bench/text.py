"""Compares tokenization and language detection with the native libraries.

    pip install sentencepiece==0.2.3 fasttext-wheel
    python bench/text.py

Both sides take the same lines, one thread each, by turns; of each run the best
of 7 passes counts, and of the runs the median. Both must give the same number of
tokens and the same languages.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")


def best(f):
    times = []
    for _ in range(7):
        start = time.perf_counter()
        f()
        times.append(time.perf_counter() - start)
    return min(times)


def native(a, lines):
    """One run of the libraries, in a process of its own."""
    import fasttext
    import sentencepiece

    fasttext.FastText.eprint = lambda *_: None
    p, d = sentencepiece.SentencePieceProcessor(a.tokenizer), fasttext.load_model(a.detector)
    pieces = [p.encode(line, out_type=str) for line in lines]
    return {
        "encode_seconds": best(lambda: [p.encode(line, out_type=str) for line in lines]),
        "decode_seconds": best(lambda: [p.decode(x) for x in pieces]),
        "predict_seconds": best(lambda: [d.f.predict(line + "\n", 1, 0.0, "strict") for line in lines]),
        "tokens": sum(map(len, pieces)),
        "labels": [d.f.predict(line + "\n", 1, 0.0, "strict")[0][1].removeprefix("__label__") for line in lines],
    }


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--native", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--tokenizer", default=os.path.join(ROOT, "demo/models/translation/tokenizer/sentencepiece.bpe.model"))
    p.add_argument("--detector", default=os.path.join(ROOT, "demo/models/language_detection/lid.demo.ftz"))
    p.add_argument("--text", default=os.path.join(ROOT, "demo/testdata/heldout.tsv"))
    p.add_argument("--runs", type=int, default=5)
    a = p.parse_args()
    with open(a.text, encoding="utf-8") as f:
        lines = [column for line in f for column in line.rstrip("\n").split("\t") if " " in column]
    if a.native:
        json.dump(native(a, lines), sys.stdout)
        return
    text = "\n".join(lines).encode()
    with tempfile.TemporaryDirectory() as folder:
        ours = os.path.join(folder, "text")
        subprocess.run(["go", "build", "-o", ours, "./bench/text"], cwd=ROOT, check=True)
        commands = {"sema": [ours, a.tokenizer, a.detector], "native": [sys.executable, __file__, "--native", "--tokenizer", a.tokenizer, "--detector", a.detector, "--text", a.text]}
        runs = {name: [] for name in commands}
        for _ in range(a.runs):
            for name, command in commands.items():
                runs[name].append(json.loads(subprocess.run(command, input=text, stdout=subprocess.PIPE, check=True).stdout))
    if any(runs["sema"][0][k] != runs["native"][0][k] for k in ("tokens", "labels")):
        sys.exit("the two sides differ in their tokens or languages")
    print(f"{len(lines)} lines, {len(text)} bytes, {runs['sema'][0]['tokens']} tokens, medians of {a.runs} runs")
    for what in ("encode", "decode", "predict"):
        s, n = (statistics.median(r[f"{what}_seconds"] for r in runs[side]) / len(lines) * 1e6 for side in ("sema", "native"))
        print(f"{what:8} sema {s:7.2f} µs a line, native {n:7.2f} µs: {n / s:.2f}x")


if __name__ == "__main__":
    main()
