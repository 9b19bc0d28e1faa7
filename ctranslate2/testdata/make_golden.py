#!/usr/bin/env python3
"""Writes models/ and golden/: what CTranslate2 itself answers, for the tests of the Go runtime.

    python -m venv .venv && .venv/bin/pip install -r requirements.txt
    .venv/bin/python make_golden.py [FAMILY ...]

Seeded and single-threaded, on the CPU. README.md is rewritten when all families are made.
"""

import argparse
import collections
import gzip
import json
import os
import random
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
DTYPES = ["float32", "int8", "int16", "float16"]
MORE_DTYPES = ["int8_float32", "int8_float16", "int8_bfloat16", "bfloat16"]
MATRIX_FAMILIES = ("nllb", "marian", "t5")
ISAS = ["GENERIC", "AVX", "AVX2", "AVX512"]
SEQUENCES, MATRIX_SEQUENCES = 200, 40
DEFAULTS = dict(max_decoding_length=32, return_scores=True)
# In a beam search over a batch, CTranslate2 4.8.1 gives source i the attention of source i/beam_size in the first step, which
# is not worth copying: whatever uses the attention is run one source at a time.
SINGLE = dict(max_batch_size=1)
GREEDY, BEAM = dict(beam_size=1), dict(beam_size=4)


def sources(pieces, before, after, seed, specials):
    """Token lists of 1 to 40 pieces; the first are odd: empty, only special tokens, only an unknown one."""
    rng = random.Random(seed)
    out = specials + [before + ["@unknown@"] + after, before + after]
    while len(out) < SEQUENCES:
        tokens = [rng.choice(pieces) for _ in range(rng.randint(1, 40 if len(out) % 4 == 0 else 12))]
        if len(out) % 10 == 0:
            tokens[rng.randrange(len(tokens))] = "@unknown@"
        out.append(before + tokens + after)
    return out


def prefixes(policy, family, n, pieces):
    """Target prefixes of n sources; None where there is none."""
    rng = random.Random(n)
    base = [family["prefixes"][i % len(family["prefixes"])] if family["prefixes"] else [] for i in range(n)]
    if policy == "default":
        return base if family["prefixes"] else None
    if policy == "none":
        return None
    more = {"one": [1], "three": [3], "mixed": [0, 1, 3, 6], "unknown": [1]}[policy]
    out = []
    for i in range(n):
        p = base[i] + [rng.choice(pieces) for _ in range(more[i % len(more)])]
        out.append((p[:-1] + ["@unknown@"]) if policy == "unknown" else (p or None))
    return out


def matrix(family, frequent, pairs):
    """Option sets as (name, options, prefix policy)."""

    def case(name, policy="default", **options):
        return name, options, policy

    def both(name, policy="default", **options):
        return [case(name + " greedy", policy, **GREEDY, **options), case(name + " beam", policy, **BEAM, **options)]

    cases = [case("beam %d" % b, beam_size=b) for b in (2, 5)]
    cases += [case("patience 2", beam_size=3, patience=2, num_hypotheses=5), case("patience 0.5", beam_size=4, patience=0.5)]
    for alpha in (0, 0.6, 1.5):
        cases += both("length penalty %g" % alpha, length_penalty=alpha)
    cases += [case("coverage penalty", coverage_penalty=0.2, **SINGLE, **BEAM),
              case("both penalties", coverage_penalty=0.4, length_penalty=0, **SINGLE, **BEAM)]
    cases += both("repetition penalty", repetition_penalty=1.3) + both("repetition penalty, prefix", "mixed", repetition_penalty=1.5)
    cases += both("no repeated bigram", no_repeat_ngram_size=2) + both("no repeated unigram", no_repeat_ngram_size=1)
    cases += both("no repeated trigram, prefix", "mixed", no_repeat_ngram_size=3)
    cases += both("no unknown", disable_unk=True)
    cases += both("suppressed tokens", suppress_sequences=[[t] for t in frequent[:3]])
    cases += both("suppressed sequences", suppress_sequences=[pairs[0], frequent[:1], pairs[1] + frequent[1:2]])
    cases += both("end token", end_token=frequent[1]) + both("end tokens", end_token=frequent[1:4])
    cases += both("end token returned", end_token=frequent[1:4], return_end_token=True) + both("eos returned", return_end_token=True)
    cases += both("input cut at 8", max_input_length=8) + both("input cut at 3", max_input_length=3) + both("input not cut", max_input_length=0)
    cases += both("at most 5", max_decoding_length=5) + both("at most 1", max_decoding_length=1)
    cases += both("at least 20", min_decoding_length=20) + both("exactly 6", min_decoding_length=6, max_decoding_length=6)
    cases += [case("4 hypotheses", num_hypotheses=4, **BEAM), case("3 hypotheses, no length penalty", num_hypotheses=3, length_penalty=0, **BEAM)]
    cases += both("attention", return_attention=True, **SINGLE) + both("attention, prefix", "mixed", return_attention=True, **SINGLE)
    cases += both("replaced unknowns", "unknown", replace_unknowns=True, **SINGLE)
    cases += both("no scores", return_scores=False)
    cases += both("prefix of one", "one") + both("prefix of three", "three") + both("mixed prefixes", "mixed") + both("unknown in prefix", "unknown")
    if not family["start_in_prefix"]:
        cases += both("no prefix", "none")
    cases += both("prefix longer than the limit", "three", max_decoding_length=2)
    for beta in (0.1, 0.5):
        cases += both("prefix bias %g" % beta, "mixed", prefix_bias_beta=beta)
    cases += [case("top-1 sampling", sampling_topk=1, sampling_temperature=0.5, sampling_topp=0.9, **GREEDY)]
    # CTranslate2 4.8.1 computes a prefix of several tokens at once for alternatives, with wrong relative positions (T5) and
    # without the embeddings' scale if it starts from a zero embedding (Marian).
    for policy in ("default", "mixed" if family["name"] == "nllb" else "one"):
        cases += [case("alternatives, %s" % policy, policy, return_alternatives=True, num_hypotheses=5, **GREEDY),
                  case("alternatives beam, %s" % policy, policy, return_alternatives=True, num_hypotheses=3, **BEAM),
                  case("alternatives, probable, %s" % policy, policy, return_alternatives=True, num_hypotheses=5,
                       min_alternative_expansion_prob=0.05, **GREEDY),
                  case("alternatives, long, %s" % policy, policy, return_alternatives=True, num_hypotheses=4, length_penalty=0.5,
                       repetition_penalty=1.2, **GREEDY)]
    return cases


def open_model(path, compute_type="default"):
    import ctranslate2
    return ctranslate2.Translator(path, device="cpu", compute_type=compute_type, inter_threads=1, intra_threads=1)


def rounded(x):
    return float("%.8g" % x)


def run(translator, batch, prefix, options):
    """Results as [{"t": hypotheses, "s": scores, "a": attention}]; tokens are joined by spaces."""
    out = []
    for r in translator.translate_batch(batch, target_prefix=prefix, **{**DEFAULTS, **options}):
        one = {"t": [" ".join(h) for h in r.hypotheses]}
        if r.scores:
            one["s"] = [rounded(s) for s in r.scores]
        if r.attention and options.get("return_attention"):
            one["a"] = [[[float("%.6f" % a) for a in row] for row in h] for h in r.attention]
        out.append(one)
    return out


def golden(family, folder):
    """All cases of a family whose models lie in folder."""
    batch, cases, translators = family["sources"], [], {}

    def add(directory, name, options, policy="default", n=SEQUENCES, compute_type="default"):
        key = directory, compute_type
        if key not in translators:
            translators[key] = open_model(os.path.join(folder, directory), compute_type)
        if options.get("return_attention"):
            n = 8
        prefix = prefixes(policy, family, n, family["pieces"])
        results = run(translators[key], batch[:n], prefix, options)
        cases.append(dict(dir=directory, name=name, compute_type=compute_type, options={**DEFAULTS, **options}, n=n, prefix=prefix,
                          results=results))
        return results

    for directory in family["dtypes"]:
        first = add(directory, "greedy", GREEDY)
        add(directory, "beam 4", BEAM)
        if directory == family["dtypes"][0]:
            baseline = first
        if family.get("attention"):
            add(directory, "attention", dict(return_attention=True, **GREEDY), "one")
    for directory, compute_type in family.get("conversions", []):
        add(directory, "greedy", GREEDY, compute_type=compute_type)
        add(directory, "beam 4", BEAM, compute_type=compute_type)
    if family.get("matrix"):
        frequent, pairs = common(baseline)
        for directory in ["float32"] + (["int8"] if family["name"] == "nllb" else []):
            for name, options, policy in matrix(family, frequent, pairs):
                add(directory, name, options, policy, MATRIX_SEQUENCES)
    return cases


def common(results):
    """The most frequent tokens and pairs of tokens, for options that forbid some."""
    tokens, pairs = collections.Counter(), collections.Counter()
    for r in results:
        h = r["t"][0].split()[1:]
        tokens.update(h)
        pairs.update(zip(h, h[1:]))
    order = lambda counter: [k for k, _ in sorted(counter.items(), key=lambda kv: (-kv[1], kv[0]))]
    return order(tokens)[:6], [list(p) for p in order(pairs) if p[0] != p[1]][:2]


def write(family, folder):
    cases = golden(family, folder)
    path = os.path.join(HERE, "golden", family["name"] + ".json.gz")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    text = json.dumps({"sources": family["sources"], "cases": cases}, ensure_ascii=False, separators=(",", ":"))
    with open(path, "wb") as f, gzip.GzipFile(fileobj=f, mode="wb", mtime=0, filename="") as z:
        z.write(text.encode())
    print("%-12s %4d cases" % (family["name"], len(cases)), flush=True)


def describe(f):
    """What the goldens need of a family of families.py."""
    import families
    t = f.tokenizer
    specials = [[], [t.eos_token], [t.bos_token], [t.bos_token, t.eos_token], [t.eos_token] + f.before[:1]]
    return dict(name=f.name, prefixes=f.prefixes, pieces=families.PIECES, matrix=f.name in MATRIX_FAMILIES,
                start_in_prefix=f.name == "mbart",
                dtypes=DTYPES + (MORE_DTYPES if f.name == "nllb" else []),
                conversions=[("float32", "int8"), ("int8", "float32"), ("float16", "int8"), ("int16", "float32")]
                if f.name in MATRIX_FAMILIES else [],
                sources=sources(families.PIECES, f.before, f.after, f.name, specials))


def isa_worker():
    """Runs the int8 models named on standard input; the caller has set the ISA."""
    for line in sys.stdin:
        task = json.loads(line)
        t = open_model(task["path"])
        print(json.dumps([run(t, task["sources"], task["prefix"], o) for o in (GREEDY, BEAM)]), flush=True)


def compare_isas(made):
    """A table of how often CTranslate2 agrees with itself between instruction sets."""
    runs = [(f, dtype) for dtype in ("float32", "int8") for f in made]
    tasks = "".join(json.dumps(dict(path=os.path.join(HERE, "models", f["name"], f.get("stem", "") + dtype), sources=f["sources"],
                                    prefix=prefixes("default", f, SEQUENCES, f["pieces"]))) + "\n" for f, dtype in runs)
    results = {}
    for isa in ISAS:
        env = dict(os.environ, CT2_FORCE_CPU_ISA=isa)
        out = subprocess.run([sys.executable, __file__, "--isa-worker"], input=tasks, text=True, env=env, check=True, capture_output=True)
        results[isa] = [json.loads(line) for line in out.stdout.splitlines()]
    limits = {}
    rows = ["| model | type | beam | " + " | ".join("%s/%s" % p for p in isa_pairs()) + " | scores within 1e-3 | largest score difference |",
            "|---|---|---|" + "---|" * (len(isa_pairs()) + 2)]
    for i, (f, dtype) in enumerate(runs):
        for j, beam in enumerate((1, 4)):
            pairs = [agreement(results[a][i][j], results[b][i][j]) for a, b in isa_pairs()]
            if dtype == "int8":
                limits["%s/%d" % (f["name"], beam)] = dict(same=min(same for same, _, _ in pairs), near=min(near for _, near, _ in pairs))
            rows.append("| %s | %s | %d | %s | %.1f %% | %.1e |" % (
                f["name"], dtype, beam, " | ".join("%.1f %%" % (100 * same) for same, _, _ in pairs),
                100 * min(near for _, near, _ in pairs), max(worst for _, _, worst in pairs)))
    with open(os.path.join(HERE, "golden", "isas.json"), "w") as f:
        json.dump(limits, f, indent=1, sort_keys=True)
        f.write("\n")
    return "\n".join(rows)


def isa_pairs():
    return [(a, b) for i, a in enumerate(ISAS) for b in ISAS[i + 1:]]


def agreement(a, b):
    """How often the best hypothesis is the same; how often its score is, and the largest difference, where it is."""
    same = [i for i in range(len(a)) if a[i]["t"][0] == b[i]["t"][0]]
    differences = [abs(a[i]["s"][0] - b[i]["s"][0]) for i in same]
    return len(same) / len(a), sum(d <= 1e-3 for d in differences) / len(same), max(differences)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("family", nargs="*")
    parser.add_argument("--isa-worker", action="store_true")
    args = parser.parse_args()
    if args.isa_worker:
        return isa_worker()
    import families
    import specs
    made = []
    for f in families.families():
        if args.family and f.name not in args.family:
            continue
        folder, d = os.path.join(HERE, "models", f.name), describe(f)
        shutil.rmtree(folder, ignore_errors=True)
        families.convert(f, d["dtypes"], folder)
        write(d, folder)
        made.append(d)
    for d, make in specs.models():
        if args.family and d["name"] not in args.family:
            continue
        folder = os.path.join(HERE, "models", d["name"])
        shutil.rmtree(folder, ignore_errors=True)
        make(folder)
        d["sources"] = sources(d["pieces"], d["before"], d["after"], d["name"], [[], ["</s>"], ["<s>"], ["<s>", "</s>"]])
        write(d, folder)
        made.append(d)
    if not args.family:
        with open(os.path.join(HERE, "README.md.in")) as f:
            text = f.read()
        with open(os.path.join(HERE, "README.md"), "w") as f:
            f.write(text.replace("@ISAS@", compare_isas(made)))


if __name__ == "__main__":
    main()
