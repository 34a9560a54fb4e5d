"""F16: IEEE half precision, 2 bytes a value; every value is exact in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 2] uint8 -> [n, 1] float32."""
    return half(blocks, 0)


def encode(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[n, 1] float32 -> [n, 2] uint8, to the nearest, ties to even; beyond 65504 it is infinite."""
    return values.astype("<f2").view(np.uint8)
