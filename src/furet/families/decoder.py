"""The skeleton of a decoder: embedding, layers, final norm, head; and the configuration they share."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any, get_args

from furet.families import family
from furet.families.family import EPSILON, Family, Norm
from furet.families.fields import MOST_TOKENS, Fields
from furet.families.rotary import read_rope
from furet.ops import Activation, Ops, X
from furet.ops.rope import Rope, Style

MOST_EXPERTS = 1024  # no published model has more


@dataclass(frozen=True)
class Config(family.Config):
    """Sizes and constants of a decoder with attention; a family with more of them extends it.

    activation      the function of its feed-forward layers
    window          how many positions a token sees; 0: all
    alibi           the largest exponent of the slopes by which scores fall with distance; 0: they do not
    period          every so manieth layer sees all, whatever the window; 0: none does
    given_scale     what attention scores are multiplied by; 0: 1 / sqrt(D)
    experts, used   of a mixture of experts: how many there are (E), and how many a token meets
    normalise       whether the weights of a token's experts are made to add up to 1
    """

    ffn: int  # F
    heads: int  # H
    kv_heads: int  # K
    head_dim: int  # D
    rope: Rope
    activation: Activation = "silu"
    window: int = 0
    alibi: float = 0.0
    period: int = 0
    given_scale: float = 0.0
    experts: int = 0
    used: int = 0
    normalise: bool = True

    @property
    def scale(self) -> float:
        """What attention scores are multiplied by."""
        return self.given_scale or 1.0 / sqrt(self.head_dim)

    def window_of(self, layer: int) -> int:
        """How many positions a token sees in a layer; 0: all."""
        return 0 if self.period and (layer + 1) % self.period == 0 else self.window


class Decoder(Family):
    """A model that continues a text: each family defines its layer, and what else differs from this."""

    def forward(self, op: Ops[X]) -> X:
        """The logits of the wanted rows. -> [R, V]"""
        x = self.embed(op)  # [T, C]
        for i in range(self.config.layers):
            x = self.layer(op, i, x)
        return self.head(op, op.rows(x))

    def layer(self, op: Ops[X], i: int, x: X) -> X:
        """Layer i. [T, C] -> [T, C]"""
        raise NotImplementedError

    def embed(self, op: Ops[X]) -> X:
        """What goes into the first layer. -> [T, C]"""
        return op.embed(self.weights.token_embd)

    def head(self, op: Ops[X], x: X) -> X:
        """From what leaves the last layer to logits; a tied head is the embedding. [R, C] -> [R, V]"""
        w = self.weights
        x = self.norm(op, x, w.output_norm, getattr(w, "output_norm_bias", None))
        return op.linear(x, w.output or w.token_embd, getattr(w, "output_bias", None))

    def qkv(self, op: Ops[X], x: X, w: Any) -> tuple[X, X, X]:
        """Queries, keys and values, of one matrix or three, with or without biases.

        [T, C] -> [T, H*D], [T, K*D], [T, K*D]
        """
        c = self.config
        if getattr(w, "attn_qkv", None) is None:
            q, k, v = (
                op.linear(x, getattr(w, f"attn_{letter}"), getattr(w, f"attn_{letter}_bias", None)) for letter in "qkv"
            )
            return q, k, v
        qkv = op.linear(x, w.attn_qkv, getattr(w, "attn_qkv_bias", None))
        queries, keys = c.heads * c.head_dim, c.kv_heads * c.head_dim
        return op.columns(qkv, 0, queries), op.columns(qkv, queries, keys), op.columns(qkv, queries + keys, keys)

    def mlp(self, op: Ops[X], x: X, w: Any) -> X:
        """down(activation(up(x))), with a bias or without. [T, C] -> [T, C]"""
        up, down = (getattr(w, f"ffn_{part}_bias", None) for part in ("up", "down"))
        return op.linear(op.activate(op.linear(x, w.ffn_up, up), self.config.activation), w.ffn_down, down)

    def mixture(self, op: Ops[X], x: X, w: Any) -> X:
        """SwiGLU of the few experts that suit each token. [T, C] -> [T, C]"""
        route = op.route(op.linear(x, w.ffn_gate_inp), self.config.used, self.config.normalise)
        y = op.dispatch(x, route)  # [T*used, C]
        gate, up = op.expert_linear(y, w.ffn_gate_exps, route), op.expert_linear(y, w.ffn_up_exps, route)
        return op.combine(op.expert_linear(op.activate(gate, "silu") * up, w.ffn_down_exps, route), route)

    def gated(self, op: Ops[X], x: X, w: object, function: Activation = "silu") -> X:
        """SwiGLU and its kin: down(function(gate(x)) * up(x)). [T, C] -> [T, C]"""
        gate, up, down = (getattr(w, f"ffn_{part}") for part in ("gate", "up", "down"))
        return op.linear(op.activate(op.linear(x, gate), function) * op.linear(x, up), down)


def read_config(
    f: Fields,
    style: Style = "halves",
    norm: Norm = "rms",
    long: bool = False,
    activation: Activation = "silu",
    experts: bool = False,
) -> Config:
    """The configuration of a decoder, with rotary positions where the family uses them, and grouped queries.

    long        whether the family chooses factors of its angles by the length of the context
    activation  the function of its feed-forward layers where the file names none
    experts     whether the family knows mixtures of experts; X is then their width, and there is no F
    """
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
    count, used = _experts(f, experts)
    return Config(
        layers=layers,
        width=width,
        ffn=f.axes["X" if count else "F"].size,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=head_dim,
        vocab=f.vocabulary(),
        context=context,
        norm=norm,
        eps=f.number(EPSILON[norm]),
        rope=read_rope(f, head_dim, context, style, long),
        activation=_activation(f, activation),
        experts=count,
        used=used,
        given_scale=f.number("attention.scale", 0.0),
    )


def _experts(f: Fields, known: bool) -> tuple[int, int]:
    """How many experts there are, and how many a token meets; reads F, or E and X."""
    if not known or f.integer("expert_count", 0) == 0:
        for key in ("expert_count", "expert_used_count"):
            f.expect(key, 0, "mixtures of experts are not supported in this family")
        f.axis("F", "feed_forward_length")
        return 0, 0
    count = f.axis("E", "expert_count", high=MOST_EXPERTS)
    f.axis("X", "expert_feed_forward_length", f.integer("feed_forward_length", 0))
    return count, f.integer("expert_used_count", low=1, high=count)


def _activation(f: Fields, usual: Activation) -> Activation:
    named = f.text("hidden_activation", usual)
    known: tuple[Activation, ...] = get_args(Activation)
    for function in known:
        if named == function:
            return function
    raise f.unsupported(f"{f.name('hidden_activation')} is {named[:80]!r}, which is not known here")
