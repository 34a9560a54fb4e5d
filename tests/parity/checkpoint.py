"""The tiny checkpoints by which a family is judged.

A family's fixture is fixtures/NAME.py with its cases, and fixtures/NAME.npz with what the reference package saved and
computed for each: its `config.json`, the names and shapes of its tensors, and logits. The weights themselves depend
on their names alone, so that a checkpoint is built here, in Hugging Face's format, without that package.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, Literal
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

FIXTURES = Path(__file__).parent / "fixtures"
Floats = NDArray[np.float32]
Make = Callable[[np.random.RandomState, tuple[int, ...]], NDArray[np.float64]]


@dataclass(frozen=True)
class Case:
    """One checkpoint.

    config      of transformers, with its `model_type`
    kind        what it gives: logits of the next token, hidden states, or logits of an answer to an encoded text
    special     how tensors are made up that do not fit `values`, by pattern of their names
    length      tokens of the prompt
    source      tokens of the text that is encoded, where there is one
    context     tokens that it is loaded for, where that decides how it computes; 0: as trained
    """

    config: dict[str, Any]
    kind: Literal["decoder", "encoder", "answer"] = "decoder"
    special: Mapping[str, Make] = field(default_factory=dict)
    length: int = 48
    source: int = 0
    context: int = 0

    def tokens(self, vocab: int) -> NDArray[np.int64]:
        """The prompt. [T]"""
        return np.random.RandomState(1).randint(0, vocab, self.length)

    def source_tokens(self, vocab: int) -> NDArray[np.int64]:
        """The text that is encoded. [T]"""
        return np.random.RandomState(2).randint(0, vocab, self.source)

    @property
    def rows(self) -> list[int]:
        """The positions whose logits are compared: near, in between and far."""
        return sorted({0, 1, 7, 31, self.length // 2, self.length - 2, self.length - 1} & set(range(self.length)))

    def weights(self, shapes: Mapping[str, list[int]]) -> dict[str, Floats]:
        """A tensor for each name."""
        return {name: self._values(name, tuple(shape)) for name, shape in shapes.items()}

    def _values(self, name: str, shape: tuple[int, ...]) -> Floats:
        random = np.random.RandomState(crc32(name.encode()))
        for pattern, make in self.special.items():
            if fnmatchcase(name, pattern):
                return make(random, shape).astype(np.float32)
        return values(random, name, shape).astype(np.float32)


@dataclass(frozen=True)
class Stored:
    """What the reference package gave for a case.

    logits      [R, V] at the rows of the case
    """

    config: dict[str, Any]
    shapes: dict[str, list[int]]
    logits: Floats


def values(random: np.random.RandomState, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """Norms near one, biases that matter, matrices that keep the size of their input, logits of about one."""
    normal: NDArray[np.float64] = random.standard_normal(shape)
    if len(shape) < 2:
        is_norm = name.endswith("weight") and not name.endswith("conv1d.weight")
        return 1.0 + 0.2 * normal if is_norm else 0.3 * normal
    if name.endswith(("head.weight", "embed_out.weight")):
        return 0.3 * normal / np.sqrt(shape[-1])
    if any(part in name for part in ("embed", "wte", "wpe", "emb.", "shared")):
        return 0.1 * normal
    # So that attention picks its tokens instead of averaging them all.
    sharper = 1.5 if any(part in name for part in ("q_proj", "k_proj", "qkv", "query", "c_attn")) else 1.0
    return sharper * normal / np.sqrt(shape[-1])


@cache
def cases() -> dict[str, tuple[str, Case]]:
    """All cases by name, each with the fixture that it stands in."""
    modules = sorted(path.stem for path in FIXTURES.glob("[a-z]*.py"))
    return {
        name: (module, case)
        for module in modules
        for name, case in import_module(f"parity.fixtures.{module}").CASES.items()
    }


def stored(name: str) -> Stored:
    """The golden of a case."""
    fixture, _ = cases()[name]
    with np.load(FIXTURES / f"{fixture}.npz") as file:
        about = json.loads(str(file[f"{name}: about"]))
        return Stored(about["config"], about["shapes"], file[f"{name}: logits"])


def save(name: str, folder: Path, *, torch: bool = False) -> Path:
    """Write the checkpoint of a case as Hugging Face's library would, now or in the time of torch files."""
    _, case = cases()[name]
    golden = stored(name)
    (folder / "config.json").write_text(json.dumps(golden.config))
    weights = case.weights(golden.shapes)
    if torch:
        write_torch(folder / "pytorch_model.bin", weights)
    else:
        write_safetensors(folder / "model.safetensors", weights)
    return folder


def write_safetensors(path: Path, tensors: Mapping[str, Floats]) -> None:
    """Write float32 tensors in the safetensors format."""
    header: dict[str, Any] = {}
    at = 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(array.shape), "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    data = b"".join(np.ascontiguousarray(array).tobytes() for array in tensors.values())
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def write_torch(path: Path, tensors: Mapping[str, Floats]) -> None:
    """Write float32 tensors as `torch.save` does."""
    from pickle_bytes import pickled, rebuilt, storage, table
    from zip_bytes import archive

    entries, rows = {}, {}
    for key, (name, array) in enumerate(tensors.items()):
        stride = tuple(step // 4 for step in np.ascontiguousarray(array).strides)
        rows[name] = rebuilt(storage(str(key), array.size), 0, array.shape, stride)
        entries[f"archive/data/{key}"] = np.ascontiguousarray(array).tobytes()
    about = {"archive/data.pkl": pickled(table(**rows)), "archive/byteorder": b"little", "archive/version": b"3\n"}
    path.write_bytes(archive({**about, **entries}))


def rope(base: float = 10_000.0, **scaling: Any) -> dict[str, Any]:
    """The rotary positions of a transformers configuration."""
    return {"rope_parameters": {"rope_type": "default", "rope_theta": base, **scaling}}
