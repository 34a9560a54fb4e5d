"""BF16: the upper 16 bits of an IEEE single, 2 bytes a value; the lower 16 bits are zero."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 2] uint8 -> [n, 1] float32."""
    return (blocks.view("<u2").astype(np.uint32) << np.uint32(16)).view(np.float32)


def encode(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[n, 1] float32 -> [n, 2] uint8, to the nearest, ties to even; a NaN stays one."""
    bits = values.view(np.uint32)
    odd = (bits >> np.uint32(16)) & np.uint32(1)
    rounded = (bits + np.uint32(0x7FFF) + odd) >> np.uint32(16)
    quiet = (bits >> np.uint32(16)) | np.uint32(0x40)
    return np.where(np.isnan(values), quiet, rounded).astype("<u2").view(np.uint8)
