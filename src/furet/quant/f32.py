"""F32: IEEE single precision, 4 bytes a value."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def decode(blocks: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[n, 4] uint8 -> [n, 1] float32."""
    return blocks.view("<f4").astype(np.float32)


def encode(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """[n, 1] float32 -> [n, 4] uint8."""
    return values.astype("<f4").view(np.uint8)
