"""Reading fields out of packed bytes, for the formats beside this file."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def half(blocks: NDArray[np.uint8], at: int) -> NDArray[np.float32]:
    """The float16 at byte `at` of each block. [n, block_bytes] -> [n, 1] float32."""
    return blocks[:, at : at + 2].view("<f2").astype(np.float32)


def fields(packed: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Split bytes into fields of 1, 2 or 4 bits, lowest first. [..., m] -> [..., 8 / bits, m] uint8."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    return (packed[..., None, :] >> shifts) & np.uint8((1 << bits) - 1)


def nibbles(halves: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The 32 nibbles of 16 bytes, all low ones before all high ones. [n, 16] -> [n, 32] uint8."""
    return fields(halves, 4).reshape(-1, 32)


def fifth_bits(packed: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """32 bits, lowest bit of the first byte first, each as 0 or 16. [n, 4] -> [n, 32] uint8."""
    return np.unpackbits(packed, axis=-1, bitorder="little") << np.uint8(4)
