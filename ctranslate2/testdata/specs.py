"""Models made of CTranslate2's own specifications, for what the Transformers converter does not use,
and models in the older binary versions, which the current library reads but no longer writes."""

import json
import os
import struct

import families
import numpy as np
from ctranslate2.specs import common_spec, transformer_spec

D, FFN, HEADS = 32, 48, 4
DTYPES = ["float32", "int8"]
Activation = common_spec.Activation
_SPECIAL = ["<blank>", "<s>", "</s>", "<unk>"]


class Filler:
    """Gives the variables of a specification random values, in a fixed order."""

    def __init__(self, seed, source, target):
        self.rng = np.random.default_rng(seed)
        self.source, self.target = source, target

    def normal(self, *shape, deviation=1.0):
        return (deviation * self.rng.standard_normal(shape)).astype(np.float32)

    def linear(self, spec, n, k, gain=1.5, bias=True):
        spec.weight = self.normal(n, k, deviation=gain / k**0.5)
        if bias:
            spec.bias = self.normal(n, deviation=0.2)

    def norm(self, spec, signs=False, scale=1.0):
        gamma = scale * (1 + 0.2 * np.abs(self.normal(D)))
        spec.gamma = (gamma * (np.where(self.rng.random(D) < 0.5, -1, 1) if signs else 1)).astype(np.float32)
        if hasattr(spec, "beta"):
            spec.beta = self.normal(D, deviation=0.2)

    def attention(self, spec, cross, max_relative):
        self.norm(spec.layer_norm)
        for linear, n in zip(spec.linear, (D, 2 * D, D) if cross else (3 * D, D)):
            self.linear(linear, n, D)
        if hasattr(spec, "relative_position_keys"):
            spec.relative_position_keys = self.normal(2 * max_relative + 1, D // HEADS)
            spec.relative_position_values = self.normal(2 * max_relative + 1, D // HEADS)

    def stack(self, spec, decoder, max_relative, positions, embedding):
        for layer in spec.layer:
            self.attention(layer.self_attention, False, max_relative)
            if decoder:
                self.attention(layer.attention, True, max_relative)
            self.norm(layer.ffn.layer_norm)
            self.linear(layer.ffn.linear_0, FFN, D)
            if hasattr(layer.ffn, "linear_0_noact"):
                self.linear(layer.ffn.linear_0_noact, FFN, D)
            self.linear(layer.ffn.linear_1, D, FFN)
        if hasattr(spec, "layer_norm"):
            self.norm(spec.layer_norm, signs=decoder)
        if hasattr(spec, "layernorm_embedding"):
            self.norm(spec.layernorm_embedding)
        if positions and hasattr(spec, "position_encodings"):
            spec.position_encodings.encodings = self.normal(128, D, deviation=0.7)
        embeddings = spec.embeddings if decoder else spec.embeddings[0]
        embeddings.weight = self.normal(self.target if decoder else self.source, embedding, deviation=4 / D**0.5)

    def model(self, spec, max_relative=4, positions=False, tied=False, embedding=D):
        self.stack(spec.encoder, False, max_relative, positions, D)
        self.stack(spec.decoder, True, max_relative, positions, embedding)
        if tied:
            spec.decoder.projection.weight = spec.decoder.embeddings.weight
            spec.decoder.projection.bias = self.normal(self.target, deviation=0.3)
        else:
            self.linear(spec.decoder.projection, self.target, embedding, gain=4)
        spec.decoder.projection.weight[2] *= 1.5  # </s>
        if embedding != D:
            self.linear(spec.decoder.project_in, D, embedding, bias=False)
            self.linear(spec.decoder.project_out, embedding, D, gain=1, bias=False)
        return spec


def _vocabulary(n):
    return _SPECIAL + families.PIECES[: n - len(_SPECIAL)]


def _save(make, folder, dtypes, source, target, text=False, **config):
    for dtype in dtypes:
        spec, path = make(), os.path.join(folder, dtype)
        for vocabulary, register in ((source, spec.register_source_vocabulary), (target, spec.register_target_vocabulary)):
            register(vocabulary)
        for key, value in config.items():
            setattr(spec.config, key, value)
        spec.validate()
        spec.optimize(quantization=dtype)
        os.makedirs(path)
        spec.save(path)
        if text:
            _as_text(path)


def _as_text(path):
    """Replaces .json vocabularies by .txt, one token a line."""
    for name in sorted(os.listdir(path)):
        if name.endswith("_vocabulary.json"):
            with open(os.path.join(path, name)) as f:
                tokens = json.load(f)
            os.remove(os.path.join(path, name))
            with open(os.path.join(path, name[:-5] + ".txt"), "w") as f:
                f.write("".join(t + "\n" for t in tokens))


def _relative(folder):
    """Shaw's relative positions, clipped; two vocabularies as text; alignment by the mean of two heads of the first layer."""
    def make():
        spec = transformer_spec.TransformerSpec.from_config(
            2, HEADS, with_relative_position=True, activation=Activation.GELUSigmoid, alignment_layer=0, alignment_heads=2)
        return Filler(11, 100, 120).model(spec)

    _save(make, folder, DTYPES, _vocabulary(100), _vocabulary(120), text=True)


def _gated(folder):
    """RMS norm, a gate, generated sinusoids, an epsilon, special tokens that are added to the source."""
    def make():
        spec = transformer_spec.TransformerSpec.from_config((1, 2), HEADS, activation=Activation.Sigmoid, ffn_glu=True, rms_norm=True)
        return Filler(12, 100, 100).model(spec)

    _save(make, folder, DTYPES, _vocabulary(100), _vocabulary(100), layer_norm_epsilon=1e-2, add_source_bos=True, add_source_eos=True)


def _postnorm(folder):
    """Post-norm with a norm on the embeddings, tied output with a bias, all heads aligned, no scale, a start token from the caller."""
    def make():
        spec = transformer_spec.TransformerSpec.from_config(
            2, HEADS, pre_norm=False, activation=Activation.Tanh, layernorm_embedding=True, alignment_heads=0)
        spec.encoder.scale_embeddings = spec.decoder.scale_embeddings = False
        spec.decoder.start_from_zero_embedding = True
        return Filler(13, 100, 100).model(spec, positions=True, tied=True)

    _save(make, folder, DTYPES, _vocabulary(100), _vocabulary(100), decoder_start_token=None)


def _projected(folder):
    """Pre-norm without a last norm, embeddings of another width than the decoder, scaled outputs."""
    def make():
        encoder = transformer_spec.TransformerEncoderSpec(1, HEADS, no_final_norm=True, activation=Activation.GELUTanh)
        decoder = transformer_spec.TransformerDecoderSpec(2, HEADS, no_final_norm=True, activation=Activation.SWISH, project_in_out=True)
        decoder.scale_outputs = 0.3
        return Filler(14, 100, 100).model(transformer_spec.TransformerSpec(encoder, decoder), positions=True, embedding=24)

    _save(make, folder, DTYPES, _vocabulary(100), _vocabulary(100))


def _base():
    spec = transformer_spec.TransformerSpec.from_config(1, 8)
    return Filler(15, 100, 100).model(spec, tied=True)


# Models of each binary version. Those before version 5 cut activations to int8 instead of rounding them.
_CUTTING = ["v1-float32", "v1-int8", "v2-float32", "v3-int8", "v4-float32", "v4-int8"]
_ROUNDING = ["v5-float32", "v5-int8"]


def _legacy(names):
    def make(folder):
        vocabulary = _vocabulary(100)
        for name in names:
            version, dtype = int(name[1]), name[3:]
            spec = _base()
            spec.register_source_vocabulary(vocabulary)
            spec.register_target_vocabulary(vocabulary)
            spec.validate()
            spec.optimize(quantization=dtype)
            path = os.path.join(folder, name)
            os.makedirs(path)
            with open(os.path.join(path, "shared_vocabulary.txt"), "w") as f:
                f.write("".join(t + "\n" for t in vocabulary))
            write_binary(spec, version, os.path.join(path, "model.bin"))

    return make


# Spec revisions that were current with each binary version, and names that the attributes then had.
_REVISIONS = {1: 1, 2: 3, 3: 3, 4: 4, 5: 5}
_ROOT_ATTRIBUTES = ("num_heads", "pre_norm", "activation", "embeddings_merge", "alignment_layer", "alignment_heads")


def write_binary(spec, version, path):
    """Writes model.bin as the given version had it; see src/models/model.cc of CTranslate2 for what each reads."""
    variables, aliases = {}, {}
    for name, value in spec.variables(ordered=True):
        if isinstance(value, str):
            aliases[name] = value
        else:
            variables[name] = value.numpy()
    if version < 5:
        for side in ("encoder", "decoder"):
            for attribute in _ROOT_ATTRIBUTES:
                value = variables.pop("%s/%s" % (side, attribute), None)
                if value is not None:
                    variables[attribute] = value
    if version < 4:  # types follow from the size of an item
        variables = {k: v.astype(np.int8) if v.dtype == np.int16 and v.ndim == 0 else v for k, v in variables.items()}
    if version < 3:  # no aliases
        for alias, name in aliases.items():
            variables[alias] = variables[name]
            if name + "_scale" in variables:
                variables[alias + "_scale"] = variables[name + "_scale"]
        aliases = {}
    variables["with_target_bos"] = np.int8(version != 4)  # in version 4, decoding starts from </s>
    if version == 1:
        variables.pop("num_heads")  # known to be 8
        variables = {_first_name(k): v for k, v in variables.items()}
    with open(path, "wb") as f:
        f.write(struct.pack("<I", version))
        if version >= 2:
            _string(f, "TransformerSpec")
            f.write(struct.pack("<I", _REVISIONS[version]))
        f.write(struct.pack("<I", len(variables)))
        for name, value in sorted(variables.items()):
            _variable(f, name, np.asarray(value), version)
        if version >= 3:
            f.write(struct.pack("<I", len(aliases)))
            for alias, name in sorted(aliases.items()):
                _string(f, alias)
                _string(f, name)


def _first_name(name):
    """The name of a variable in OpenNMT-tf, which the first version kept."""
    if "/" not in name:
        return name
    name = name.replace("embeddings_0/weight", "w_embs").replace("embeddings/weight", "w_embs")
    if name.startswith("encoder"):
        name = name.replace("self_attention", "multi_head")
    else:
        name = name.replace("/attention", "/multi_head").replace("self_attention", "masked_multi_head")
    name = name.replace("layer_norm", "LayerNorm").replace("projection", "dense").replace("weight", "kernel")
    return "transformer/" + name.replace("linear_0", "conv1d").replace("linear_", "conv1d_") + ":0"


def _string(f, text):
    f.write(struct.pack("<H", len(text) + 1) + text.encode() + b"\0")


def _variable(f, name, value, version):
    _string(f, name)
    f.write(struct.pack("<B", value.ndim) + b"".join(struct.pack("<I", d) for d in value.shape))
    if version >= 4:
        code = [np.float32, np.int8, np.int16, np.int32].index(value.dtype.type)
        f.write(struct.pack("<BI", code, value.nbytes))
    else:
        f.write(struct.pack("<BI", value.itemsize, value.size))
    f.write(value.tobytes())


def models():
    """What make_golden.py needs of each model, and the function that writes it to a folder."""
    def describe(name, after=("</s>",), prefixes=None, dtypes=DTYPES, **more):
        return dict(name=name, before=[], after=list(after), prefixes=prefixes, pieces=families.PIECES[:110], dtypes=dtypes,
                    start_in_prefix=prefixes is not None, **more)

    return [(describe("relative", attention=True), _relative), (describe("gated", after=()), _gated),
            (describe("postnorm", prefixes=[["<s>"], ["ba"]], attention=True), _postnorm), (describe("projected"), _projected),
            (describe("cutting", dtypes=_CUTTING, stem="v4-"), _legacy(_CUTTING)),
            (describe("version5", dtypes=_ROUNDING, stem="v5-"), _legacy(_ROUNDING))]
