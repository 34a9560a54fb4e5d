"""Q4_1: 32 values in 20 bytes, 5 bits each; with a minimum.

    byte  0  f16 d
          2  f16 m
          4  u8[16] q, halves

value = d * q + m
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half, nibbles


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 20] uint8 -> [n, 32] float32."""
    return half(blocks, 0) * nibbles(blocks[:, 4:]).astype(np.float32) + half(blocks, 2)
