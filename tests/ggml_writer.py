"""Small models in every generation and architecture of GGML, written from the description of the formats.

    model = ggml_writer.model("gptj")                           # header, words, tensors: plain values
    values = ggml_writer.write(path, model, "ggml", "Q4_0")     # values that each tensor stands for

It shares no code with the reader: quantisers and layouts are its own, one block and one field at a time.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]

MAGIC = {"ggml": b"lmgg", "ggmf": b"fmgg", "ggjt": b"tjgg", "ggcc": b"ccgg"}
GENERATIONS = ("ggml", "ggmf v1", "ggjt v1", "ggjt v2", "ggjt v3")
TYPE = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q4_2": 4, "Q4_3": 5, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8}
TYPE |= {"Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14}
RWKV_TYPE = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q4_2": 5, "Q4_3": 6, "Q5_0": 7, "Q5_1": 8, "Q8_0": 9}
FILE_TYPE = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q4_2": 5, "Q4_3": 6, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9}
FILE_TYPE |= {"Q2_K": 10, "Q3_K": 12, "Q4_K": 15, "Q5_K": 17, "Q6_K": 18}
K_BYTES = {"Q2_K": 84, "Q3_K": 110, "Q4_K": 144, "Q5_K": 176, "Q6_K": 210}
V, C, H, L, F, X = 272, 32, 4, 2, 64, 48


@dataclass
class Model:
    """One model before it is written.

    header   (field, value) in order, without ftype
    after    fields after ftype
    words    u32 length and bytes each; with an f32 score if `scores`, n_vocab before them if `counted`
    """

    header: list[tuple[str, int | float]]
    tensors: dict[str, Values]
    words: list[bytes]
    scores: list[float] = field(default_factory=list)
    counted: bool = False
    after: list[tuple[str, int | float]] = field(default_factory=list)
    merges: list[tuple[bytes, bytes]] = field(default_factory=list)


def quantised(kind: str, revision: int, values: Values, f16_scales: bool = False) -> tuple[bytes, Values]:
    """(blocks, the values they stand for) of a matrix whose rows are whole blocks.

    revision     0: f32 scales and nibbles in pairs; 1: f32 scales, nibbles in halves; 2: as in GGUF files
    f16_scales   choose scales that are float16 numbers, though they are written as f32
    """
    if kind == "F32":
        return values.astype("<f4").tobytes(), values.astype(np.float32)
    if kind == "F16":
        return values.astype("<f2").tobytes(), values.astype(np.float16).astype(np.float32)
    size = 16 if kind in ("Q4_2", "Q4_3") else 32
    blocks, decoded = [], []
    for block in values.reshape(-1, size):
        data, back = _block(kind, revision, [float(v) for v in block], f16_scales)
        blocks.append(data)
        decoded.append(back)
    return b"".join(blocks), np.array(decoded, np.float32).reshape(values.shape)


def _block(kind: str, revision: int, x: list[float], f16_scales: bool) -> tuple[bytes, Values]:
    short = revision == 2 or kind in ("Q4_2", "Q4_3", "Q5_0", "Q5_1")
    bits = {"Q4_0": 4, "Q4_1": 4, "Q4_2": 4, "Q4_3": 4, "Q5_0": 5, "Q5_1": 5, "Q8_0": 8}[kind]
    top = (1 << bits) - 1
    if kind in ("Q4_1", "Q4_3", "Q5_1"):
        low = _number(min(x), short or f16_scales)
        d = _number((max(x) - float(low)) / top, short or f16_scales)
        offset = 0
    else:
        low, offset = None, (0 if kind == "Q8_0" else 1 << (bits - 1))
        d = _number(max(abs(v) for v in x) / (127 if kind == "Q8_0" else offset - 1), short or f16_scales)
    base = float(low or 0)
    q = [round((v - base) / float(d)) if d else 0 for v in x]
    q = [max(-127, min(127, n)) for n in q] if kind == "Q8_0" else [max(0, min(top, n + offset)) for n in q]
    scale = "<e" if short else "<f"
    data = struct.pack(scale, d) + (struct.pack(scale, low) if low is not None else b"")
    if kind == "Q8_0":
        return data + struct.pack("<32b", *q), d * np.array(q, np.float32)
    if bits == 5:
        data += struct.pack("<I", sum((n >> 4) << j for j, n in enumerate(q)))
    half = len(q) // 2
    for j in range(half):
        first, second = (q[2 * j], q[2 * j + 1]) if revision == 0 else (q[j], q[j + half])
        data += bytes([first & 15 | (second & 15) << 4])
    return data, d * (np.array(q, np.float32) - np.float32(offset)) + np.float32(low or 0)


def _number(value: float, short: bool) -> np.float32:
    return np.float32(np.float16(value)) if short else np.float32(value)


def revision_of(generation: str, version: int = 0) -> int:
    """Which block layouts a generation has; `version` is the quantisation version of the ggml examples."""
    known = {"ggmf v1": 0, "ggjt v1": 0, "ggjt v2": 1, "ggjt v3": 2, "ggcc v10": 2, "ggmf v100": 0, "ggmf v101": 2}
    return version if generation == "ggml" else known[generation]


@dataclass
class Built:
    """A file.

    values    what its tensors stand for
    numbers   (place, bytes) of every number before and between tensor data
    """

    data: bytearray = field(default_factory=bytearray)
    values: dict[str, Values] = field(default_factory=dict)
    numbers: list[tuple[int, int]] = field(default_factory=list)

    def number(self, value: int | float) -> None:
        """Append a u32, or an f32."""
        self.numbers.append((len(self.data), 4))
        self.data += struct.pack("<f" if isinstance(value, float) else "<I", value)

    def text(self, text: bytes) -> None:
        """Append a length and that many bytes."""
        self.number(len(text))
        self.data += text


def build(
    model: Model, generation: str, kind: str = "F32", *, version: int = 0, f16_scales: bool = False
) -> Built:
    """A file whose matrices are of type `kind` and whose vectors are F32.

    version   quantisation version, 0 to 2: what ftype says in the thousands of `ggml` files
    """
    magic, _, number = generation.partition(" v")
    rwkv = number in ("100", "101")
    revision = revision_of(generation, version)
    built = Built(bytearray(MAGIC[magic]))
    if number:
        built.number(int(number))
    ftype = RWKV_TYPE[kind] if rwkv else FILE_TYPE[kind] + (1000 * version if generation == "ggml" else 0)
    for _, value in [*model.header, ("ftype", ftype), *model.after]:
        built.number(value)
    if model.counted:
        built.number(len(model.words))
    for place, word in enumerate(model.words):
        built.text(word)
        if model.scores:
            built.number(model.scores[place])
    if magic == "ggcc":
        built.number(len(model.merges))
        for text in (part for pair in model.merges for part in pair):
            built.text(text)
    for name, values in model.tensors.items():
        type_name = kind if values.ndim == 2 and not _stays_f32(name) else "F32"
        blocks, built.values[name] = _tensor(type_name, revision, values, f16_scales)
        _record(built, name, values.shape, (RWKV_TYPE if rwkv else TYPE)[type_name], magic in ("ggjt", "ggcc"))
        built.data += blocks
    return built


def _tensor(kind: str, revision: int, values: Values, f16_scales: bool) -> tuple[bytes, Values]:
    if kind not in K_BYTES:
        return quantised(kind, revision, values, f16_scales)
    count = values.size // 256 * K_BYTES[kind]
    return np.random.default_rng(7).integers(0, 60, count, dtype=np.uint8).tobytes(), values


def _stays_f32(name: str) -> bool:
    return name == "model/wpe"


def _record(built: Built, name: str, shape: Iterable[int], number: int, aligned: bool) -> None:
    dims = list(shape)[::-1]
    for value in (len(dims), len(name), number, *dims):
        built.number(value)
    built.data += name.encode()
    while aligned and len(built.data) % 32:
        built.data += b"\0"


def write(path: Path, model: Model, generation: str, kind: str = "F32", **options: Any) -> dict[str, Values]:
    """Write a file; the values that its tensors stand for."""
    built = build(model, generation, kind, **options)
    path.write_bytes(built.data)
    return built.values


def generation_for(architecture: str) -> str:
    """One generation that files of an architecture came in."""
    return {"llama": "ggjt v3", "rwkv": "ggmf v101", "falcon40": "ggcc v10"}.get(architecture, "ggml")


def model(architecture: str, *, columns: int = C, ff: int = F, layers: int = L, seed: int = 5) -> Model:
    """A random model; `falcon40` is Falcon with two norms in the ggcc form, `starcoder1` has one key head."""
    c, f = columns, ff
    rng = np.random.default_rng([seed, *architecture.encode()])

    def filled(shapes: dict[str, tuple[int, ...]]) -> dict[str, Values]:
        return {
            name: (rng.normal(0, 0.15, shape) + (len(shape) == 1)).astype(np.float16).astype(np.float32)
            for name, shape in shapes.items()
        }

    return _MODELS[architecture](filled, byte_level_words(), c, f, layers)


def byte_level_words() -> list[bytes]:
    """One special token, the 256 bytes in GPT-2's order, then what 15 merges made."""
    order = [*range(33, 127), *range(161, 173), *range(174, 256)]
    order += [byte for byte in range(256) if byte not in order]
    made = [b"th", b"the", b" the", b"in", b"an", b"and", b" and", b"ing", b" t", b"er", b"ou", b"you"]
    return [b"<|endoftext|>", *(bytes([byte]) for byte in order), *made, b" you", b"\xc3\xa9", b"t\xc3\xa9"]


def _per_layer(layers: int, prefix: str, shapes: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    return {prefix.format(i) + name: shape for i in range(layers) for name, shape in shapes.items()}


def _llama(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    shapes = {"tok_embeddings.weight": (V, c), "norm.weight": (c,), "output.weight": (V, c)}
    square = {f"attention.w{x}.weight": (c, c) for x in "qkvo"}
    rest = {"feed_forward.w1.weight": (f, c), "feed_forward.w2.weight": (c, f), "feed_forward.w3.weight": (f, c)}
    norms = {"attention_norm.weight": (c,), "ffn_norm.weight": (c,)}
    shapes |= _per_layer(layers, "layers.{}.", square | rest | norms)
    header = [("n_vocab", V), ("n_embd", c), ("n_mult", 32), ("n_head", H), ("n_layer", layers), ("n_rot", c // H)]
    words = [b" \xe2\x81\x87 ", b"", b"", *(bytes([b]) for b in range(256)), *words[259:]]
    return Model(header, filled(shapes), words, [-float(n) for n in range(V)])


def _gpt2(filled, words, c, f, layers, rows=None) -> Model:  # type: ignore[no-untyped-def]
    rows = rows or 3 * c
    shapes = {"model/ln_f/g": (c,), "model/ln_f/b": (c,), "model/wte": (V, c), "model/wpe": (X, c)}
    layer = {"attn/c_attn": (rows, c), "attn/c_proj": (c, c), "mlp/c_fc": (f, c), "mlp/c_proj": (c, f)}
    each: dict[str, tuple[int, ...]] = {f"ln_{n}/{x}": (c,) for n in (1, 2) for x in "gb"}
    for name, shape in layer.items():
        each |= {f"{name}/w": shape, f"{name}/b": shape[:1]}
    shapes |= _per_layer(layers, "model/h{}/", each)
    header = [("n_vocab", V), ("n_ctx", X), ("n_embd", c), ("n_head", H), ("n_layer", layers)]
    return Model(header, filled(shapes), words, counted=True)


def _starcoder(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    return _gpt2(filled, [*words[:-1], b"<fim_prefix>"], c, f, layers)


def _starcoder1(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    return _gpt2(filled, words, c, f, layers, c + 2 * (c // H))


def _gptj(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    shapes = {"transformer.wte.weight": (V, c), "transformer.ln_f.weight": (c,), "transformer.ln_f.bias": (c,)}
    shapes |= {"lm_head.weight": (V, c), "lm_head.bias": (V,)}
    each: dict[str, tuple[int, ...]] = {f"attn.{x}_proj.weight": (c, c) for x in ("q", "k", "v", "out")}
    each |= {"ln_1.weight": (c,), "ln_1.bias": (c,), "mlp.fc_in.weight": (f, c), "mlp.fc_in.bias": (f,)}
    each |= {"mlp.fc_out.weight": (c, f), "mlp.fc_out.bias": (c,)}
    shapes |= _per_layer(layers, "transformer.h.{}.", each)
    header = [("n_vocab", V), ("n_ctx", X), ("n_embd", c), ("n_head", H), ("n_layer", layers), ("n_rot", 8)]
    return Model(header, filled(shapes), words, counted=True)


def _gptneox(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    shapes = {"gpt_neox.embed_in.weight": (V, c), "embed_out.weight": (V, c)}
    shapes |= {f"gpt_neox.final_layer_norm.{x}": (c,) for x in ("weight", "bias")}
    each: dict[str, tuple[int, ...]] = {}
    for name in ("input_layernorm", "post_attention_layernorm"):
        each |= {f"{name}.weight": (c,), f"{name}.bias": (c,)}
    matrices = {"attention.query_key_value": (3 * c, c), "attention.dense": (c, c)}
    matrices |= {"mlp.dense_h_to_4h": (f, c), "mlp.dense_4h_to_h": (c, f)}
    for name, shape in matrices.items():
        each |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    shapes |= _per_layer(layers, "gpt_neox.layers.{}.", each)
    header = [("n_vocab", V), ("n_ctx", X), ("n_embd", c), ("n_head", H), ("n_layer", layers)]
    return Model([*header, ("n_rot", 4), ("par_res", 1)], filled(shapes), words)


def _mpt_tensors(c: int, f: int, layers: int) -> dict[str, tuple[int, ...]]:
    each = {"norm_1.weight": (c,), "attn.Wqkv.weight": (3 * c, c), "attn.out_proj.weight": (c, c)}
    each |= {"norm_2.weight": (c,), "ffn.up_proj.weight": (f, c), "ffn.down_proj.weight": (c, f)}
    shapes = {"transformer.wte.weight": (V, c), "transformer.norm_f.weight": (c,)}
    return shapes | _per_layer(layers, "transformer.blocks.{}.", each)


def _mpt(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    header = [("d_model", c), ("max_seq_len", X), ("n_heads", H), ("n_layers", layers), ("n_vocab", V)]
    header += [("alibi_bias_max", 8.0), ("clip_qkv", 0.0)]
    return Model(header, filled(_mpt_tensors(c, f, layers)), words)


def _replit(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    header = [("d_model", c), ("max_seq_len", X), ("n_heads", H), ("n_layers", layers), ("n_vocab", V)]
    return Model(header, filled(_mpt_tensors(c, f, layers)), words, [-0.5 * n for n in range(V)])


def _falcon_tensors(c, f, layers, kv, norms) -> dict[str, tuple[int, ...]]:  # type: ignore[no-untyped-def]
    shapes = {"transformer.word_embeddings.weight": (V, c), "lm_head.weight": (V, c)}
    shapes |= {"transformer.ln_f.weight": (c,), "transformer.ln_f.bias": (c,)}
    each: dict[str, tuple[int, ...]] = {f"{n}.{x}": (c,) for n in norms for x in ("weight", "bias")}
    each |= {"self_attention.query_key_value.weight": (c + 2 * kv * (c // H), c)}
    each |= {"self_attention.dense.weight": (c, c), "mlp.dense_h_to_4h.weight": (f, c)}
    each |= {"mlp.dense_4h_to_h.weight": (c, f)}
    return shapes | _per_layer(layers, "transformer.h.{}.", each)


def _falcon(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    header = [("n_vocab", V), ("n_embd", c), ("n_head", H), ("n_layer", layers)]
    return Model(header, filled(_falcon_tensors(c, f, layers, 1, ["input_layernorm"])), words)


def _falcon40(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    header = [("n_vocab", V), ("n_embd", c), ("n_head", H), ("n_head_kv", 2), ("n_layer", layers)]
    tensors = filled(_falcon_tensors(c, f, layers, 2, ["ln_attn", "ln_mlp"]))
    merges = [(b"t", b"h"), (b"th", b"e")]
    return Model(
        [*header, ("n_falcon_type", 40)], tensors, words, [0.0] * V, after=[("n_bpe_merges", 2)], merges=merges
    )


def _rwkv(filled, words, c, f, layers) -> Model:  # type: ignore[no-untyped-def]
    shapes: dict[str, tuple[int, ...]] = {"emb.weight": (V, c)}
    shapes |= {f"blocks.0.ln0.{x}": (c,) for x in ("weight", "bias")}
    each: dict[str, tuple[int, ...]] = {f"{n}.{x}": (c,) for n in ("ln1", "ln2") for x in ("weight", "bias")}
    times = ("att.time_decay", "att.time_first", "att.time_mix_k", "att.time_mix_v", "att.time_mix_r")
    each |= dict.fromkeys((*times, "ffn.time_mix_k", "ffn.time_mix_r"), (c,))
    each |= {f"att.{x}.weight": (c, c) for x in ("key", "value", "receptance", "output")}
    each |= {"ffn.key.weight": (f, c), "ffn.receptance.weight": (c, c), "ffn.value.weight": (c, f)}
    shapes |= _per_layer(layers, "blocks.{}.", each)
    shapes |= {"ln_out.weight": (c,), "ln_out.bias": (c,), "head.weight": (V, c)}
    tensors = filled(shapes)
    for name in tensors:
        if name.endswith("time_decay"):
            tensors[name] = -tensors[name]  # -exp of what the checkpoint has
    return Model([("n_vocab", V), ("n_embd", c), ("n_layer", layers)], tensors, [])


_MODELS = {
    **{"llama": _llama, "gpt2": _gpt2, "starcoder": _starcoder, "starcoder1": _starcoder1, "gptj": _gptj},
    **{"gptneox": _gptneox, "mpt": _mpt, "replit": _replit, "falcon": _falcon, "falcon40": _falcon40},
    **{"rwkv": _rwkv},
}
NAMES = tuple(_MODELS)


def unscored(model: Model) -> Model:
    """A LLaMA model as the `ggml` generation has it, without scores."""
    return Model(model.header, model.tensors, model.words)


def parts(model: Model, count: int) -> list[Model]:
    """A LLaMA model divided into parts, as its checkpoints were."""
    columns = ("tok_embeddings.weight", "attention.wo.weight", "feed_forward.w2.weight")
    divided = []
    for part in range(count):
        tensors = {}
        for name, values in model.tensors.items():
            axis = 1 if name.endswith(columns) else 0
            tensors[name] = np.split(values, count, axis)[part] if values.ndim == 2 else values
        divided.append(Model(model.header, tensors, model.words, model.scores))
    return divided
