"""Mamba: no attention; every layer is a short convolution and a state space whose step depends on the token.

Runs    Mamba 130M to 2.8B, their children
Source  arXiv:2312.00752
Parity  tests/parity, against MambaForCausalLM
"""

from __future__ import annotations

from dataclasses import dataclass

from furet.families import family
from furet.families.decoder import Decoder
from furet.families.fields import MOST_TOKENS, Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X

CONTEXT = 1 << 20  # tokens; the state is the same after any number of them


@dataclass(frozen=True)
class Config(family.Config):
    """inner is N, the width inside a layer; rank is R, of the projection to dt; state is J, values per column."""

    inner: int
    rank: int
    state: int


class Mamba(Decoder):
    architectures = ("mamba",)
    model_types = ("mamba",)
    tensors = table("""
        name                      hugging face                                        shape    floor
        token_embd                backbone.embeddings,embedding                       V C      q6_k
        blk.{i}.attn_norm         backbone.layers.{i}.norm                            C        f32
        blk.{i}.ssm_in            backbone.layers.{i}.mixer.in_proj                   2*N C    any
        blk.{i}.ssm_conv1d        backbone.layers.{i}.mixer.conv1d|flat               N W      f32
        blk.{i}.ssm_conv1d.bias?  backbone.layers.{i}.mixer.conv1d.bias               N        f32
        blk.{i}.ssm_x             backbone.layers.{i}.mixer.x_proj                    R+2*J N  any
        blk.{i}.ssm_dt            backbone.layers.{i}.mixer.dt_proj                   N R      any
        blk.{i}.ssm_dt.bias       backbone.layers.{i}.mixer.dt_proj.bias              N        f32
        blk.{i}.ssm_a.            backbone.layers.{i}.mixer.A_log.|negative_exp       N J      f32
        blk.{i}.ssm_d.            backbone.layers.{i}.mixer.D.                        N        f32
        blk.{i}.ssm_out           backbone.layers.{i}.mixer.out_proj                  C N      any
        output_norm               backbone.norm_f                                     C        f32
        output?                   lm_head                                             V C      q6_k
    """)
    ignored = dict.fromkeys(("attention.head_count", "feed_forward_length"), "there is no attention")
    words = """
        layer_norm_epsilon        attention.layer_norm_rms_epsilon   1e-5
        conv_kernel               ssm.conv_kernel
        state_size                ssm.state_size
        time_step_rank            ssm.time_step_rank
        intermediate_size         ssm.inner_size
        hidden_act                = silu
        use_bias                  = false
        use_conv_bias             -
        expand                    -
        time_step_*               -
        rescale_prenorm_residual  -
        residual_in_fp32          -
        use_mambapy               -
        use_associative_scan      -
        d_inner                   -
        ssm_cfg                   -
        fused_add_norm            -
        rms_norm                  = true
        pad_vocab_size_multiple   -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        f.expect("ssm.dt_b_c_rms", False, "norms of dt, B and C are not supported")
        f.axis("W", "ssm.conv_kernel", high=64)
        return Config(
            layers=f.axis("L", "block_count", high=1000),
            width=f.axis("C", "embedding_length"),
            vocab=f.vocabulary(),
            context=f.integer("context_length", CONTEXT, low=1, high=MOST_TOKENS),
            norm="rms",
            eps=f.number("attention.layer_norm_rms_epsilon"),
            inner=f.axis("N", "ssm.inner_size"),
            rank=f.axis("R", "ssm.time_step_rank"),
            state=f.axis("J", "ssm.state_size", high=4096),
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        width = words.integer("hidden_size")
        keys = {"context_length": CONTEXT, "feed_forward_length": 0, "attention.head_count": 0}
        return {**keys, "ssm.inner_size": 2 * width, **super().metadata(words)}

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = op.linear(self.norm(op, x, w.attn_norm), w.ssm_in)  # [T, 2*N]
        gate = op.columns(h, c.inner, c.inner)
        h = op.convolve(f"{i}.conv", op.columns(h, 0, c.inner), w.ssm_conv1d, w.ssm_conv1d_bias)
        h = op.activate(h, "silu")  # [T, N]
        parts = op.linear(h, w.ssm_x)  # [T, R+2*J]
        dt = op.activate(op.linear(op.columns(parts, 0, c.rank), w.ssm_dt, w.ssm_dt_bias), "softplus")
        b = op.columns(parts, c.rank, c.state)  # [T, J]
        c_ = op.columns(parts, c.rank + c.state, c.state)  # [T, J]
        h = op.selective_scan(f"{i}.state", h, dt, w.ssm_a, b, c_, w.ssm_d)
        return x + op.linear(h * op.activate(gate, "silu"), w.ssm_out)
