"""Q6_K: 256 values in 210 bytes, 6.5625 bits each; symmetric; 16 blocks of 16, each with an 8-bit scale.

    byte   0  u8[128] lower four bits: byte 64h + i holds value 128h + i in its low nibble and 128h + 64 + i
              in its high nibble
         128  u8[64] upper two bits: byte 32h + l holds values 128h + 32j + l, j = 0..3, in bits 2j and 2j + 1
         192  s8[16] scale
         208  f16 d

value = (d * scale) * (q - 32)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields, half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 210] uint8 -> [n, 256] float32."""
    n = len(blocks)
    low = fields(blocks[:, :128].reshape(n, 2, 64), 4).reshape(n, 256)
    high = fields(blocks[:, 128:192].reshape(n, 2, 32), 2).reshape(n, 256) << np.uint8(4)
    q = (low | high).astype(np.int8) - np.int8(32)
    step = half(blocks, 208) * blocks[:, 192:208].view(np.int8).astype(np.float32)
    return (step[..., None] * q.astype(np.float32).reshape(n, 16, 16)).reshape(n, 256)
