"""F16: IEEE half precision, 2 bytes a value; every value is exact in float32."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 2] uint8 -> [n, 1] float32."""
    return half(blocks, 0)
