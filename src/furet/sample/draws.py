"""Random numbers without a state: draw n of a seed is a function of both.

So an answer does not depend on what was drawn for others, and a request that was interrupted can go on where
it was. The function is SplitMix64, a counter through a 64-bit mixer.
Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, section 5.
"""

from __future__ import annotations

import os

_MASK = (1 << 64) - 1
_GOLDEN = 0x9E3779B97F4A7C15  # 2^64 / golden ratio, odd: consecutive counters fall far apart


def uniform(seed: int, index: int) -> float:
    """Draw number `index` of a seed: a multiple of 2^-53 in [0, 1)."""
    # The seed is mixed first: else seeds one step of the counter apart would give shifted copies of a stream.
    return (_mix(_mix(seed) + (index + 1) * _GOLDEN) >> 11) / (1 << 53)


def fresh_seed() -> int:
    """A seed from the operating system; below 2^53, so that it survives JSON."""
    return int.from_bytes(os.urandom(8), "little") >> 11


def _mix(z: int) -> int:
    z &= _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)
