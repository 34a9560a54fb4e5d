"""Tensor data of the other byte order: which bytes of a block form numbers, and turning them round.

Packed weights are single bytes and the same in both orders. Only scales, minima and sums are wider; a file
written on a big-endian machine has those reversed. Turning twice gives the original.

Source: the block layouts described in `furet.quant`; what ggml writes with 16- and 32-bit stores.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from furet.dtypes import TensorType
from furet.errors import UnsupportedModel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Type -> (first byte, bytes per number, how many) of each run of wide numbers in a block.
_WIDE: dict[TensorType, tuple[tuple[int, int, int], ...]] = {
    TensorType.F32: ((0, 4, 1),),
    TensorType.F16: ((0, 2, 1),),
    TensorType.BF16: ((0, 2, 1),),
    TensorType.F64: ((0, 8, 1),),
    TensorType.I8: (),
    TensorType.I16: ((0, 2, 1),),
    TensorType.I32: ((0, 4, 1),),
    TensorType.I64: ((0, 8, 1),),
    TensorType.Q4_0: ((0, 2, 1),),
    TensorType.Q4_1: ((0, 2, 2),),
    TensorType.Q5_0: ((0, 2, 1), (2, 4, 1)),
    TensorType.Q5_1: ((0, 2, 2), (4, 4, 1)),
    TensorType.Q8_0: ((0, 2, 1),),
    TensorType.Q8_1: ((0, 2, 2),),
    TensorType.Q2_K: ((80, 2, 2),),
    TensorType.Q3_K: ((108, 2, 1),),
    TensorType.Q4_K: ((0, 2, 2),),
    TensorType.Q5_K: ((0, 2, 2),),
    TensorType.Q6_K: ((208, 2, 1),),
    TensorType.Q8_K: ((0, 4, 1), (260, 2, 16)),
    TensorType.IQ4_NL: ((0, 2, 1),),
    TensorType.IQ4_XS: ((0, 2, 2),),
    TensorType.TQ1_0: ((52, 2, 1),),
    TensorType.TQ2_0: ((64, 2, 1),),
    TensorType.MXFP4: (),
}


def swapped(kind: TensorType, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of whole blocks, [n * block_bytes], with every number of more than one byte reversed.

    Raises UnsupportedModel for IQ1, IQ2 and IQ3, whose packed indices have no agreed big-endian form.
    """
    if kind not in _WIDE:
        raise UnsupportedModel(
            f"the big-endian form of {kind.name} is not defined", "get the model as a little-endian file"
        )
    blocks = data.reshape(-1, kind.block_bytes)
    turned = blocks.copy()
    for first, width, count in _WIDE[kind]:
        stop = first + width * count
        run = blocks[:, first:stop].reshape(-1, count, width)
        turned[:, first:stop] = run[:, :, ::-1].reshape(-1, width * count)
    return turned.reshape(-1)
