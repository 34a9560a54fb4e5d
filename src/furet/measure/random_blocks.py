"""Random blocks of any type whose values are such as weights have: finite, around zero, of a size that is asked for.

Codes are random bits. Scales are float16 in a place that each layout has for them; where a block has a minimum, it is
set so that the values lie around zero.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from furet import quant
from furet.dtypes import TensorType

# Where a block keeps its float16 scale, and (where, how large) its minimum for values around zero.
SCALE = {
    **dict.fromkeys(["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q4_K", "Q5_K", "IQ4_NL", "IQ4_XS"], 0),
    **{"Q2_K": 80, "Q3_K": 108, "Q6_K": 208, "TQ1_0": 52, "TQ2_0": 64},
}
MINIMUM = {"Q4_1": (2, -7.5), "Q5_1": (2, -15.5), "Q2_K": (82, 1.5), "Q4_K": (2, 7.5), "Q5_K": (2, 15.5)}
SAMPLE = 256  # blocks by which the size of a type's values is measured


def random_blocks(kind: TensorType, count: int, size: float, seed: int) -> NDArray[np.uint8]:
    """Blocks of values with the standard deviation `size`. -> [count, block bytes]"""
    random = np.random.Generator(np.random.PCG64(seed))
    if kind.block == 1:
        values = (size * random.standard_normal(count)).astype(np.float32)
        return quant.encode(kind, values).reshape(count, kind.block_bytes)
    blocks = np.frombuffer(random.bytes(count * kind.block_bytes), np.uint8).reshape(count, -1).copy()
    if kind == TensorType.MXFP4:
        # 2^(e - 128) times a code of root mean square 5.9.
        exponent = round(128 + np.log2(size / 5.9))
        blocks[:, 0] = random.integers(exponent - 1, exponent + 1, count, endpoint=True)
        return blocks
    set_scales(blocks, kind, np.ones(count))
    values = quant.decode(kind, blocks[:SAMPLE].reshape(-1), (min(count, SAMPLE) * kind.block,))
    set_scales(blocks, kind, size / np.std(values) * random.uniform(0.7, 1.3, count))
    return blocks


def set_scales(blocks: NDArray[np.uint8], kind: TensorType, scales: NDArray[np.float64]) -> None:
    """Give every block its scale, and a minimum to go with it. [count, block bytes], [count]"""
    at = SCALE[kind.name]
    blocks[:, at : at + 2] = scales.astype("<f2").view(np.uint8).reshape(-1, 2)
    if kind.name in MINIMUM:
        at, ratio = MINIMUM[kind.name]
        blocks[:, at : at + 2] = (ratio * scales).astype("<f2").view(np.uint8).reshape(-1, 2)
