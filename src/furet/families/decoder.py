"""The skeleton of a decoder: embedding, layers, final norm, head; and the configuration they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from types import SimpleNamespace
from typing import ClassVar

from furet.families.fields import MOST_TOKENS, Fields
from furet.families.tensors import Row
from furet.ops import Ops, X
from furet.ops.rope import Rope, Style


@dataclass(frozen=True)
class Config:
    """Sizes and constants of a decoder.

    context     tokens that it was trained for
    eps         added to the mean square in its norms
    window      how many positions a token sees; 0: all
    """

    layers: int  # L
    width: int  # C
    ffn: int  # F
    heads: int  # H
    kv_heads: int  # K
    head_dim: int  # D
    vocab: int  # V
    context: int
    eps: float
    rope: Rope
    window: int = 0

    @property
    def scale(self) -> float:
        """What attention scores are multiplied by."""
        return 1.0 / sqrt(self.head_dim)


class Decoder(ABC):
    """A model family: each defines its names, its tensor table, its configuration and its layer.

    architectures   what model files call it
    ignored         keys of its configuration that need not be read: {key: reason}
    """

    architectures: ClassVar[tuple[str, ...]] = ()
    tensors: ClassVar[tuple[Row, ...]]
    ignored: ClassVar[Mapping[str, str]] = {}

    def __init__(self, config: Config, weights: SimpleNamespace) -> None:
        self.config = config
        self.weights = weights

    @staticmethod
    @abstractmethod
    def read_config(f: Fields) -> Config:
        """The configuration in a file's metadata."""

    @abstractmethod
    def layer(self, op: Ops[X], i: int, x: X) -> X:
        """Layer i. [T, C] -> [T, C]"""

    def forward(self, op: Ops[X]) -> X:
        """The logits of the wanted rows. -> [R, V]"""
        w = self.weights
        x = op.embed(w.token_embd)  # [T, C]
        for i in range(self.config.layers):
            x = self.layer(op, i, x)
        x = op.rms_norm(op.rows(x), w.output_norm, self.config.eps)  # [R, C]
        return op.linear(x, w.output or w.token_embd)  # [R, V]; a tied head is the embedding


def read_config(f: Fields, style: Style) -> Config:
    """The configuration of a decoder with pre-norms, rotary positions and perhaps grouped queries."""
    layers = f.axis("L", "block_count", high=1000)
    width = f.axis("C", "embedding_length")
    heads = f.axis("H", "attention.head_count")
    kv_heads = f.axis("K", "attention.head_count_kv", heads)
    f.require(heads % kv_heads == 0, "attention.head_count_kv", f"a divisor of {heads} heads")
    divides = width % heads == 0 or f.has("attention.key_length")
    f.require(divides, "embedding_length", f"a multiple of {heads} heads")
    head_dim = f.axis("D", "attention.key_length", width // heads)
    f.expect("attention.value_length", head_dim, f"values must be of the size of keys, {head_dim}")
    context = f.integer("context_length", low=1, high=MOST_TOKENS)
    f.expect("attention.causal", True, "attention that looks ahead is not supported")
    f.expect("expert_count", 0, "mixtures of experts are not supported in this family")
    f.expect("expert_used_count", 0, "mixtures of experts are not supported in this family")
    return Config(
        layers=layers,
        width=width,
        ffn=f.axis("F", "feed_forward_length"),
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=f.vocabulary(),
        context=context,
        eps=f.number("attention.layer_norm_rms_epsilon"),
        rope=read_rope(f, head_dim, context, style),
    )


def read_rope(f: Fields, head_dim: int, context: int, style: Style) -> Rope:
    """The rotary positions, plain or scaled; factors per pair come as a tensor and have no key."""
    dims = f.integer("rope.dimension_count", head_dim, low=2, high=head_dim)
    f.require(dims % 2 == 0, "rope.dimension_count", f"an even size, not {dims}")
    base = f.number("rope.freq_base", 10_000.0)
    f.require(base > 1, "rope.freq_base", "a number above 1")
    factor = f.number("rope.scaling.factor", f.number("rope.scale_linear", 1.0))
    f.expect("rope.scaling.attn_factor", 1.0, "an attention factor of its own is not supported")
    trained = f.integer("rope.scaling.original_context_length", context, low=1, high=MOST_TOKENS)
    match f.text("rope.scaling.type", "linear"):
        case "none":
            return Rope(base, dims, style)
        case "linear":
            return Rope(base, dims, style, factor)
        case "yarn":
            return Rope(base, dims, style, factor, yarn_context=trained)
        case other:
            raise f.unsupported(f"{f.name('rope.scaling.type')} is {other[:80]!r}, not none, linear or yarn")
