"""From a tensor as Hugging Face stores it to the one that GGUF stores: orders of rows, and little arithmetic.

A family's table names them after a bar, perhaps with an axis letter: `model.layers.{i}.self_attn.q_proj|pairs:H`.
Those that only move values work on numbers of any type; the others want float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Reshape = Callable[[NDArray[Any], int], NDArray[Any]]
"""(array, size of the axis letter, 1 without one) -> array"""


def transposed(array: NDArray[Any], _: int) -> NDArray[Any]:
    """Columns for rows: OpenAI's convolutions of width one hold [in, out]."""
    return array.T


def pairs(array: NDArray[Any], heads: int) -> NDArray[Any]:
    """Pairs half a head apart become neighbours, as GGUF's LLaMA rotates them. [H*D, ...]"""
    halves = array.reshape(heads, 2, -1, *array.shape[1:])
    return halves.swapaxes(1, 2).reshape(array.shape)


def by_head(array: NDArray[Any], heads: int) -> NDArray[Any]:
    """q, k and v of every head in turn become all of q, all of k, all of v. [H*3*D, ...]"""
    split = array.reshape(heads, 3, -1, *array.shape[1:])
    return split.swapaxes(0, 1).reshape(array.shape)


def flat(array: NDArray[Any], _: int) -> NDArray[Any]:
    """Without the axes of one value."""
    return array.squeeze()


def first_half(array: NDArray[Any], _: int) -> NDArray[Any]:
    """The gate of a gate and what it lets pass, stored as one. [2*F, C]"""
    return array[: len(array) // 2]


def second_half(array: NDArray[Any], _: int) -> NDArray[Any]:
    """What a gate lets pass, stored after it. [2*F, C]"""
    return array[len(array) // 2 :]


def plus_one(array: NDArray[Any], _: int) -> NDArray[Any]:
    """Gemma stores the norms' weights less one."""
    return np.asarray(array + np.float32(1.0))


def negative_exp(array: NDArray[Any], _: int) -> NDArray[Any]:
    """Mamba stores the logarithm of how fast states decay."""
    return np.asarray(-np.exp(array))


RESHAPES: Mapping[str, Reshape] = {
    made.__name__: made for made in (transposed, pairs, by_head, flat, first_half, second_half, plus_one, negative_exp)
}
HALVES = frozenset({"first_half", "second_half"})
"""Those that take a part of the rows only."""
ARITHMETIC = frozenset({"plus_one", "negative_exp"})
"""Those that compute, and so want float32."""
