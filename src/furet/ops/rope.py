"""Rotary positions: which pairs of a head turn, and how fast.

Pair i of a head at position p turns by the angle p * f[i], with f[i] = base^(-2i/dims) before scaling. A pair
is (2i, 2i+1) in the interleaved style of the paper, (i, i + dims/2) in the halves style of GPT-NeoX. The two
differ by a permutation of the rows of q and k, which the GGUF converter of the llama family applies.

Scaling stretches a model beyond the context that it was trained for:

    linear      f / factor: every angle as if the positions were closer together    arXiv:2306.15595
    yarn        linear for slow pairs, untouched for fast ones, a ramp between      arXiv:2309.00071
    factors     a divisor per pair stored in the file: Llama 3.1 and later          arXiv:2407.21783

Angles are float64: in float32, the angle at position 100,000 is off by several thousandths of a radian.
Source: Su et al., arXiv:2104.09864, section 3.2.2.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log, pi
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Style = Literal["interleaved", "halves"]

# YaRN leaves alone the pairs that turn at least 32 times within the trained context, and stretches fully
# those that turn less than once: beta and alpha of arXiv:2309.00071, section 3.2.
FAST_TURNS, SLOW_TURNS = 32, 1


@dataclass(frozen=True)
class Rope:
    """How a model turns its heads.

    base            theta; dimensionless
    dims            values of each head that turn, from the first on; even
    style           which values form a pair
    factor          how far the context is stretched; 1: not at all
    yarn_context    tokens of context before stretching by YaRN; 0: stretched linearly
    attention_factor    what the rotated values are multiplied by, beside YaRN's temperature
    """

    base: float
    dims: int
    style: Style
    factor: float = 1.0
    yarn_context: int = 0
    attention_factor: float = 1.0

    @property
    def magnitude(self) -> float:
        """What the rotated values are multiplied by."""
        temperature = 0.1 * log(self.factor) + 1.0 if self.yarn_context and self.factor > 1 else 1.0
        return self.attention_factor * temperature

    def frequencies(self, factors: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Radians per position of every pair. -> [dims/2]"""
        fast: NDArray[np.float64] = self.base ** (-np.arange(0, self.dims, 2, dtype=np.float64) / self.dims)
        slow = fast / self.factor
        stretched = slow + (fast - slow) * self._kept() if self.yarn_context else slow
        return stretched if factors is None else stretched / factors

    def _kept(self) -> NDArray[np.float64]:
        """YaRN's ramp: 1 for pairs that keep their frequency, 0 for pairs that are stretched. -> [dims/2]"""
        low, high = (self._pair_turning(turns) for turns in (FAST_TURNS, SLOW_TURNS))
        first, last = max(np.floor(low), 0), min(np.ceil(high), self.dims - 1)
        ramp: NDArray[np.float64] = (np.arange(self.dims // 2) - first) / max(last - first, 0.001)
        return 1.0 - ramp.clip(0.0, 1.0)

    def _pair_turning(self, turns: float) -> float:
        """The (fractional) pair that turns this often within the trained context."""
        return self.dims * log(self.yarn_context / (turns * 2 * pi)) / (2 * log(self.base))


def angles(
    rope: Rope, positions: NDArray[np.int64], factors: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    """The angle of every pair at every position, in radians. [T] -> [T, dims/2]"""
    return positions[:, None] * rope.frequencies(factors)
