"""IQ4_XS: 256 values in 136 bytes, 4.25 bits each; 8 blocks of 32 with 6-bit scales, levels as in IQ4_NL.

    byte  0  f16 d
          2  u16 upper scale bits: bits 2b and 2b + 1 belong to block b
          4  u8[4] lower scale bits: byte c holds block 2c in its low nibble, block 2c + 1 in its high nibble
          8  u8[128] q: 16 bytes to a block, halves

value = (d * (scale - 32)) * LEVELS[q]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields, half
from furet.quant.iq4_nl import LEVELS


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 136] uint8 -> [n, 256] float32."""
    n = len(blocks)
    high = fields(blocks[:, 2:4], 2).transpose(0, 2, 1).reshape(n, 8) << np.uint8(4)
    low = fields(blocks[:, 4:8], 4).transpose(0, 2, 1).reshape(n, 8)
    step = half(blocks, 0) * ((low | high).astype(np.int8) - np.int8(32)).astype(np.float32)
    q = fields(blocks[:, 8:].reshape(n, 8, 16), 4).reshape(n, 8, 32)
    return (step[..., None] * LEVELS[q]).reshape(n, 256)
