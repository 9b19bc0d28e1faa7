"""Compares `sema bench` with the ctranslate2 wheel on the same model files.

    pip install ctranslate2==4.8.1
    make build && python bench/compare.py --shape nllb-600m --threads 2

Both sides translate the same tokens and decode exactly as many. They run by
turns, each run in a process of its own, and the medians count. The wheel runs as
it comes and with the settings that can make it faster (--variant).
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
VARIANTS = {
    "as it comes": {},
    "MKL": {"CT2_USE_MKL": "1"},
    "oneDNN": {"CT2_USE_MKL": "0"},
    "AVX512": {"CT2_FORCE_CPU_ISA": "AVX512"},
    "MKL, AVX512": {"CT2_USE_MKL": "1", "CT2_FORCE_CPU_ISA": "AVX512"},
}


def batch(a, vocabulary):
    """The sentences of bench.Options.batch."""
    source = []
    for i in range(a.sentences):
        words = [vocabulary[100 + (i * 7919 + j * 104729) % (len(vocabulary) - 300)] for j in range(a.source_tokens - 2)]
        source.append(["eng_Latn"] + words + ["</s>"])
    return source, [["swh_Latn"]] * a.sentences


def peer(a):
    """One run of the wheel, in this process."""
    import ctranslate2

    start = time.perf_counter()
    t = ctranslate2.Translator(a.model, device="cpu", compute_type=a.compute_type, intra_threads=a.threads, inter_threads=1)
    load = time.perf_counter() - start
    with open(os.path.join(a.model, "shared_vocabulary.json"), encoding="utf-8") as f:
        vocabulary = json.load(f)
    source, prefix = batch(a, vocabulary)

    def run(tokens):
        start = time.perf_counter()
        r = t.translate_batch(source, target_prefix=prefix, beam_size=a.beam_size, min_decoding_length=tokens + 1, max_decoding_length=tokens + 1)
        return time.perf_counter() - start, r

    run(2)
    prefill = min(run(1)[0] for _ in range(2))
    total, r = run(a.target_tokens)
    with open("/proc/self/status") as f:
        private = next(int(line.split()[1]) << 10 for line in f if line.startswith("RssAnon"))
    step = (total - prefill) / max(a.target_tokens - 1, 1)
    return {"load_seconds": load, "prefill_seconds": prefill, "decode_seconds_per_step": step, "total_seconds": total,
            "tokens_per_second": a.sentences * a.target_tokens / total, "private_bytes": private, "first_tokens": r[0].hypotheses[0]}


def arguments(a):
    return ["--threads", str(a.threads), "--sentences", str(a.sentences), "--beam-size", str(a.beam_size), "--source-tokens", str(a.source_tokens),
            "--target-tokens", str(a.target_tokens), "--compute-type", a.compute_type]


def run_peer(a, env):
    out = subprocess.run([sys.executable, os.path.abspath(__file__), "--peer", "--model", a.model] + arguments(a), env={**os.environ, **env}, capture_output=True, text=True)
    if out.returncode != 0:
        return None
    return json.loads(out.stdout.splitlines()[-1])


def run_sema(a):
    out = subprocess.run([a.sema, "bench", "--json", "--runs", "1", "--model", a.model] + arguments(a), capture_output=True, text=True)
    if out.returncode != 0:
        sys.exit(out.stderr)
    return json.loads(out.stdout)


FIGURES = ["load_seconds", "prefill_seconds", "decode_seconds_per_step", "tokens_per_second"]


def medians(runs):
    return {k: statistics.median(r[k] for r in runs) for k in FIGURES}


def compare(a):
    names = list(dict.fromkeys(["as it comes"] + a.variant))
    ours, theirs = [], {n: [] for n in names}
    for _ in range(a.runs):
        ours.append(run_sema(a))
        for n in names:
            r = run_peer(a, VARIANTS[n])
            if r is not None:
                theirs[n].append(r)
    mine = medians(ours)
    read = statistics.median(r["read_bandwidth_bytes_per_second"] for r in ours)
    fraction = ours[0]["step_weight_bytes"] / mine["decode_seconds_per_step"] / read
    print(f"{os.path.basename(a.model)}: {a.sentences} x {a.source_tokens} + {a.target_tokens} tokens, beam {a.beam_size}, {a.compute_type}, {a.threads} threads, {a.runs} runs")
    row = "{:24}" + "{:>12}" * 5
    print(row.format("", "load s", "prefill ms", "step ms", "tokens/s", "private MiB"))
    show = lambda name, m, private: print(row.format(name, f"{m['load_seconds']:.2f}", f"{1e3 * m['prefill_seconds']:.1f}", f"{1e3 * m['decode_seconds_per_step']:.2f}", f"{m['tokens_per_second']:.1f}", f"{private / 2**20:.0f}"))
    show("sema", mine, statistics.median(r["peak_private_bytes"] for r in ours))
    for n in names:
        if not theirs[n]:
            print(f"{n}: does not run here")
            continue
        m = medians(theirs[n])
        show("ctranslate2, " + n, m, statistics.median(r["private_bytes"] for r in theirs[n]))
        print(row.format("  sema is faster by", f"{m['load_seconds'] / mine['load_seconds']:.1f}x", f"{m['prefill_seconds'] / mine['prefill_seconds']:.2f}x",
                         f"{m['decode_seconds_per_step'] / mine['decode_seconds_per_step']:.2f}x", f"{mine['tokens_per_second'] / m['tokens_per_second']:.2f}x", ""))
        same = sum(x == y for x, y in zip(ours[0]["first_tokens"], theirs[n][0]["first_tokens"]))
        print(f"  the first {same} of {len(ours[0]['first_tokens'])} tokens of the first sentence are the same" if same == len(ours[0]["first_tokens"]) else f"  {same} of {len(ours[0]['first_tokens'])} tokens of the first sentence are the same")
    print(f"read bandwidth in the same run {read / 1e9:.1f} GB/s; a step reads {ours[0]['step_weight_bytes'] / 1e6:.0f} MB of weights: {100 * fraction:.0f} % of it")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--peer", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--model", help="folder of a model; or --shape")
    p.add_argument("--shape", help="nllb-600m, nllb-1.3b, nllb-3.3b")
    p.add_argument("--cache", default=os.path.expanduser("~/.cache/sema/bench"))
    p.add_argument("--sema", default=os.path.join(HERE, "..", "bin", "sema"))
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--sentences", type=int, default=1)
    p.add_argument("--beam-size", type=int, default=1)
    p.add_argument("--source-tokens", type=int, default=32)
    p.add_argument("--target-tokens", type=int, default=32)
    p.add_argument("--compute-type", default="int8")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--variant", action="append", default=[], choices=VARIANTS, help="also try the wheel with other settings")
    a = p.parse_args()
    if a.peer:
        print(json.dumps(peer(a)))
        return
    if a.shape:
        subprocess.run([a.sema, "bench", "--json", "--runs", "1", "--shape", a.shape, "--cache", a.cache, "--target-tokens", "2", "--compute-type", a.compute_type], check=True, capture_output=True)
        a.model = os.path.join(a.cache, f"{a.shape}-{'float32' if a.compute_type == 'float32' else 'int8'}")
    compare(a)


if __name__ == "__main__":
    main()
