"""What a cache keeps of keys and values: the rounding of its types, in NumPy.

    f16     the float16 nearest to each value
    q8_0    blocks of 32 values of a head: scale = max |x| / 127, code = x / scale, nearest, within [-127, 127]
    q4_0    the same with scale = (the x of largest |x|) / -8, within [-8, 7]

A scale is a float16. Blocks are turned first, by the Hadamard matrix over sqrt(32), which is its own inverse: a
channel that is far from the others, as keys have them, then widens no scale alone. Heads of a size that is no
multiple of 32 stay f16. The native core rounds by the same formulas (`csrc/kernels/cached.h`), from float32.
Beyond that the core holds keys without what stands out of their bias (`furet.ops.key_bias`), which no block
then has to cover.
Source of the turn: Ashkboos et al., arXiv:2404.00456.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

CacheType = Literal["f16", "q8_0", "q4_0"]

BLOCK = 32  # channels that share a scale


def kept_as(type: CacheType, head_dim: int) -> CacheType:
    """The type that heads of this size are kept in where `type` is asked for."""
    return "f16" if head_dim % BLOCK else type


def rounded(x: NDArray[np.float64], type: CacheType, head_dim: int) -> NDArray[np.float64]:
    """Keys or values as q8_0 or q4_0 would give them back; f16 is left alone, as all else here. [T, K*D] -> [T, K*D]"""
    kind = kept_as(type, head_dim)
    if kind == "f16":
        return x
    blocks = _turned(x.astype(np.float32).reshape(-1, BLOCK))
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if kind == "q8_0":
            farthest, steps, lowest, highest = np.abs(blocks).max(axis=1, keepdims=True), 127, -127, 127
        else:
            at = np.abs(blocks).argmax(axis=1, keepdims=True)
            farthest, steps, lowest, highest = np.take_along_axis(blocks, at, axis=1), -8, -8, 7
        scale = (farthest / np.float32(steps)).astype(np.float16).astype(np.float32)
        inverse = np.where(scale == 0, np.float32(0), np.float32(1) / scale)
        codes = np.rint(blocks * inverse).clip(lowest, highest)
        return _turned(codes * scale).astype(np.float64).reshape(x.shape)


def _turned(blocks: NDArray[np.float32]) -> NDArray[np.float32]:
    """[n, 32] -> [n, 32]"""
    half = 1
    while half < BLOCK:
        pairs = blocks.reshape(len(blocks), -1, 2, half)
        first, second = pairs[:, :, 0], pairs[:, :, 1]
        blocks = np.stack([first + second, first - second], axis=2).reshape(-1, BLOCK)
        half *= 2
    return blocks * np.float32(1 / np.sqrt(BLOCK))
