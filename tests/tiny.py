"""Tiny random models of any family and any tensor type, in memory or as a GGUF file.

    model = tiny.model("llama", types="Q4_K", C=256, F=512)     # a Source, for read_model and compile
    tiny.write(tmp_path / "tiny.gguf", model)
    tiny.model("llama", tokenizer=True)                         # with a tokenizer and a chat template

A weight depends on the seed, its name and its shape alone, and on a generator whose stream never changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from furet import quant
from furet.dtypes import TensorType
from furet.families import find_family
from furet.families.fields import Fields
from furet.families.tensors import applying
from furet.files.gguf import write_gguf
from furet.measure.random_blocks import SCALE, set_scales

SIZES = {"L": 2, "C": 64, "H": 4, "K": 2, "F": 96, "V": 97}
KEYS = {
    "L": "block_count",
    "C": "embedding_length",
    "H": "attention.head_count",
    "K": "attention.head_count_kv",
    "D": "attention.key_length",
    "F": "feed_forward_length",
    "V": "vocab_size",
}

TYPES = {"F32", "F16", "BF16", "MXFP4", "Q8_K", *SCALE}  # the matrix types that it can make up

CHATML = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@dataclass(frozen=True)
class TinyTensor:
    """A tensor of a tiny model; what `furet.ops.Tensor` asks for."""

    name: str
    type: TensorType
    shape: tuple[int, ...]


@dataclass
class TinyModel:
    """A model in memory; what `furet.ops.Source` asks for. `blocks` holds each tensor's bytes."""

    metadata: dict[str, Any]
    tensors: dict[str, TinyTensor] = field(default_factory=dict)
    blocks: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    byteorder: str = "little"

    def data(self, name: str) -> NDArray[np.uint8]:
        return self.blocks[name]

    def read(self, name: str, offset: int, out: memoryview) -> None:
        out[:] = self.blocks[name][offset : offset + len(out)].data

    def put(self, name: str, kind: TensorType, shape: tuple[int, ...], blocks: NDArray[np.uint8]) -> None:
        """Add a tensor, or replace one."""
        self.tensors[name] = TinyTensor(name, kind, shape)
        self.blocks[name] = blocks


def model(
    architecture: str = "llama",
    *,
    types: str | Mapping[str, str] = "F32",
    optional: Iterable[str] = ("output",),
    tokenizer: bool = False,
    seed: int = 0,
    keys: Mapping[str, Any] | None = None,
    **sizes: int,
) -> TinyModel:
    """A model of random weights.

    types       tensor type of the matrices: one for all, or by attribute with "*" for the others
    optional    attributes of the optional tensors that it has
    tokenizer   add a byte-level tokenizer, which sets V
    keys        more keys of the architecture, without its name
    sizes       by axis letter, instead of SIZES
    """
    made = TinyModel(_metadata(architecture, {**SIZES, **sizes}, keys or {}, tokenizer))
    family = find_family(architecture)
    fields = Fields(made.metadata, architecture)
    layers = family.read_config(fields).layers
    kinds = {"*": types} if isinstance(types, str) else types
    for row in applying(family.tensors, fields.axes):
        if row.optional and row.attribute not in optional:
            continue
        for i in range(layers) if row.per_layer else [0]:
            name, shape = row.name.format(i=i), row.sizes(fields.axes)
            kind = kinds.get(row.attribute, kinds.get("*", "F32")) if len(shape) == 2 else "F32"
            made.put(name, TensorType[kind], shape, random_blocks(name, TensorType[kind], shape, seed))
    return made


def write(path: Path, model: TinyModel, **options: Any) -> Path:
    """Write a model as a GGUF file."""
    tensors = [(t.name, t.type, t.shape, model.blocks[t.name]) for t in model.tensors.values()]
    write_gguf(path, model.metadata, tensors, **options)
    return path


def values(name: str, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Random values: matrices that keep the size of their input, norms near one, biases that matter."""
    normal = np.random.RandomState(crc32(f"{seed} {name}".encode())).standard_normal(shape)
    if name.endswith("norm.weight"):
        normal = 1.0 + 0.2 * normal
    elif name == "rope_freqs.weight":
        normal = np.linspace(1.0, 8.0, *shape)
    elif name.endswith(".bias"):
        normal = 0.5 * normal
    elif name == "token_embd.weight":
        normal = 0.3 * normal
    else:
        sharper = 1.5 if "attn_q." in name or "attn_k." in name else 1.0  # so that attention picks its tokens
        normal = sharper * normal / np.sqrt(shape[-1])
    return normal.astype(np.float32)


def random_blocks(name: str, kind: TensorType, shape: tuple[int, ...], seed: int = 0) -> NDArray[np.uint8]:
    if kind.block == 1:
        floats = values(name, shape, seed).reshape(-1)
        if kind == TensorType.BF16:
            return (floats.view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
        return floats.astype({"F32": np.float32, "F16": np.float16}[kind.name]).view(np.uint8)
    random = np.random.RandomState(crc32(f"{seed} {name}".encode()))
    count = shape[0] * shape[1] // kind.block
    blocks = random.randint(0, 256, (count, kind.block_bytes)).astype(np.uint8)
    if kind == TensorType.MXFP4:
        blocks[:, 0] = random.randint(120, 124, count)
        return blocks.reshape(-1)
    if kind == TensorType.Q8_K:
        blocks[:, :4] = np.full((count, 1), 0.01 / np.sqrt(shape[1]), "<f4").view(np.uint8)
        return blocks.reshape(-1)
    set_scales(blocks, kind, np.ones(count))
    size = np.std(quant.decode(kind, blocks.reshape(-1), (count * kind.block,)))
    set_scales(blocks, kind, random.uniform(0.7, 1.3, count) / (size * np.sqrt(shape[1])))
    return blocks.reshape(-1)


def _metadata(
    architecture: str, sizes: Mapping[str, int], keys: Mapping[str, Any], tokenizer: bool
) -> dict[str, Any]:
    named = {
        "context_length": 256,
        "attention.layer_norm_rms_epsilon": 1e-5,
        **{KEYS[letter]: size for letter, size in sizes.items()},
        **keys,
    }
    vocabulary = byte_tokenizer() if tokenizer else {}
    if tokenizer:
        del named["vocab_size"]
    return {
        "general.architecture": architecture,
        "general.name": "tiny",
        **{f"{architecture}.{key}": value for key, value in named.items()},
        **vocabulary,
    }


def byte_tokenizer() -> dict[str, Any]:
    """Metadata of a byte-level BPE: the 256 bytes, two merges, and the special tokens of ChatML."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    letters = {byte: chr(byte) for byte in printable} | {byte: chr(256 + i) for i, byte in enumerate(others)}
    merges = ["t h", "th e"]
    tokens = [letters[byte] for byte in range(256)] + [merge.replace(" ", "") for merge in merges]
    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": tokens + specials,
        "tokenizer.ggml.token_type": [1] * len(tokens) + [3] * len(specials),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": len(tokens),
        "tokenizer.ggml.eos_token_id": len(tokens) + 2,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": CHATML,
    }
