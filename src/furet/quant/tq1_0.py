"""TQ1_0: 256 ternary values in 54 bytes, 1.6875 bits each; a byte holds up to five digits in base 3.

    byte  0  u8[32] values 32n + i,        n = 0..4, in byte i
         32  u8[16] values 160 + 16n + i,  n = 0..4, in byte i
         48  u8[4]  values 240 + 4n + i,   n = 0..3, in byte i
         52  f16 d

    A byte is a fraction of 256 in base 3: digit n is the whole part of 3 * ((byte * 3^n) mod 256) / 256.

value = d * (digit - 1)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 54] uint8 -> [n, 256] float32."""
    parts = (_digits(blocks[:, :32], 5), _digits(blocks[:, 32:48], 5), _digits(blocks[:, 48:52], 4))
    return half(blocks, 52) * (np.hstack(parts) - np.float32(1))


def _digits(packed: NDArray[np.uint8], count: int) -> NDArray[np.float32]:
    """The first `count` digits of m bytes, digit by digit. [n, m] uint8 -> [n, count * m] float32."""
    powers = np.array([3**n for n in range(count)], dtype=np.uint8)
    fractions = packed[:, None, :] * powers[:, None]  # uint8: wraps, that is, drops the digits before n
    digits = fractions.astype(np.uint16) * np.uint16(3) >> np.uint16(8)
    return digits.reshape(len(packed), count * packed.shape[1]).astype(np.float32)
