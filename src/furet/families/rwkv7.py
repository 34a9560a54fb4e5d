"""RWKV-7: no attention; in every head a small matrix learns, token by token, which value belongs to which key.

Runs    RWKV-7 "Goose", 0.1B to 2.9B, their children
Source  arXiv:2503.14456
Parity  tests/parity, against the package `rwkv`
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING

import numpy as np

from furet.families import family
from furet.families.decoder import Decoder
from furet.families.family import EPSILON
from furet.families.fields import MOST, MOST_TOKENS, Axis, Fields
from furet.families.tensors import table
from furet.ops import Ops, X

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from furet.families.hugging_face import Words


@dataclass(frozen=True)
class Config(family.Config):
    heads: int  # H
    head_dim: int  # D


class Rwkv7(Decoder):
    architectures = ("rwkv7",)
    model_types = ("rwkv7",)
    tensors = table("""
        name                         hugging face                                            shape    floor
        token_embd                   model.embeddings                                        V C      q6_k
        token_embd_norm              model.layers.0.pre_norm                                 C        f32
        token_embd_norm.bias         model.layers.0.pre_norm.bias                            C        f32
        blk.{i}.attn_norm            model.layers.{i}.attn_norm                              C        f32
        blk.{i}.attn_norm.bias       model.layers.{i}.attn_norm.bias                         C        f32
        blk.{i}.time_mix_lerp_fused  model.layers.{i}.attn.x_{rwkvag}.|flat                  6 1 1 C  f32
        blk.{i}.time_mix_w0          model.layers.{i}.attn.w_lora.lora.2.bias                C        f32
        blk.{i}.time_mix_w1          model.layers.{i}.attn.w_lora.lora.0                     W C      any
        blk.{i}.time_mix_w2          model.layers.{i}.attn.w_lora.lora.2                     C W      any
        blk.{i}.time_mix_a0          model.layers.{i}.attn.a_lora.lora.2.bias                C        f32
        blk.{i}.time_mix_a1          model.layers.{i}.attn.a_lora.lora.0                     A C      any
        blk.{i}.time_mix_a2          model.layers.{i}.attn.a_lora.lora.2                     C A      any
        blk.{i}.time_mix_v0?         model.layers.{i}.attn.v_lora.lora.2.bias                C        f32
        blk.{i}.time_mix_v1?         model.layers.{i}.attn.v_lora.lora.0                     U C      any
        blk.{i}.time_mix_v2?         model.layers.{i}.attn.v_lora.lora.2                     C U      any
        blk.{i}.time_mix_g1          model.layers.{i}.attn.g_lora.lora.0                     G C      any
        blk.{i}.time_mix_g2          model.layers.{i}.attn.g_lora.lora.2                     C G      any
        blk.{i}.time_mix_k_k         model.layers.{i}.attn.k_k.|flat                         C        f32
        blk.{i}.time_mix_k_a         model.layers.{i}.attn.k_a.|flat                         C        f32
        blk.{i}.time_mix_r_k         model.layers.{i}.attn.r_k.|flat                         C        f32
        blk.{i}.time_mix_receptance  model.layers.{i}.attn.r_proj                            C C      any
        blk.{i}.time_mix_key         model.layers.{i}.attn.k_proj                            C C      any
        blk.{i}.time_mix_value       model.layers.{i}.attn.v_proj                            C C      any
        blk.{i}.time_mix_output      model.layers.{i}.attn.o_proj                            C C      any
        blk.{i}.time_mix_ln          model.layers.{i}.attn.g_norm                            C        f32
        blk.{i}.time_mix_ln.bias     model.layers.{i}.attn.g_norm.bias                       C        f32
        blk.{i}.attn_norm_2          model.layers.{i}.ffn_norm                               C        f32
        blk.{i}.attn_norm_2.bias     model.layers.{i}.ffn_norm.bias                          C        f32
        blk.{i}.channel_mix_lerp_k   model.layers.{i}.ffn.x_k.|flat                          1 1 C    f32
        blk.{i}.channel_mix_key      model.layers.{i}.ffn.key                                F C      any
        blk.{i}.channel_mix_value    model.layers.{i}.ffn.value                              C F      any
        output_norm                  model.norm                                              C        f32
        output_norm.bias             model.norm.bias                                         C        f32
        output?                      lm_head                                                 V C      q6_k
    """)
    ignored = dict.fromkeys(("attention.head_count", "token_shift_count"), "there is no attention")
    words = """
        norm_eps              attention.layer_norm_epsilon                1e-5
        head_dim              wkv.head_size
        decay_low_rank_dim    attention.decay_lora_rank
        a_low_rank_dim        attention.iclr_lora_rank
        v_low_rank_dim        attention.value_residual_mix_lora_rank
        gate_low_rank_dim     attention.gate_lora_rank
        hidden_act            = sqrelu
        norm_first            = true
        norm_bias             = true
        num_heads             -
        value_dim             -
        hidden_ratio          -
        attn                  -
        attn_mode             -
        fuse_*                -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        width, layers = f.axis("C", "embedding_length"), f.axis("L", "block_count", high=1000)
        head_dim = f.axis("D", "wkv.head_size")
        f.require(width % head_dim == 0, "wkv.head_size", f"a divisor of {width}")
        f.axis("F", "feed_forward_length")
        ranks = {"W": "decay", "A": "iclr", "U": "value_residual_mix", "G": "gate"}
        sizes = {letter: f.axis(letter, f"attention.{name}_lora_rank") for letter, name in ranks.items()}
        # The first layer has no earlier values to mix in; files hold tensors of another shape in their place.
        f.axes["U"] = Axis(sizes["U"], f.axes["U"].origin, (sizes["A"], *[sizes["U"]] * (layers - 1)))
        return Config(
            layers=layers,
            width=width,
            vocab=f.vocabulary(),
            context=f.integer("context_length", 4096, low=1, high=MOST_TOKENS),
            norm="layer",
            eps=f.number(EPSILON["layer"]),
            heads=width // head_dim,
            head_dim=head_dim,
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        keys = super().metadata(words)
        if words.peek("attn") is not None:
            raise words.unsupported("attn: a mixture of attention and RWKV-7 is not supported")
        keys.setdefault("feed_forward_length", 32 * -(-4 * words.integer("hidden_size") // 32))
        return {"attention.head_count": 0, "context_length": 4096, **keys}

    @classmethod
    def made(cls, words: Words) -> dict[str, NDArray[np.float32]]:
        """What llama.cpp wants of the first layer, and never reads."""
        width, rank = words.integer("hidden_size"), words.integer("a_low_rank_dim")
        if width * rank > MOST:
            raise words.damaged("a_low_rank_dim", f"at most {MOST // width}")
        shapes = {"v0": (width,), "v1": (rank, width), "v2": (width, rank)}
        return {f"blk.0.time_mix_{name}.weight": np.zeros(shape, np.float32) for name, shape in shapes.items()}

    def embed(self, op: Ops[X]) -> X:
        w = self.weights
        return self.norm(op, op.embed(w.token_embd), w.token_embd_norm, w.token_embd_norm_bias)

    def forward(self, op: Ops[X]) -> X:
        x, first = self.embed(op), None
        for i in range(self.config.layers):
            x, first = self.time_mix(op, i, x, first)
            x = self.channel_mix(op, i, x)
        return self.head(op, op.rows(x))

    def time_mix(self, op: Ops[X], i: int, x: X, first: X | None) -> tuple[X, X]:
        """x with what its keys find, and the values of the first layer, which later ones mix into theirs."""
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        back = op.shift(f"{i}.time_mix", h) - h
        r, d, k, v, a, g = (h + op.affine(back, w.time_mix_lerp_fused, row=j) for j in range(6))
        d = op.linear(op.activate(op.linear(d, w.time_mix_w1), "tanh"), w.time_mix_w2, w.time_mix_w0)
        decay = op.activate(op.scale(op.activate(d, "sigmoid"), -exp(-0.5)), "exp")
        a = op.activate(op.linear(op.linear(a, w.time_mix_a1), w.time_mix_a2, w.time_mix_a0), "sigmoid")
        g = op.linear(op.activate(op.linear(g, w.time_mix_g1), "sigmoid"), w.time_mix_g2)
        value = op.linear(v, w.time_mix_value)
        if first is None:
            first = value
        else:
            share = op.linear(op.linear(v, w.time_mix_v1), w.time_mix_v2, w.time_mix_v0)
            value = value + (first - value) * op.activate(share, "sigmoid")
        k = op.linear(k, w.time_mix_key)
        away = op.l2_norm(op.affine(k, w.time_mix_k_k), c.heads, 1e-12)
        k = k + op.affine(k * a - k, w.time_mix_k_a)
        r = op.linear(r, w.time_mix_receptance)
        y = op.wkv7(f"{i}.wkv", r, decay, k, value, op.scale(away, -1.0), away * a, c.heads)
        y = op.layer_norm(y, w.time_mix_ln, w.time_mix_ln_bias, c.head_dim * c.eps, c.heads)
        y = y + op.head_dot(op.affine(r, w.time_mix_r_k), k, c.heads) * value
        return x + op.linear(y * g, w.time_mix_output), first

    def channel_mix(self, op: Ops[X], i: int, x: X) -> X:
        """The feed-forward half of a layer, over a mix of each token with the one before."""
        w = self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm_2, w.attn_norm_2_bias)
        k = h + op.affine(op.shift(f"{i}.channel_mix", h) - h, w.channel_mix_lerp_k)
        k = op.activate(op.linear(k, w.channel_mix_key), "relu")
        return x + op.linear(k * k, w.channel_mix_value)
