"""MXFP4: 32 values in 17 bytes, 4.25 bits each; 4-bit floats under a power of two (OCP microscaling).

    byte  0  u8 e
          1  u8[16] q, halves: sign, two exponent bits, one mantissa bit

value = 2^(e - 128) * LEVELS[q], the levels being twice those of E2M1 so that they are whole
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import nibbles

LEVELS = np.array([0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12], dtype=np.float32)


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 17] uint8 -> [n, 32] float32."""
    d = np.ldexp(np.float32(1), blocks[:, :1].astype(np.int32) - 128)
    return d * LEVELS[nibbles(blocks[:, 1:])]
