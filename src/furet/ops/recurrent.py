"""Recurrent rules in NumPy, one sequence at a time: (state or None, values, weights) -> (out, state).

Written token by token, as their papers define them; the sources are in the op list.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Result = tuple[Floats, Floats]


def shift(state: Floats | None, x: Floats) -> Result:
    """x one token later. [T, N] -> [T, N]; state [N]"""
    before = np.zeros(x.shape[1]) if state is None else state
    return np.concatenate([before[None], x[:-1]]), x[-1].copy()


def convolve(state: Floats | None, x: Floats, weight: Floats) -> Result:
    """Weighted sum of the last J values of every column. [T, N], [N, J] -> [T, N]; state [J-1, N]"""
    width = weight.shape[1]
    before = np.zeros((width - 1, x.shape[1])) if state is None else state
    line = np.concatenate([before, x])
    y = sum(weight[:, j] * line[j : j + len(x)] for j in range(width))
    return np.asarray(y), line[len(x) :].copy()


def selective_scan(
    state: Floats | None, x: Floats, dt: Floats, b: Floats, c: Floats, a: Floats, d: Floats
) -> Result:
    """s = exp(dt a) s + dt x b, y = s c + d x. [T, N], [T, J], [N, J], [N] -> [T, N]; state [N, J]"""
    s = np.zeros(a.shape) if state is None else state
    y = np.empty_like(x)
    for t in range(len(x)):
        s = np.exp(dt[t][:, None] * a) * s + (dt[t] * x[t])[:, None] * b[t]
        y[t] = s @ c[t] + d.reshape(-1) * x[t]
    return y, s


def wkv4(state: Floats | None, k: Floats, v: Floats, decay: Floats, first: Floats) -> Result:
    """The weighted mean of RWKV-4. [T, N], [N] -> [T, N]

    state   [3, N]: numerator, denominator, largest exponent; the first two are kept divided by e^largest, so
            that nothing overflows
    """
    decay, first = decay.reshape(-1), first.reshape(-1)
    start = np.stack([np.zeros(k.shape[1]), np.zeros(k.shape[1]), np.full(k.shape[1], -np.inf)])
    above, below, largest = start if state is None else state
    y = np.empty_like(v)
    for t in range(len(k)):
        top = np.maximum(largest, first + k[t])
        old, new = np.exp(largest - top), np.exp(first + k[t] - top)
        y[t] = (old * above + new * v[t]) / (old * below + new)
        top = np.maximum(largest + decay, k[t])
        old, new = np.exp(largest + decay - top), np.exp(k[t] - top)
        above, below, largest = old * above + new * v[t], old * below + new, top
    return y, np.stack([above, below, largest])


def wkv7(
    state: Floats | None, r: Floats, decay: Floats, k: Floats, v: Floats, a: Floats, b: Floats
) -> Result:
    """S = S diag(decay) + (S a) b^T + v k^T, y = S r. all [T, H, D] -> [T, H, D]; state [H, D, D]"""
    heads, size = r.shape[1:]
    s = np.zeros((heads, size, size)) if state is None else state
    y = np.empty_like(v)
    for t in range(len(r)):
        turned = s @ a[t][:, :, None] * b[t][:, None, :]
        s = s * decay[t][:, None, :] + turned + v[t][:, :, None] * k[t][:, None, :]
        y[t] = (s @ r[t][:, :, None])[:, :, 0]
    return y, s
