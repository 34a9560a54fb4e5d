"""What is done to the logits of single tokens before any filter: biases, and penalties for having occurred.

Sources: repetition penalty Keskar et al., arXiv:1909.05858; frequency and presence penalty as OpenAI defines them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from furet import _core

Row = NDArray[np.float32]


def add_biases(logits: Row, biases: Mapping[int, float]) -> None:
    """Add to the logits of some tokens, in place. [V]"""
    ids = np.fromiter(biases.keys(), dtype=np.intp, count=len(biases))
    logits[ids] += np.fromiter(biases.values(), dtype=np.float64, count=len(biases))


def penalise(logits: Row, recent: Sequence[int], *, repeat: float, frequency: float, presence: float) -> None:
    """Make tokens that occurred recently less probable, in place. [V]

    repeat      divides positive logits, and multiplies others
    frequency   is taken away as often as a token occurred
    presence    is taken away once
    """
    _core.penalise(logits, recent, repeat, frequency, presence)
