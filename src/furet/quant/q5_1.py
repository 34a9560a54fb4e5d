"""Q5_1: 32 values in 24 bytes, 6 bits each; with a minimum.

    byte  0  f16 d
          2  f16 m
          4  u32 fifth bits: bit j belongs to value j
          8  u8[16] lower four bits, halves

value = d * q + m
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fifth_bits, half, nibbles


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 24] uint8 -> [n, 32] float32."""
    q = nibbles(blocks[:, 8:]) | fifth_bits(blocks[:, 4:8])
    return half(blocks, 0) * q.astype(np.float32) + half(blocks, 2)
