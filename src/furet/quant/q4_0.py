"""Q4_0: 32 values in 18 bytes, 4.5 bits each; symmetric.

    byte  0  f16 d
          2  u8[16] q, halves

value = d * (q - 8)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half, nibbles


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 18] uint8 -> [n, 32] float32."""
    q = nibbles(blocks[:, 2:]).astype(np.int8) - np.int8(8)
    return half(blocks, 0) * q.astype(np.float32)
