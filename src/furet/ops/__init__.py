"""The op list: what a model family may say, each op defined once.

A family is a function of `op: Ops[X]`. What X is depends on who listens:

    reference   X is a float64 array      the answer by definition
    trace       X is a symbol             the instructions, in order
      passes      rewrites that list, fusing what the native core can do in one go
      arena       gives every value a place in memory
      dry         adds up the bytes, from shapes alone
      native      hands the list to the C++ core

Values have one row per token of the step, [T, ...], and the step may hold tokens of several sequences; only
`rope` and `attention` know which token belongs where. A new op is a method here and one in each interpreter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.ops.rope import Rope


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
    def __mul__(self: A, other: A, /) -> A: ...


A = TypeVar("A", bound="Array")
X = TypeVar("X", bound=Array)


class Ops(Protocol[X]):
    """The ops, with their shapes; letters as in the glossary, N any width."""

    def embed(self, weight: Tensor) -> X:
        """Row `token` of weight [V, C] for every token of the step. -> [T, C]"""

    def rms_norm(self, x: X, weight: Tensor, eps: float) -> X:
        """x / sqrt(mean(x^2) + eps) * weight, over groups of len(weight) values of each row. [T, N] -> [T, N]

        A weight of D values normalises every head on its own.
        Source: Zhang and Sennrich, arXiv:1910.07467.
        """

    def linear(self, x: X, weight: Tensor, bias: Tensor | None = None) -> X:
        """x @ weight.T + bias. [T, N], [M, N], [M] -> [T, M]"""

    def rope(self, x: X, heads: int, rope: Rope, factors: Tensor | None = None) -> X:
        """Rotate pairs of values of every head by angles that grow with the position. [T, H*D] -> [T, H*D]

        factors     [dims/2] divisors of the frequencies, where the file stores them
        Source: Su et al., arXiv:2104.09864; see `furet.ops.rope`.
        """

    def attention(
        self, layer: int, q: X, k: X, v: X, heads: int, kv_heads: int, scale: float, window: int = 0
    ) -> X:
        """Append k and v to the layer's cache, then softmax(scale * q k^T) v over what each token may see.

        q           [T, H*D]; query head h reads key head h // (H / K)
        k, v        [T, K*D]
        window      a token at position p sees positions p - window + 1 to p; 0: all up to p
        returns     [T, H*D]
        Source: Vaswani et al., arXiv:1706.03762; shared keys: Ainslie et al., arXiv:2305.13245;
        window: Jiang et al., arXiv:2310.06825.
        """

    def silu(self, x: X) -> X:
        """x * sigmoid(x). [T, N] -> [T, N]

        Source: Elfwing et al., arXiv:1702.03118; gated as SwiGLU: Shazeer, arXiv:2002.05202.
        """

    def rows(self, x: X) -> X:
        """The rows whose logits are wanted. [T, C] -> [R, C]"""
