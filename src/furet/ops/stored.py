"""Reading stored tensors, whatever the byte order of their file."""

from __future__ import annotations

from math import prod

import numpy as np
from numpy.typing import NDArray

from furet.ops import Source, Tensor


def blocks(tensor: Tensor, source: Source) -> NDArray[np.uint8]:
    """A tensor as little-endian blocks: a view where the file has them so, else a copy. -> [nbytes]"""
    return _little_endian(tensor, source, source.data(tensor.name))


def read_row(tensor: Tensor, source: Source, row: int, out: NDArray[np.uint8]) -> None:
    """Copy one row of a tensor as little-endian blocks. -> [row bytes]

    It is read, not looked at through the mapping of the file: there, a single byte may make two megabytes
    around it count as memory of this process.
    """
    source.read(tensor.name, row * len(out), out.data)
    out[:] = _little_endian(tensor, source, out)


def first_row(tensor: Tensor, source: Source) -> NDArray[np.float32]:
    """The values of a vector, or of the first row of a matrix."""
    from furet import quant

    columns = tensor.shape[-1]
    row = np.empty(tensor.type.row_bytes(columns), dtype=np.uint8)
    read_row(tensor, source, 0, row)
    values: NDArray[np.float32] = quant.decode(tensor.type, row, (columns,))
    return values


def floats(tensor: Tensor, source: Source) -> NDArray[np.float32]:
    """The values of a small tensor, in its shape; read, not looked at, as by `read_row`."""
    from furet import quant

    data = np.empty(prod(tensor.shape[:-1]) * tensor.type.row_bytes(tensor.shape[-1]), dtype=np.uint8)
    read_row(tensor, source, 0, data)
    values: NDArray[np.float32] = quant.decode(tensor.type, data, tensor.shape)
    return values


def _little_endian(tensor: Tensor, source: Source, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    if source.byteorder == "little":
        return data
    from furet.files.gguf_endian import swapped

    return swapped(tensor.type, data)


def decode(tensor: Tensor, source: Source) -> NDArray[np.float32]:
    """The values of a tensor, in its shape."""
    from furet import quant

    values: NDArray[np.float32] = quant.decode(tensor.type, blocks(tensor, source), tensor.shape)
    return values
