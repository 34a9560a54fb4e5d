"""What of a bias keys are held without, where the cache keeps them in 8 or 4 bits.

Qwen2 and its children have key projections whose bias is, in a few channels, hundreds of times what it is added to.
There it would widen the scale of every block of the cache. It is known from the file: the core takes it off
before keys are rounded, turned by their position as they are, and adds its share to the scores
(`csrc/key_bias.h`). Each channel so kept out costs as much as one more of a head, so it is done for those that
stand out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from furet.ops import Tensor
from furet.ops.instructions import AttendAll, Attention, Columns, Linear, Rotate
from furet.ops.rope import Rope
from furet.ops.values import Instruction, Value

OUTSTANDING = 2.0  # a pair of channels stands out from this many times the median of the model's biases on
MOST_CHANNELS = 128  # of a head; kBiasLines of the core


@dataclass(frozen=True)
class KeyBias:
    """Where keys [T, K*D] have a bias from.

    tensor, first   it is the K*D values of this tensor from `first` on
    rope, factors   how keys are turned after it was added; None: not at all
    """

    tensor: Tensor
    first: int
    kv_heads: int
    head_dim: int
    rope: Rope | None
    factors: Tensor | None

    def pairs(self) -> NDArray[np.int32]:
        """(channel, its partner, number of their angle) of a head; a partner of -1 for what does not turn. -> [P, 3]"""
        dims = self.rope.dims if self.rope else 0
        angle, alone = np.arange(dims // 2), np.arange(dims, self.head_dim)
        if self.rope and self.rope.style == "interleaved":
            turning = np.stack([2 * angle, 2 * angle + 1, angle], axis=1)
        else:
            turning = np.stack([angle, angle + dims // 2, angle], axis=1)
        still = np.stack([alone, np.full_like(alone, -1), np.zeros_like(alone)], axis=1)
        return np.concatenate([turning, still]).astype(np.int32)


@dataclass(frozen=True)
class KeptOut:
    """The pairs of all heads that stand out, head after head.

    counts      [K] pairs of each head
    channels    [n, 3] as `KeyBias.pairs`
    values      [n, 2] the bias of both; 0 where there is no partner
    """

    counts: NDArray[np.int32]
    channels: NDArray[np.int32]
    values: NDArray[np.float32]


def key_biases(code: Sequence[Instruction]) -> dict[Value, KeyBias]:
    """The biases of all keys that a program attends to and that have one."""
    made = {value: step for step in code for value in step.writes}
    found = {}
    for step in code:
        if isinstance(step, Attention | AttendAll):
            kv_heads = step.kv_heads if isinstance(step, Attention) else step.heads
            bias = _bias_of(step.k, kv_heads, made)
            if bias is not None:
                found[step.k] = bias
    return found


def _bias_of(keys: Value, kv_heads: int, made: Mapping[Value, Instruction]) -> KeyBias | None:
    """Back through a rotation and a choice of columns to a linear with a bias."""
    rope: Rope | None = None
    factors: Tensor | None = None
    first, value = 0, keys
    step = made[value]
    if isinstance(step, Rotate) and step.heads == kv_heads:
        rope, factors, value = step.rope, step.factors, step.x
        step = made[value]
    if isinstance(step, Columns):
        first, value = step.start, step.x
        step = made[value]
    if not isinstance(step, Linear) or step.residual is not None:
        return None
    tensor = step.biases[step.outs.index(value)]
    if tensor is None:
        return None
    return KeyBias(tensor, first, kv_heads, keys.width // kv_heads, rope, factors)


def kept_out(
    biases: Mapping[Value, KeyBias], floats: Mapping[str, NDArray[np.float32]]
) -> dict[Value, KeptOut]:
    """What stands out of each bias; those of which nothing does are left out.

    floats      the tensors of the biases, by name
    """
    values = {keys: _by_pairs(bias, floats[bias.tensor.name]) for keys, bias in biases.items()}
    if not values:
        return {}
    sizes = {keys: np.hypot(value[..., 0], value[..., 1]) for keys, value in values.items()}
    least = OUTSTANDING * float(np.median(np.concatenate([size.reshape(-1) for size in sizes.values()])))
    found = {keys: _largest(biases[keys].pairs(), values[keys], sizes[keys], least) for keys in biases}
    return {keys: out for keys, out in found.items() if len(out.values)}


def _by_pairs(bias: KeyBias, tensor: NDArray[np.float32]) -> NDArray[np.float32]:
    """-> [K, P, 2]"""
    flat = tensor.reshape(-1)[bias.first : bias.first + bias.kv_heads * bias.head_dim]
    heads = np.pad(flat.reshape(bias.kv_heads, bias.head_dim), ((0, 0), (0, 1)))  # a partner of -1 has 0
    return heads[:, bias.pairs()[:, :2]]


def _largest(
    pairs: NDArray[np.int32], values: NDArray[np.float32], sizes: NDArray[np.float32], least: float
) -> KeptOut:
    """The pairs of more than `least`, of each head the largest that there is room for. [P, 3], [K, P, 2], [K, P]"""
    chosen = []
    for size in sizes:
        order = np.argsort(-size, kind="stable")
        order = order[size[order] > least]
        room = np.cumsum(1 + (pairs[order, 1] >= 0)) <= MOST_CHANNELS
        chosen.append(np.sort(order[room]))
    return KeptOut(
        np.array([len(each) for each in chosen], np.int32),
        np.concatenate([pairs[each] for each in chosen]),
        np.concatenate([value[each] for value, each in zip(values, chosen, strict=True)]),
    )
