"""Block formats: how weights of each GGML type are stored, and what values they stand for.

One file per format, named as the type in lower case: its layout, `decode`, and for some `encode`. The folder is
the table of what is supported: a type without a file here is refused by name. Names in the layouts:

    d, m    scale and minimum of a block, float16 unless said otherwise
    q       the stored integer of one value
    halves  byte j of 16 holds value j in its low nibble and value j + 16 in its high nibble

Numbers are little endian. Every step is one float32 operation, in the order that the formula is written, so
the values are those of the format's definition to the last bit. A scale that is NaN or infinite is no error
here: it gives NaN or infinite values.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, TypeAlias

from furet.dtypes import TensorType
from furet.errors import ModelFileError, UnsupportedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Decoder: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.float32]]

CHUNK = 1 << 17  # values decoded at a time: intermediates stay in the cache, and small beside the result


def decode(kind: TensorType, data: NDArray[np.uint8], shape: Sequence[int]) -> NDArray[np.float32]:
    """The values of a tensor, from its bytes as they lie in a little-endian file.

    data     [bytes] uint8, whole blocks, row after row
    shape    rows first, columns last; columns are whole blocks
    returns  float32 of that shape, always a fresh array
    raises   UnsupportedModel when the type has no decoder; ModelFileError when data and shape disagree
    """
    import numpy as np

    decoder = _decoder(kind)
    columns = shape[-1] if len(shape) else 1
    if columns % kind.block:
        raise ModelFileError(f"{kind.name} stores {kind.block} values to a block, but a row has {columns}")
    count = math.prod(shape) // kind.block
    if data.size != count * kind.block_bytes:
        wanted = f"take {count * kind.block_bytes} bytes, got {data.size}"
        raise ModelFileError(f"{list(shape)} values of {kind.name} {wanted}")
    blocks = data.reshape(count, kind.block_bytes)
    values = np.empty((count, kind.block), np.float32)
    step = CHUNK // kind.block
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, count, step):
            values[start : start + step] = decoder(blocks[start : start + step])
    return values.reshape(tuple(shape))


def encode(kind: TensorType, values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The bytes that store values nearest to these, row after row: the inverse of `decode`.

    values  float32 [..., columns]; columns are whole blocks
    raises  UnsupportedModel when the type has no encoder
    """
    import numpy as np

    encoder = getattr(_module(kind), "encode", None)
    if encoder is None:
        known = ", ".join(each.name for each in supported() if hasattr(_module(each), "encode"))
        raise UnsupportedModel(f"weights cannot be stored as {kind.name}", f"choose another type: {known}")
    blocks = np.ascontiguousarray(values, np.float32).reshape(-1, kind.block)
    stored = np.empty((len(blocks), kind.block_bytes), np.uint8)
    step = CHUNK // kind.block
    with np.errstate(over="ignore", invalid="ignore"):
        for start in range(0, len(blocks), step):
            stored[start : start + step] = encoder(blocks[start : start + step])
    return stored.reshape(-1)


def supported() -> list[TensorType]:
    """The types that `decode` knows, in the order of their ids."""
    return [kind for kind in TensorType if _has_file(kind)]


def _decoder(kind: TensorType) -> Decoder:
    decoder: Decoder = _module(kind).decode
    return decoder


@cache
def _module(kind: TensorType) -> ModuleType:
    if not _has_file(kind):
        raise UnsupportedModel(
            f"weights of type {kind.name} cannot be decoded",
            "get another quantisation: " + ", ".join(each.name for each in supported()),
        )
    return import_module(f"{__name__}.{kind.name.lower()}")


def _has_file(kind: TensorType) -> bool:
    from importlib.util import find_spec

    return find_spec(f"{__name__}.{kind.name.lower()}") is not None
