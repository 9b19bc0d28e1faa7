"""Small random models of the families that CTranslate2's Transformers converter makes.

Each family is a real `transformers` configuration, saved to a folder and
converted by the real converter. Only the tokenizer is a stand-in: the
converter wants no more of it than the vocabulary and the special tokens.
"""

import copy
import dataclasses
import math
import os
import tempfile

import torch
import transformers
from ctranslate2.converters import TransformersConverter

VOCABULARY = 256

_CONSONANTS, _VOWELS = "bdfgklmnprstvz", "aeiou"
PIECES = [c + v for c in _CONSONANTS for v in _VOWELS]
PIECES = ["\u2581" + p for p in PIECES] + PIECES + ["\u2581", "!", ",", "\u2581\u00e9", "\U0001d518", "\u4f60"]


@dataclasses.dataclass
class Tokenizer:
    tokens: list
    bos_token: str = "<s>"
    eos_token: str = "</s>"
    unk_token: str = "<unk>"
    pad_token: str = "<pad>"
    special_tokens_map: dict = dataclasses.field(default_factory=dict)

    @property
    def unk_token_id(self):
        return self.tokens.index(self.unk_token)

    def get_vocab(self):
        return {t: i for i, t in enumerate(self.tokens)}

    def convert_ids_to_tokens(self, i):
        return self.tokens[i]


@dataclasses.dataclass
class Family:
    name: str
    config: object  # of transformers
    model: type
    tokenizer: Tokenizer
    before: list = dataclasses.field(default_factory=list)  # source framing
    after: list = dataclasses.field(default_factory=lambda: ["</s>"])
    prefixes: list = None  # target prefixes, taken in turn; None: no prefix
    seed: int = 1  # one that gives varied results
    gain: float = 2.0  # of linear layers
    feed_gain: float = None  # of feed-forward layers, if another
    positions: float = 0.5  # deviation of learned positions
    embedding: float = 4.0  # deviation of embeddings after scaling by the root of d
    tied: bool = True  # output layer and embeddings
    end: float = 2.0  # factor on the embedding of </s>: how often it wins


def _vocabulary(head, tail):
    body = PIECES[: VOCABULARY - len(head) - len(tail)]
    fill = ["w%d" % i for i in range(VOCABULARY - len(head) - len(tail) - len(body))]
    return head + body + fill + tail


_FAIRSEQ = ["<s>", "<pad>", "</s>", "<unk>"]


def _dims(d, **more):
    return dict(vocab_size=VOCABULARY, d_model=d, encoder_layers=2, decoder_layers=2, encoder_attention_heads=4,
                decoder_attention_heads=4, encoder_ffn_dim=2 * d, decoder_ffn_dim=2 * d, max_position_embeddings=128, **more)


def _ids(tokens, start, **more):
    return dict(pad_token_id=tokens.index("<pad>"), eos_token_id=tokens.index("</s>"),
                decoder_start_token_id=tokens.index(start), **more)


def _m2m(name, languages, d, seed):
    tokens = _vocabulary(_FAIRSEQ, languages + ["<mask>"])
    config = transformers.M2M100Config(**_dims(d), **_ids(tokens, "</s>", bos_token_id=0), scale_embedding=True)
    return Family(name, config, transformers.M2M100ForConditionalGeneration, Tokenizer(tokens),
                  before=languages[:1], prefixes=[[l] for l in languages[1:]], seed=seed, gain=1.5)


def _marian():
    tokens = _vocabulary(["</s>", "<unk>"], ["<pad>"])
    config = transformers.MarianConfig(**_dims(32, activation_function="swish"), **_ids(tokens, "<pad>"), scale_embedding=True)
    return Family("marian", config, transformers.MarianMTModel, Tokenizer(tokens), seed=9, gain=1.0, feed_gain=1.5, end=2.3)


def _mbart():
    languages = ["en_XX", "fr_XX", "sw_KE"]
    tokens = _vocabulary(_FAIRSEQ, languages + ["<mask>"])
    config = transformers.MBartConfig(**_dims(32, activation_function="gelu"), **_ids(tokens, "</s>", bos_token_id=0),
                                      scale_embedding=True, normalize_before=True, normalize_embedding=True)
    return Family("mbart", config, transformers.MBartForConditionalGeneration, Tokenizer(tokens),
                  after=["</s>", "en_XX"], prefixes=[["fr_XX"], ["sw_KE"]], seed=8, positions=4.0, end=1.5)


def _bart():
    tokens = _vocabulary(_FAIRSEQ, ["<mask>"])
    config = transformers.BartConfig(**_dims(32, activation_function="gelu"), **_ids(tokens, "</s>", bos_token_id=0),
                                     normalize_before=False, normalize_embedding=True)
    return Family("bart", config, transformers.BartForConditionalGeneration, Tokenizer(tokens), before=["<s>"], seed=13, gain=1.0, feed_gain=1.5, end=3.0)


def _pegasus():
    tokens = _vocabulary(["<pad>", "</s>", "<unk>"], [])
    config = transformers.PegasusConfig(**_dims(32, activation_function="relu"), **_ids(tokens, "<pad>"), scale_embedding=True,
                                        normalize_before=True, normalize_embedding=False)
    return Family("pegasus", config, transformers.PegasusForConditionalGeneration, Tokenizer(tokens))


def _t5(name, head, tail, **more):
    tokens = _vocabulary(head, tail)
    config = transformers.T5Config(vocab_size=VOCABULARY, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_decoder_layers=2, num_heads=4,
                                   relative_attention_num_buckets=8, relative_attention_max_distance=16,
                                   **_ids(tokens, "<pad>"), **more)
    return Family(name, config, transformers.T5ForConditionalGeneration, Tokenizer(tokens))


def families():
    flores = ["eng_Latn", "fra_Latn", "swh_Latn", "zho_Hant"]
    madlad = _t5("madlad", ["<unk>", "<pad>", "</s>"], ["<2en>", "<2fr>", "<2sw>"], feed_forward_proj="gated-gelu")
    madlad.before, madlad.tied, madlad.end = ["<2fr>"], False, 1.5
    return [_m2m("nllb", flores, 48, 3), _m2m("m2m100", ["__en__", "__fr__", "__sw__"], 32, 10), _marian(), _mbart(), _bart(), _pegasus(),
            _t5("t5", ["<pad>", "</s>", "<unk>"], [], feed_forward_proj="relu"), madlad]


def _randomize(model, family):
    """Draws weights that give varied outputs: the default initialization makes a model that hardly looks at its input."""
    generator = torch.Generator().manual_seed(family.seed)
    end = family.config.eos_token_id
    seen = set()
    for name, p in sorted(model.state_dict(keep_vars=True).items()):
        if id(p) in seen or not p.is_floating_point() or "embed_positions" in name and "weight" not in name:
            continue
        seen.add(id(p))  # tied weights have several names
        noise = torch.randn(p.shape, generator=generator)
        d = p.shape[-1]
        if "embed_positions" in name:
            if family.name == "marian":
                continue  # sinusoids, as Marian has them
            p.data = family.positions * noise
        elif "final_logits_bias" in name:
            p.data = 0.3 * noise
        elif "relative_attention_bias" in name:
            p.data = noise
        elif name.startswith(("shared", "lm_head")) or "embed_tokens" in name or "shared" in name:
            p.data = noise * _embedding_deviation(family, name, d)
            p.data[end] *= family.end
        elif p.dim() == 2:
            gain = family.feed_gain or family.gain if ".fc" in name else family.gain
            if name.endswith("Attention.q.weight"):
                gain /= 4  # T5 does not scale its queries
            p.data = noise * gain / math.sqrt(d)
        elif _is_last_norm(name):
            # Random signs: else a tied output layer repeats its input token for ever.
            p.data = 4 / family.embedding * (1 + 0.2 * noise.abs()) * torch.where(torch.rand(p.shape, generator=generator) < 0.5, -1, 1)
        elif "norm" in name and name.endswith("weight"):
            p.data = 1 + 0.2 * noise
        else:
            p.data = 0.2 * noise


def _is_last_norm(name):
    return name in ("model.decoder.layer_norm.weight", "decoder.final_layer_norm.weight",
                    "model.decoder.layers.1.final_layer_norm.weight")


def _embedding_deviation(family, name, d):
    if family.name == "t5":
        return 4.0
    return family.embedding / math.sqrt(d)


class _Converter(TransformersConverter):
    def __init__(self, path, model, tokenizer):
        super().__init__(path)
        self._model, self._tokenizer = model, tokenizer

    def load_model(self, *_, **__):
        return self._model

    def load_tokenizer(self, *_, **__):
        return self._tokenizer


def convert(family, quantizations, output):
    """Writes output/<quantization>/ for each; None is called float32."""
    torch.manual_seed(family.seed)
    model = family.model(family.config).eval()
    if not family.tied:
        # This version of transformers ties what the configuration of an older one unties.
        model.config.tie_word_embeddings = False
        model.lm_head.weight = torch.nn.Parameter(torch.zeros_like(model.lm_head.weight))
    _randomize(model, family)
    with tempfile.TemporaryDirectory() as folder:
        model.config.save_pretrained(folder)
        for quantization in quantizations:
            # The converter quantizes weights in place.
            _Converter(folder, copy.deepcopy(model), family.tokenizer).convert(os.path.join(output, quantization), quantization=quantization, force=True)
