"""Q2_K: 256 values in 84 bytes, 2.625 bits each; 16 blocks of 16, each with a 4-bit scale and minimum.

    byte  0  u8[16] low nibble: scale of block b; high nibble: its minimum
         16  u8[64] q, 2 bits: byte 32h + l holds values 128h + 32j + l, j = 0..3, in bits 2j and 2j + 1
         80  f16 d, scale of the scales
         82  f16 m, scale of the minima

value = (d * scale) * q - (m * minimum)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields, half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 84] uint8 -> [n, 256] float32."""
    n = len(blocks)
    pairs = fields(blocks[:, :16], 4).astype(np.float32)
    step = half(blocks, 80) * pairs[:, 0]
    low = half(blocks, 82) * pairs[:, 1]
    q = fields(blocks[:, 16:80].reshape(n, 2, 32), 2).reshape(n, 16, 16).astype(np.float32)
    return (step[..., None] * q - low[..., None]).reshape(n, 256)
