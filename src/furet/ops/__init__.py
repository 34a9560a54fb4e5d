"""The op list: what a model family may say, each op defined once.

A family is a function of `op: Ops[X]`. What X is depends on who listens:

    reference   X is a float64 array      the answer by definition
    trace       X is a symbol             the instructions, in order
      passes      rewrites that list, fusing what the native core can do in one go
      arena       gives every value a place in memory
      dry         adds up the bytes, from shapes alone
      native      hands the list to the C++ core

Values have one row per token of the step, [T, ...], and the step may hold tokens of several sequences. Only
ops that know positions, or keep something from step to step, know which token belongs where. A new op is a
method here and one in each interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.ops.rope import Rope

Activation = Literal["silu", "gelu", "gelu_tanh", "relu", "sigmoid", "tanh", "exp", "softplus"]
"""A function of single values; the formulas are in `furet.ops.activations`."""


class Tensor(Protocol):
    """A stored tensor as an op sees it: its data stays with the interpreter."""

    @property
    def name(self) -> str: ...
    @property
    def type(self) -> TensorType: ...
    @property
    def shape(self) -> tuple[int, ...]: ...


class Header(Protocol):
    """What a model file says about itself; enough to trace, check and plan."""

    @property
    def metadata(self) -> Mapping[str, Any]: ...
    @property
    def tensors(self) -> Mapping[str, Tensor]: ...


class Source(Header, Protocol):
    """A header with the data behind it, such as an open GGUF file."""

    @property
    def byteorder(self) -> str: ...
    def data(self, name: str) -> NDArray[np.uint8]: ...
    def read(self, name: str, offset: int, out: memoryview) -> None:
        """Copy bytes of a tensor from `offset` on, leaving nothing but them in memory."""


class Array(Protocol):
    """What every X offers of itself."""

    def __add__(self: A, other: A, /) -> A: ...
    def __sub__(self: A, other: A, /) -> A: ...
    def __mul__(self: A, other: A, /) -> A: ...


A = TypeVar("A", bound="Array")
X = TypeVar("X", bound=Array)


class Ops(Protocol[X]):
    """The ops, with their shapes; letters as in the glossary, N and M any width."""

    # Looking up

    def embed(self, weight: Tensor) -> X:
        """Row `token` of weight [V, C] for every token of the step. -> [T, C]"""

    def embed_positions(self, weight: Tensor, offset: int = 0) -> X:
        """Row `position + offset` of weight [rows, C] for every token of the step. -> [T, C]"""

    # Row by row

    def rms_norm(self, x: X, weight: Tensor, eps: float) -> X:
        """x / sqrt(mean(x^2) + eps) * weight, over groups of len(weight) values of each row. [T, N] -> [T, N]

        A weight of D values normalises every head on its own.
        Source: Zhang and Sennrich, arXiv:1910.07467.
        """

    def layer_norm(self, x: X, weight: Tensor, bias: Tensor | None, eps: float, groups: int = 1) -> X:
        """(x - mean) / sqrt(var + eps) * weight + bias, in each of `groups` parts of a row. [T, N] -> [T, N]

        weight, bias    [N] or [groups, N / groups]; or [N / groups] and then the same for every part
        Source: Ba et al., arXiv:1607.06450; in groups: Wu and He, arXiv:1803.08494.
        """

    def l2_norm(self, x: X, heads: int, eps: float) -> X:
        """x / max(|x|, eps) of every head, |x| being its Euclidean length. [T, H*D] -> [T, H*D]"""

    def linear(self, x: X, weight: Tensor, bias: Tensor | None = None) -> X:
        """x @ weight.T + bias. [T, N], [M, N], [M] -> [T, M]"""

    def affine(self, x: X, weight: Tensor | None = None, bias: Tensor | None = None, row: int = 0) -> X:
        """x * weight + bias, value by value. [T, N], [N], [N] -> [T, N]

        row     which row, of a table [rows, N]
        """

    def activate(self, x: X, function: Activation) -> X:
        """The function of every value. [T, N] -> [T, N]"""

    def scale(self, x: X, factor: float) -> X:
        """x * factor. [T, N] -> [T, N]"""

    def soft_cap(self, x: X, cap: float) -> X:
        """cap * tanh(x / cap), which never exceeds the cap. [T, N] -> [T, N]

        Source: Bello et al., arXiv:1611.09940; in Gemma 2, arXiv:2408.00118.
        """

    def clamp(self, x: X, bound: float) -> X:
        """x within [-bound, bound]. [T, N] -> [T, N]"""

    def columns(self, x: X, first: int, count: int) -> X:
        """Some columns, as of q in a fused q/k/v. [T, N] -> [T, count]"""

    def head_dot(self, a: X, b: X, heads: int) -> X:
        """The dot product of a and b in every head, at each of its places. [T, H*D] -> [T, H*D]"""

    def rows(self, x: X) -> X:
        """The rows whose logits are wanted. [T, C] -> [R, C]"""

    # Attention

    def rope(self, x: X, heads: int, rope: Rope, factors: Tensor | None = None) -> X:
        """Rotate pairs of values of every head by angles that grow with the position. [T, H*D] -> [T, H*D]

        factors     [dims/2] divisors of the frequencies, where the file stores them
        Source: Su et al., arXiv:2104.09864; see `furet.ops.rope`.
        """

    def attention(
        self,
        layer: int,
        q: X,
        k: X,
        v: X,
        heads: int,
        kv_heads: int,
        scale: float,
        window: int = 0,
        *,
        soft_cap: float = 0.0,
        alibi: float = 0.0,
        distances: Tensor | None = None,
    ) -> X:
        """Append k and v to the layer's cache, then softmax(scale * q k^T) v over what each token may see.

        q           [T, H*D]; query head h reads key head h // (H / K)
        k, v        [T, K*D]
        window      a token at position p sees positions p - window + 1 to p; 0: all up to p
        soft_cap    scores are capped as by `soft_cap`; 0: not
        alibi       the largest exponent of the slopes by which scores fall with distance; 0: none
        distances   [buckets, H] a bias per bucket of distances, learned
        returns     [T, H*D]
        Source: Vaswani et al., arXiv:1706.03762; shared keys: Ainslie et al., arXiv:2305.13245; window: Jiang
        et al., arXiv:2310.06825; slopes: Press et al., arXiv:2108.12409; buckets: Raffel et al.,
        arXiv:1910.10683. The last two: `furet.ops.bias`.
        """

    def attend_all(
        self, q: X, k: X, v: X, heads: int, scale: float, distances: Tensor | None = None
    ) -> X:
        """Attention of every token to all tokens of its sequence in the step, before and behind it.

        Nothing is kept: an encoder takes a whole sequence in one step. [T, H*D] -> [T, H*D]
        """

    def remember(self, layer: int, k: X, v: X, heads: int) -> X:
        """Put keys and values of an encoder's tokens where `recall` of the layer finds them. -> k"""

    def recall(self, layer: int, q: X, heads: int, scale: float) -> X:
        """Attention to all that was remembered for the layer: cross-attention. [T, H*D] -> [T, H*D]"""

    # Mixtures of experts

    def route(self, scores: X, used: int, normalise: bool) -> X:
        """The `used` experts of highest softmax(score) of every token, with these as weights. [T, E] -> route

        normalise   the weights of a token's experts are made to add up to 1
        Of equal scores the lower expert comes first.
        Source: Shazeer et al., arXiv:1701.06538; Fedus et al., arXiv:2101.03961.
        """

    def dispatch(self, x: X, route: X) -> X:
        """The row of every token once for each of its experts. [T, N] -> [T*used, N]"""

    def expert_linear(self, x: X, weight: Tensor, route: X) -> X:
        """x @ weight[expert].T for the expert of every row. [T*used, N], [E, M, N] -> [T*used, M]"""

    def combine(self, x: X, route: X) -> X:
        """The weighted sum of every token's rows. [T*used, N] -> [T, N]"""

    # Recurrent: what a sequence keeps between tokens is named by `state`

    def shift(self, state: str, x: X) -> X:
        """The row of the token before, zeros for the first of a sequence. [T, N] -> [T, N]"""

    def convolve(self, state: str, x: X, weight: Tensor, bias: Tensor | None = None) -> X:
        """y[t] = bias + sum_j weight[:, j] * x[t - J + 1 + j], column by column. [T, N], [N, J] -> [T, N]

        Source: Gu and Dao, arXiv:2312.00752.
        """

    def selective_scan(self, state: str, x: X, dt: X, a: Tensor, b: X, c: X, d: Tensor) -> X:
        """s = exp(dt * a) s + dt x b^T, y = s c + d x, token by token. x, dt [T, N], b, c [T, J] -> [T, N]

        a       [N, J], negative
        d       [N]
        state   [N, J], zeros at first
        Source: Gu and Dao, arXiv:2312.00752, algorithm 2.
        """

    def wkv4(self, state: str, k: X, v: X, decay: Tensor, first: Tensor) -> X:
        """The mean of all values so far, weighted by exp(k) and by age; column by column. [T, N] -> [T, N]

        y = (sum_{i<t} e^{k_i + (t-1-i) decay} v_i + e^{first + k_t} v_t) / (the same without v)

        decay   [N], below 0
        first   [N], the extra weight of the token itself
        Source: Peng et al., arXiv:2305.13048, section 4.
        """

    def wkv7(self, state: str, r: X, decay: X, k: X, v: X, a: X, b: X, heads: int) -> X:
        """S = S diag(decay) + (S a) b^T + v k^T, y = S r, in every head. all [T, H*D] -> [T, H*D]

        state   [H, D, D], zeros at first; S maps keys to values
        Source: Peng et al., arXiv:2503.14456.
        """
