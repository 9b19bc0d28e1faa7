"""Loads Sema and its peer (peer.py) over HTTP, by turns, and prints the ratios.

    pip install ctranslate2==4.8.1 sentencepiece fastapi uvicorn numpy protobuf
    make build && python bench/http_load.py --clients 1 4 16 32

The model has NLLB's 600M shape and random weights, changed in one place: the
position encoding of each step leans towards a word of its own, and that of step
--answer + 1 towards the end token. So every answer has --answer tokens, all
different, on both sides. Random weights alone repeat themselves, and Sema would
decode again what looks like a loop.
"""

import argparse
import http.client
import json
import os
import random
import shutil
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
WORDS = 3000  # the tokenizer knows ▁w0 .. ▁w2999
LEAN = 0.03  # of the word's embedding; at 0.005 other words win


def variables(data):
    """Name, shape, type and offset of each variable of a model file (version 6)."""
    at = 4
    n = struct.unpack_from("<H", data, at)[0]
    at += 2 + n + 4
    count = struct.unpack_from("<I", data, at)[0]
    at += 4
    for _ in range(count):
        n = struct.unpack_from("<H", data, at)[0]
        name = bytes(data[at + 2:at + 1 + n]).decode()
        at += 2 + n
        rank = data[at]
        shape = struct.unpack_from(f"<{rank}I", data, at + 1)
        dtype, size = struct.unpack_from("<BI", data, at + 1 + 4 * rank)
        at += 1 + 4 * rank + 5
        yield name, shape, dtype, at
        at += size


def prepare(a):
    """Makes the folder that both sides serve."""
    import mmap

    import numpy as np
    from sentencepiece import sentencepiece_model_pb2 as pb

    subprocess.run([a.sema, "bench", "--json", "--runs", "1", "--shape", "nllb-600m", "--cache", a.cache, "--target-tokens", "2"], check=True, capture_output=True)
    folder = os.path.join(a.cache, f"nllb-600m-answers-{a.answer}")
    if os.path.exists(os.path.join(folder, "sentencepiece.bpe.model")):
        return folder
    shutil.copytree(os.path.join(a.cache, "nllb-600m-int8"), folder, dirs_exist_ok=True)
    with open(os.path.join(folder, "model.bin"), "r+b") as f, mmap.mmap(f.fileno(), 0) as data:
        where = {name: (shape, at) for name, shape, _, at in variables(data)}
        (_, d), weights = where["decoder/embeddings/weight"]
        positions = where["decoder/position_encodings/encodings"][1]
        for step in range(1, a.answer + 2):
            token = 2 if step > a.answer else WORDS + 7919 * step % 200000
            row = np.frombuffer(data[weights + token * d:weights + (token + 1) * d], dtype=np.int8).astype(np.float32)
            data[positions + 4 * d * step:positions + 4 * d * (step + 1)] = (row * LEAN).astype("<f4").tobytes()
    m = pb.ModelProto()
    for piece, kind in [("<unk>", 2), ("<s>", 3), ("</s>", 3)] + [(f"▁w{i}", 1) for i in range(WORDS)] + [("▁", 1)] + [(c, 1) for c in "w0123456789"]:
        p = m.pieces.add()
        p.piece, p.type = piece, kind
        p.score = -10.0 if len(piece) < 3 else -1.0
    m.trainer_spec.model_type = 1
    m.normalizer_spec.name = "identity"
    m.normalizer_spec.add_dummy_prefix = True
    m.normalizer_spec.remove_extra_whitespaces = True
    with open(os.path.join(folder, "sentencepiece.bpe.model"), "wb") as f:
        f.write(m.SerializeToString())
    return folder


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Service:
    def __init__(self, command, env, port):
        self.port = port
        self.process = subprocess.Popen(command, env={**os.environ, **env}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(600):
            try:
                c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
                c.request("GET", "/ready")
                if c.getresponse().status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.1)
        sys.exit("a service does not come up: " + " ".join(command))

    def stop(self):
        self.process.terminate()
        self.process.wait()


def sema(a, folder):
    port = free_port()
    env = {"PORT": str(port), "HOST": "127.0.0.1", "MODEL_DIR": folder, "RATE_LIMIT_PER_MINUTE": "0", "RATE_LIMIT_PER_HOUR": "0", "CACHE_SIZE": "0", "CANARY": "false", "REQUEST_TIMEOUT": "10m",
           "INTRA_THREADS": str(a.threads), "LOG_LEVEL": "error"}
    return Service([a.sema, "serve"], env, port)


def peer(a, folder):
    port = free_port()
    return Service([sys.executable, "-m", "uvicorn", "peer:app", "--app-dir", HERE, "--port", str(port), "--log-level", "error"], {"MODEL": folder, "THREADS": str(a.threads)}, port)


def load(port, clients, seconds, words, answer):
    """Requests a second, and the latencies, of some clients for some seconds."""
    times, errors, until = [], [], time.perf_counter() + seconds

    def client(i):
        rng = random.Random(i)
        c = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
        while time.perf_counter() < until:
            text = " ".join(f"w{rng.randrange(WORDS)}" for _ in range(words))
            start = time.perf_counter()
            c.request("POST", "/translate", json.dumps({"text": text, "source_language": "eng_Latn", "target_language": "swh_Latn"}), {"Content-Type": "application/json"})
            r = c.getresponse()
            body = r.read()
            if r.status != 200 or json.loads(body)["translated_text"].count("w") != answer:
                errors.append(body)
                return
            times.append(time.perf_counter() - start)

    start = time.perf_counter()
    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        sys.exit(f"an error: {errors[0][:300]}")
    times.sort()
    return {"rps": len(times) / (time.perf_counter() - start), "p50": statistics.median(times), "p95": times[min(len(times) - 1, int(0.95 * len(times)))]}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 32])
    p.add_argument("--seconds", type=float, default=20)
    p.add_argument("--runs", type=int, default=2)
    p.add_argument("--words", type=int, default=28, help="tokens of a text, without the two special ones")
    p.add_argument("--answer", type=int, default=32)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--cache", default=os.path.expanduser("~/.cache/sema/bench"))
    p.add_argument("--sema", default=os.path.join(HERE, "..", "bin", "sema"))
    a = p.parse_args()
    folder = prepare(a)
    rows = {n: {"sema": [], "peer": []} for n in a.clients}
    for _ in range(a.runs):
        for name, start in (("sema", sema), ("peer", peer)):
            service = start(a, folder)
            load(service.port, 1, 2, a.words, a.answer)  # warm up
            for n in a.clients:
                rows[n][name].append(load(service.port, n, a.seconds, a.words, a.answer))
            service.stop()
    print(f"texts of {a.words + 2} tokens, answers of {a.answer}, {a.threads} threads, {a.runs} runs of {a.seconds:.0f} s")
    print("{:>8}  {:>30}  {:>30}  {:>10} {:>10}".format("clients", "sema: req/s, p50 s, p95 s", "peer: req/s, p50 s, p95 s", "req/s", "p95"))
    for n in a.clients:
        m = {side: {k: statistics.median(r[k] for r in rows[n][side]) for k in ("rps", "p50", "p95")} for side in ("sema", "peer")}
        s, q = m["sema"], m["peer"]
        print("{:>8}  {:>30}  {:>30}  {:>9.1f}x {:>9.2f}x".format(n, f"{s['rps']:.2f}, {s['p50']:.2f}, {s['p95']:.2f}", f"{q['rps']:.2f}, {q['p50']:.2f}, {q['p95']:.2f}", s["rps"] / q["rps"], s["p95"] / q["p95"]))


if __name__ == "__main__":
    main()
