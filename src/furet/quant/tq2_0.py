"""TQ2_0: 256 ternary values in 66 bytes, 2.0625 bits each.

    byte  0  u8[64] q, 2 bits: byte 32h + l holds values 128h + 32j + l, j = 0..3, in bits 2j and 2j + 1
         64  f16 d

value = d * (q - 1); q = 3 is not used by encoders and gives 2 d
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields, half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 66] uint8 -> [n, 256] float32."""
    n = len(blocks)
    q = fields(blocks[:, :64].reshape(n, 2, 32), 2).reshape(n, 256)
    return half(blocks, 64) * (q.astype(np.float32) - np.float32(1))
