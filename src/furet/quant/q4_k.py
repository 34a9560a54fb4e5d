"""Q4_K: 256 values in 144 bytes, 4.5 bits each; 8 blocks of 32, each with a 6-bit scale and minimum.

    byte  0  f16 d, f16 m, 12 bytes of scales and minima: see k_scales
         16  u8[128] q: byte 32g + l holds value 64g + l in its low nibble and 64g + 32 + l in its high nibble

value = (d * scale) * q - (m * minimum)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields
from furet.quant.k_scales import steps_and_minima


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 144] uint8 -> [n, 256] float32."""
    n = len(blocks)
    step, low = steps_and_minima(blocks[:, :16])
    q = fields(blocks[:, 16:].reshape(n, 4, 32), 4).reshape(n, 8, 32)
    return (step[..., None] * q.astype(np.float32) - low[..., None]).reshape(n, 256)
