"""Q8_K: 256 values in 292 bytes; made for activations, rarely met in a file.

    byte   0  f32 d
           4  s8[256] q
         260  s16[16] sums of 16 consecutive q, which decoding does not need

value = d * q
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 292] uint8 -> [n, 256] float32."""
    d = blocks[:, :4].view("<f4").astype(np.float32)
    return d * blocks[:, 4:260].view(np.int8).astype(np.float32)
