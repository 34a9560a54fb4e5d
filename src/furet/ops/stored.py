"""Reading stored tensors, whatever the byte order of their file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from furet.ops import Source, Tensor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def blocks(tensor: Tensor, source: Source, rows: int | None = None) -> NDArray[np.uint8]:
    """The bytes of the first rows of a tensor (default: all), as little-endian blocks. -> [nbytes]

    A view of the file where the file has them so, else a copy.
    """
    data = source.data(tensor.name)
    if rows is not None:
        data = data[: rows * tensor.type.row_bytes(tensor.shape[-1])]
    if source.byteorder == "little":
        return data
    from furet.files.gguf_endian import swapped

    return swapped(tensor.type, data)


def decode(tensor: Tensor, source: Source) -> NDArray[np.float32]:
    """The values of a tensor, in its shape."""
    from furet import quant

    values: NDArray[np.float32] = quant.decode(tensor.type, blocks(tensor, source), tensor.shape)
    return values
