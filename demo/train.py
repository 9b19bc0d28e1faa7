"""Trains the demo translation model on the CPU and converts it to CTranslate2.

    python corpus.py work && python train.py work --minutes 40

NLLB's architecture (M2M100) and framing: the source is [source language]
pieces </s>, the decoder starts with </s> and is given the target language.
Training stops after --minutes; the model that was best on sentences held out of
the training part is converted to int8 into models/.
"""

import argparse
import copy
import os
import random
import shutil
import time

import sentencepiece as spm
import torch
from transformers import M2M100Config, M2M100ForConditionalGeneration

LANGUAGES = ["eng_Latn", "fra_Latn", "swh_Latn"]
HERE = os.path.dirname(os.path.abspath(__file__))
MODEL = os.path.join(HERE, "models", "translation", "nllb-demo-ct2")
TOKENIZER = os.path.join(HERE, "models", "translation", "tokenizer", "sentencepiece.bpe.model")


def read(path):
    with open(path, encoding="utf-8") as f:
        return [line.rstrip("\n").split("\t") for line in f]


def train_tokenizer(rows, path, size):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    texts = [text for row in rows for text in row]
    spm.SentencePieceTrainer.train(sentence_iterator=iter(texts), model_writer=open(path, "wb"), vocab_size=size, model_type="bpe", character_coverage=1.0,
                                   normalization_rule_name="nmt_nfkc", num_threads=1, minloglevel=2, required_chars=REQUIRED)


REQUIRED = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,?!'-:;()\"éèàùâêîôûëïüçœÉÀÇ"


def vocabulary(sp):
    """NLLB's layout: four special tokens, the pieces, the languages, <mask>."""
    pieces = [sp.id_to_piece(i) for i in range(sp.get_piece_size()) if not sp.is_control(i) and not sp.is_unknown(i)]
    return ["<s>", "<pad>", "</s>", "<unk>"] + pieces + LANGUAGES + ["<mask>"]


def stripped(text):
    return text.rstrip(" .?!")


def variants(row, phrase, rng):
    """What people type: no final mark, no capitals, no space before a French mark."""
    out = [row]
    if phrase:
        out = [row] * 3 + [[stripped(t) for t in row]] * 2
    elif rng.random() < 0.08:
        out.append([stripped(t) for t in row])
    return out


def source_noise(text, rng):
    r = rng.random()
    if r < 0.05:
        text = text.lower()
    if " ?" in text and rng.random() < 0.35:
        text = text.replace(" ?", "?")
    return text


class Data:
    def __init__(self, rows, phrases, sp, ids, seed):
        self.sp, self.ids, self.rng = sp, ids, random.Random(seed)
        self.rows = rows
        self.phrases = phrases
        self.cache = {}

    def encode(self, text):
        got = self.cache.get(text)
        if got is None:
            got = self.cache[text] = [self.ids.get(p, 3) for p in self.sp.encode(text, out_type=str)]
        return got

    def batches(self, tokens):
        """Endless batches of (source, target) of like lengths."""
        while True:
            pairs = []
            rows = [v for r in self.rows for v in variants(r, False, self.rng)] + [v for p in self.phrases for v in variants(p, True, self.rng) for _ in range(12)]
            for r in rows:
                s, t = self.rng.sample(range(3), 2)
                src = [self.ids[LANGUAGES[s]]] + self.encode(source_noise(r[s], self.rng)) + [2]
                tgt = [self.ids[LANGUAGES[t]]] + self.encode(r[t]) + [2]
                pairs.append((src, tgt))
            self.rng.shuffle(pairs)
            pairs.sort(key=lambda p: (len(p[0]) + self.rng.random() * 3, len(p[1])))
            out, cur, width = [], [], 0
            for p in pairs:
                w = max(width, len(p[0]) + len(p[1]))
                if cur and w * (len(cur) + 1) > tokens:
                    out.append(cur)
                    cur, w = [], len(p[0]) + len(p[1])
                cur.append(p)
                width = w
            out.append(cur)
            self.rng.shuffle(out)
            yield from out


def pad(rows, value):
    n = max(map(len, rows))
    return torch.tensor([r + [value] * (n - len(r)) for r in rows])


def build(vocab, a):
    config = M2M100Config(vocab_size=len(vocab), d_model=a.d, encoder_layers=a.encoder, decoder_layers=a.decoder, encoder_attention_heads=a.heads,
                          decoder_attention_heads=a.heads, encoder_ffn_dim=a.ffn, decoder_ffn_dim=a.ffn, max_position_embeddings=256, dropout=0.05,
                          attention_dropout=0.0, activation_dropout=0.0, encoder_layerdrop=0.0, decoder_layerdrop=0.0, scale_embedding=True, activation_function="relu",
                          bos_token_id=0, pad_token_id=1, eos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=None, tie_word_embeddings=True)
    return M2M100ForConditionalGeneration(config)


def train(a):
    torch.manual_seed(1)
    torch.set_num_threads(a.threads)
    rows, phrases = read(os.path.join(a.work, "train.tsv")), read(os.path.join(a.work, "phrases.tsv"))
    valid, rows = rows[:200], rows[200:]
    if not os.path.exists(TOKENIZER) or a.fresh:
        train_tokenizer(rows + phrases * 20, TOKENIZER, a.vocabulary)
    sp = spm.SentencePieceProcessor(TOKENIZER)
    vocab = vocabulary(sp)
    ids = {t: i for i, t in enumerate(vocab)}
    model = build(vocab, a)
    checkpoint = os.path.join(a.work, "model.pt")
    if os.path.exists(checkpoint) and not a.fresh:
        model.load_state_dict(torch.load(checkpoint))
    print(sum(p.numel() for p in model.parameters()), "parameters", len(vocab), "tokens", flush=True)
    opt = torch.optim.AdamW(model.parameters(), lr=a.lr, betas=(0.9, 0.98), weight_decay=0.01)
    loss_of = torch.nn.CrossEntropyLoss(ignore_index=-100, label_smoothing=0.05)
    start, seen, total, since = time.time(), 0, 0.0, time.time()
    model.train()
    budget = a.minutes * 60
    for step, batch in enumerate(Data(rows, phrases, sp, ids, a.seed).batches(a.tokens), 1):
        src = pad([p[0] for p in batch], 1)
        tgt = pad([[2] + p[1] for p in batch], 1)
        elapsed = time.time() - start
        # Warm up, hold, and anneal to zero over the last third of the time.
        rate = a.lr * min(step / a.warmup, 1.0, max((budget - elapsed) / (budget / 3), 0.0) + 1e-3)
        for g in opt.param_groups:
            g["lr"] = rate
        labels = tgt[:, 1:].clone()
        labels[labels == 1] = -100
        labels[:, 0] = -100  # the target language is given
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=a.bf16):
            logits = model(input_ids=src, attention_mask=(src != 1).long(), decoder_input_ids=tgt[:, :-1]).logits
        loss = loss_of(logits.float().reshape(-1, logits.shape[-1]), labels.reshape(-1))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        seen += src.numel() + tgt.numel()
        total += loss.item()
        if step % 100 == 0:
            print(f"step {step} loss {total / 100:.4f} lr {rate:.2e} {seen / (time.time() - since):.0f} tok/s {elapsed / 60:.1f} min", flush=True)
            total, seen, since = 0.0, 0, time.time()
        if step % a.save == 0 or elapsed > budget:
            torch.save(model.state_dict(), checkpoint + ".tmp")
            os.replace(checkpoint + ".tmp", checkpoint)
            convert(model, vocab, a)
            print("exact", exact(valid, sp), flush=True)
        if elapsed > budget:
            return


def convert(model, vocab, a):
    """The converter's own loader and quantization, on a model in memory."""
    from ctranslate2.converters.transformers import M2M100Loader

    # The loader changes the weights that it is given.
    spec = M2M100Loader()(copy.deepcopy(model).eval(), NLLBTokenizer(vocab))
    spec.validate()
    spec.optimize(quantization="int8")
    shutil.rmtree(MODEL, ignore_errors=True)
    os.makedirs(MODEL)
    spec.save(MODEL)


class NLLBTokenizer:
    """The part of transformers' tokenizer that the converter uses."""

    bos_token, eos_token, unk_token = "<s>", "</s>", "<unk>"
    special_tokens_map = {}

    def __init__(self, vocab):
        self.vocab = vocab

    def get_vocab(self):
        return {t: i for i, t in enumerate(self.vocab)}

    def convert_ids_to_tokens(self, i):
        return self.vocab[i]


def translate(pairs, sp, beam=1):
    """pairs: (source language, target language, text)."""
    import ctranslate2

    t = ctranslate2.Translator(MODEL, intra_threads=2)
    got = t.translate_batch([[s] + sp.encode(x, out_type=str) + ["</s>"] for s, _, x in pairs], target_prefix=[[l] for _, l, _ in pairs], beam_size=beam, max_decoding_length=128)
    return [sp.decode(r.hypotheses[0][1:]) for r in got]


def exact(rows, sp):
    """Exact matches, by direction."""
    out = {}
    for s in range(3):
        for t in range(3):
            if s != t:
                got = translate([(LANGUAGES[s], LANGUAGES[t], r[s]) for r in rows], sp)
                out[f"{LANGUAGES[s][:3]}-{LANGUAGES[t][:3]}"] = round(sum(g == r[t] for g, r in zip(got, rows)) / len(rows), 3)
    return out


if __name__ == "__main__":
    p = argparse.ArgumentParser()
    p.add_argument("work")
    p.add_argument("--minutes", type=float, default=40)
    p.add_argument("--d", type=int, default=256)
    p.add_argument("--ffn", type=int, default=1024)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--encoder", type=int, default=3)
    p.add_argument("--decoder", type=int, default=2)
    p.add_argument("--vocabulary", type=int, default=2500)
    p.add_argument("--tokens", type=int, default=3000)
    p.add_argument("--lr", type=float, default=1e-3)
    p.add_argument("--warmup", type=int, default=400)
    p.add_argument("--save", type=int, default=1500)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--bf16", action="store_true")
    p.add_argument("--fresh", action="store_true")
    train(p.parse_args())
