"""Q8_0: 32 values in 34 bytes, 8.5 bits each.

    byte  0  f16 d
          2  s8[32] q

value = d * q

Encoding takes d = max|value| / 127, so that the farthest value is met exactly but for the rounding of d.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 34] uint8 -> [n, 32] float32."""
    return half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)


def encode(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[n, 32] float32 -> [n, 34] uint8."""
    d = np.abs(values).max(axis=1, keepdims=True) / np.float32(127)
    inverse = np.divide(1, d, out=np.zeros_like(d), where=d != 0)
    scaled = values * inverse
    q = np.copysign(np.floor(np.abs(scaled) + np.float32(0.5)), scaled).astype(np.int8)
    return np.concatenate([d.astype("<f2").view(np.uint8), q.view(np.uint8)], axis=1)
