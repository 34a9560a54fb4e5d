"""Q5_0: 32 values in 22 bytes, 5.5 bits each; symmetric.

    byte  0  f16 d
          2  u32 fifth bits: bit j belongs to value j
          6  u8[16] lower four bits, halves

value = d * (q - 16)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fifth_bits, half, nibbles


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 22] uint8 -> [n, 32] float32."""
    q = (nibbles(blocks[:, 6:]) | fifth_bits(blocks[:, 2:6])).astype(np.int8) - np.int8(16)
    return half(blocks, 0) * q.astype(np.float32)
