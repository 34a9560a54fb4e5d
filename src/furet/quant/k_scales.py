"""The header that Q4_K and Q5_K share: two float16 and eight pairs of 6-bit scale and minimum, in 16 bytes.

byte  0  f16 d, scale of the scales
      2  f16 m, scale of the minima
      4  u8[12] s, for block b of 8:
         b < 4   scale = low 6 bits of s[b],  minimum = low 6 bits of s[b + 4]
         b >= 4  scale = low nibble of s[b + 4] and, above it, the top 2 bits of s[b - 4]
                 minimum = high nibble of s[b + 4] and, above it, the top 2 bits of s[b]
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import fields, half


def steps_and_minima(header: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Of each block, d * scale and m * minimum. [n, 16] uint8 -> two [n, 8] float32."""
    scale, minimum, mixed = header[:, 4:8], header[:, 8:12], header[:, 12:16]
    low = fields(mixed, 4)
    scales = np.hstack([scale & 63, low[:, 0] | (scale >> 6) << 4])
    minima = np.hstack([minimum & 63, low[:, 1] | (minimum >> 6) << 4])
    return half(header, 0) * scales.astype(np.float32), half(header, 2) * minima.astype(np.float32)
