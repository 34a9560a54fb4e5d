"""Q8_0: 32 values in 34 bytes, 8.5 bits each.

    byte  0  f16 d
          2  s8[32] q

value = d * q
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet.quant.bits import half


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 34] uint8 -> [n, 32] float32."""
    return half(blocks, 0) * blocks[:, 2:].view(np.int8).astype(np.float32)
