"""Functions of single values, in float64.

    silu        x sigmoid(x)                                            arXiv:1702.03118
    gelu        x Phi(x), Phi the normal distribution                   arXiv:1606.08415
    gelu_tanh   x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))           the same, approximated
    relu        max(x, 0)
    sigmoid     1 / (1 + e^-x)
    tanh
    exp
    softplus    ln(1 + e^x)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import erf, pi, sqrt

import numpy as np
from numpy.typing import NDArray

from furet.ops import Activation

Floats = NDArray[np.float64]

_erf = np.vectorize(erf, otypes=[np.float64])


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + e^-x), without overflow on either side."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)


def gelu(x: Floats) -> Floats:
    """x times the share of a normal distribution below x."""
    share: Floats = 0.5 * (1.0 + _erf(x / sqrt(2.0))) if x.size else x
    return x * share


def gelu_tanh(x: Floats) -> Floats:
    """`gelu` as approximated by a hyperbolic tangent."""
    inner: Floats = np.tanh(sqrt(2.0 / pi) * (x + 0.044715 * x**3))
    return 0.5 * x * (1.0 + inner)


FUNCTIONS: Mapping[Activation, Callable[[Floats], Floats]] = {
    "silu": lambda x: x * sigmoid(x),
    "gelu": gelu,
    "gelu_tanh": gelu_tanh,
    "relu": lambda x: np.maximum(x, 0.0),
    "sigmoid": sigmoid,
    "tanh": np.tanh,
    "exp": np.exp,
    "softplus": lambda x: np.logaddexp(x, 0.0),
}
