"""A model of random weights as a GGUF file, as fast as the disk takes it; llama.cpp loads it too.

What a model computes costs the same whatever its weights are. A few megabytes of random blocks of each type are
repeated; a tensor begins somewhere in them, and their number is prime, so that the rows of a matrix differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import prod
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.errors import BadRequest
from furet.families import find_family
from furet.families.fields import Fields
from furet.families.tensors import applying
from furet.files.gguf import write_gguf
from furet.measure.mixes import Mix, Place, find_mix, matrix_type
from furet.measure.random_blocks import random_blocks
from furet.measure.shapes import Shape, find_shape
from furet.measure.vocabulary import byte_vocabulary

Progress = Callable[[int, int], None]
"""Called with bytes of tensors written and in all."""

PATTERN = 4 << 20  # bytes of random blocks of a type


@dataclass(frozen=True)
class RandomTensor:
    """A tensor to be made: matrices have the type of the mix, vectors are float32."""

    name: str
    type: TensorType
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        return prod(self.shape[:-1]) * self.type.row_bytes(self.shape[-1])


@contextmanager
def random_model(
    shape: str, mix: str, keep: Path | None = None, progress: Progress = lambda done, total: None
) -> Iterator[Path]:
    """The file of a random model by name of its shape and type, gone again afterwards unless it is to be kept.

    keep    where to, instead of a temporary folder
    raises  BadRequest for unknown names, and for a file that is there already; FuretError when the disk refuses
    """
    sizes, types = find_shape(shape), find_mix(mix)
    if keep is not None:
        if keep.exists():
            raise BadRequest(f"{keep} is there already", f"name another file, or measure it: furet bench {keep}")
        write_random_model(sizes, types, keep, progress)
        yield keep
        return
    with TemporaryDirectory(prefix="furet-bench-") as folder:
        path = Path(folder) / f"{shape}-{mix}.gguf".lower()
        write_random_model(sizes, types, path, progress)
        yield path


def write_random_model(
    shape: Shape, mix: Mix, path: Path, progress: Progress = lambda done, total: None
) -> None:
    """Write a model of that shape and mix; nothing is left behind when it does not come to its end.

    raises  FuretError when the disk has no room for it, or refuses
    """
    metadata = {
        **shape.metadata,
        "general.file_type": mix.file_type,
        "general.quantization_version": 2,
        **byte_vocabulary(shape.vocab),
    }
    tensors = random_tensors(shape, mix, metadata)
    total = sum(tensor.nbytes for tensor in tensors)
    patterns: dict[tuple[TensorType, float], NDArray[np.uint8]] = {}
    done = 0

    def parts(tensor: RandomTensor) -> Iterator[memoryview]:
        nonlocal done
        size = _size(tensor)
        if (tensor.type, size) not in patterns:
            patterns[tensor.type, size] = _pattern(tensor.type, size)
        for part in _repeated(patterns[tensor.type, size], crc32(tensor.name.encode()), tensor.nbytes):
            progress(done, total)
            yield part
            done += len(part)

    rows = [(t.name, t.type, t.shape, partial(_vector, t) if len(t.shape) == 1 else partial(parts, t)) for t in tensors]
    write_gguf(path, metadata, rows)
    progress(total, total)


def random_tensors(shape: Shape, mix: Mix, metadata: dict[str, Any]) -> list[RandomTensor]:
    """What the family's table asks for, in types of the mix."""
    family = find_family(shape.architecture)
    fields = Fields(metadata, shape.architecture)
    family.read_config(fields)
    head = "token_embd" if shape.tied else "output"
    found = []
    for row in applying(family.tensors, fields.axes):
        if row.optional and not (row.attribute == "output" and not shape.tied):
            continue
        for layer in range(shape.layers) if row.per_layer else [0]:
            sizes = row.sizes(fields.axes, layer)
            kind = TensorType.F32
            if len(sizes) > 1:
                place = Place(row.attribute, layer, shape.layers, shape.heads // shape.kv_heads)
                kind = matrix_type(mix, place, sizes[-1], head=row.attribute == head)
            found.append(RandomTensor(row.name.format(i=layer), kind, sizes))
    return found


def _size(tensor: RandomTensor) -> float:
    """The standard deviation by which a matrix keeps the size of its input."""
    return float(tensor.shape[-1] ** -0.5)


def _vector(tensor: RandomTensor) -> NDArray[np.float32]:
    normal = np.random.Generator(np.random.PCG64(crc32(tensor.name.encode()))).standard_normal(tensor.shape)
    return (0.1 * normal + (1.0 if tensor.name.endswith("norm.weight") else 0.0)).astype(np.float32)


def _pattern(kind: TensorType, size: float) -> NDArray[np.uint8]:
    """Random blocks, as many as the largest prime number that fits. -> [count, block bytes]"""
    count = PATTERN // kind.block_bytes
    while any(count % divisor == 0 for divisor in range(2, int(count**0.5) + 1)):
        count -= 1
    return random_blocks(kind, count, size, seed=kind)


def _repeated(blocks: NDArray[np.uint8], start: int, nbytes: int) -> Iterator[memoryview]:
    """So many bytes of blocks that repeat, from one of them on."""
    at = start % len(blocks)
    while nbytes:
        part = blocks[at:].reshape(-1)[:nbytes]
        yield part.data
        nbytes -= len(part)
        at = 0
