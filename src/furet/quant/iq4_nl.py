"""IQ4_NL: 32 values in 18 bytes, 4.5 bits each; q picks one of 16 unevenly spaced levels.

    byte  0  f16 d
          2  u8[16] q, halves

value = d * LEVELS[q]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half, nibbles

LEVELS = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], dtype=np.float32
)


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 18] uint8 -> [n, 32] float32."""
    return half(blocks, 0) * LEVELS[nibbles(blocks[:, 2:])]
