"""Q3_K: 256 values in 110 bytes, 3.4375 bits each; symmetric; 16 blocks of 16, each with a 6-bit scale.

    byte  0  u8[32] third bits: bit 4h + j of byte l belongs to value 128h + 32j + l
         32  u8[64] lower two bits: byte 32h + l holds values 128h + 32j + l, j = 0..3, in bits 2j and 2j + 1
         96  u8[8] lower four bits of the scales: byte b holds scale b in its low nibble, b + 8 in its high
        104  u8[4] upper two bits of the scales: byte c holds scales c + 4j, j = 0..3, in bits 2j and 2j + 1
        108  f16 d

value = (d * (scale - 32)) * (q - 4), q from 0 to 7
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields, half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 110] uint8 -> [n, 256] float32."""
    n = len(blocks)
    high = fields(blocks[:, :32], 1).reshape(n, 256) << np.uint8(2)
    low = fields(blocks[:, 32:96].reshape(n, 2, 32), 2).reshape(n, 256)
    q = (low | high).astype(np.int8) - np.int8(4)
    step = half(blocks, 108) * _scales(blocks[:, 96:108])
    return (step[..., None] * q.astype(np.float32).reshape(n, 16, 16)).reshape(n, 256)


def _scales(packed: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The signed scales of the 16 blocks. [n, 12] uint8 -> [n, 16] float32, whole numbers from -32 to 31."""
    low = fields(packed[:, :8], 4).reshape(-1, 16)
    high = fields(packed[:, 8:], 2).reshape(-1, 16) << np.uint8(4)
    return ((low | high).astype(np.int8) - np.int8(32)).astype(np.float32)
