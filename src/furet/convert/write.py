"""Any model written as one GGUF file: tensor by tensor, so that no more than the largest is in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from furet import quant
from furet.dtypes import TensorType
from furet.errors import BadRequest
from furet.families import find_family
from furet.files.gguf import write_gguf

if TYPE_CHECKING:
    from furet.convert import ModelFile
    from furet.ops import Tensor

Progress = Callable[[int, int], None]
"""Called with bytes of tensors written and in all."""

FLOATS = (TensorType.F32, TensorType.F16, TensorType.BF16)
# What llama.cpp calls a file by the type of most of its tensors, in `general.file_type`.
FILE_TYPES = {TensorType.F32: 0, TensorType.F16: 1, TensorType.Q8_0: 7, TensorType.BF16: 32}
ROWS = 1 << 22  # values decoded and encoded at a time


def write_model(
    source: ModelFile, path: Path, kind: TensorType | None = None, progress: Progress = lambda done, total: None
) -> None:
    """Write a model as a GGUF file; either all of it is there in the end, or what was there before.

    kind    type of the matrices: F32, F16, BF16 or Q8_0; None leaves each as it is. Vectors and what the family wants
            exact stay float32; rows that are no whole blocks become F16
    raises  BadRequest for a type that is no such; UnsupportedModel for weights that cannot be decoded; FuretError when
            the disk refuses
    """
    if kind is not None and kind not in FILE_TYPES:
        names = ", ".join(each.name.lower() for each in FILE_TYPES)
        raise BadRequest(f"a model cannot be stored as {kind.name.lower()}", f"choose one of {names}")
    exact = _exact(str(source.metadata["general.architecture"]))
    types = {tensor.name: _type(tensor, kind, exact) for tensor in source.tensors.values()}
    total = sum(_nbytes(types[tensor.name], tensor.shape) for tensor in source.tensors.values())
    done = 0

    def give(tensor: Tensor) -> NDArray[np.uint8]:
        nonlocal done
        progress(done, total)
        done += _nbytes(types[tensor.name], tensor.shape)
        stored = _stored(source, tensor, types[tensor.name])
        source.release(tensor.name)
        return stored

    tensors = [(t.name, types[t.name], t.shape, partial(give, t)) for t in source.tensors.values()]
    write_gguf(path, _metadata(source, types), tensors, types=getattr(source, "types", None))
    progress(total, total)


def _exact(architecture: str) -> frozenset[str]:
    """Names of the matrices that the family keeps in float32, with {i} for the layer."""
    return frozenset(row.name for row in find_family(architecture).tensors if row.floor is TensorType.F32)


def _type(tensor: Tensor, kind: TensorType | None, exact: frozenset[str]) -> TensorType:
    if tensor.type not in FLOATS and (kind is None or len(tensor.shape) < 2):
        return tensor.type
    if len(tensor.shape) < 2 or _pattern(tensor.name) in exact:
        return TensorType.F32
    if kind is None:
        return tensor.type
    return TensorType.F16 if tensor.shape[-1] % kind.block else kind


def _pattern(name: str) -> str:
    """blk.3.attn_q.weight -> blk.{i}.attn_q.weight"""
    return ".".join("{i}" if part.isdigit() else part for part in name.split("."))


def _nbytes(kind: TensorType, shape: tuple[int, ...]) -> int:
    return prod(shape[:-1]) * kind.row_bytes(shape[-1])


def _stored(source: ModelFile, tensor: Tensor, kind: TensorType) -> NDArray[np.uint8]:
    """A tensor's bytes in another type, some rows at a time."""
    data = _little_endian(source, tensor)
    if kind == tensor.type:
        return data
    columns = tensor.shape[-1]
    rows, width, step = prod(tensor.shape[:-1]), tensor.type.row_bytes(columns), max(1, ROWS // columns)
    made = np.empty((rows, kind.row_bytes(columns)), np.uint8)
    table = data.reshape(rows, width)
    for start in range(0, rows, step):
        part = table[start : start + step]
        values = quant.decode(tensor.type, part.reshape(-1), (len(part), columns))
        made[start : start + step] = quant.encode(kind, values).reshape(len(part), -1)
    return made.reshape(-1)


def _little_endian(source: ModelFile, tensor: Tensor) -> NDArray[np.uint8]:
    data = source.data(tensor.name)
    if source.byteorder == "little":
        return data
    from furet.files.gguf_endian import swapped

    return swapped(tensor.type, data)


def _metadata(source: ModelFile, types: Mapping[str, TensorType]) -> dict[str, Any]:
    """The model's metadata with what a reader is told of the file itself; that of shards is left out."""
    metadata = {key: value for key, value in source.metadata.items() if not key.startswith("split.")}
    matrices = [types[name] for name, tensor in source.tensors.items() if len(tensor.shape) > 1]
    most = max(set(matrices), key=matrices.count, default=TensorType.F32)
    if most in FILE_TYPES:
        metadata["general.file_type"] = FILE_TYPES[most]
    metadata["general.quantization_version"] = 2
    return metadata
