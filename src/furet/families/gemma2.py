"""Gemma 2: as Gemma, with a norm after every block too, soft caps, and a window in every other layer.

Runs    Gemma 2 2B, 9B and 27B, their children
Source  arXiv:2408.00118
Parity  tests/parity, against Gemma2ForCausalLM
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from furet.families import decoder
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.families.windows import period_key
from furet.ops import Ops, X

PERIOD = 2
LAYERS_27B = 46  # its scores are scaled by C / H instead of D, which GGUF files of llama.cpp do not say


@dataclass(frozen=True)
class Config(decoder.Config):
    """The caps are those of attention scores and of logits."""

    score_cap: float = 50.0
    logit_cap: float = 30.0


class Gemma2(Decoder):
    architectures = ("gemma2",)
    model_types = ("gemma2",)
    tensors = table("""
        name                           hugging face                                              shape    floor
        token_embd                     model.embed_tokens                                        V C      q6_k
        blk.{i}.attn_norm              model.layers.{i}.input_layernorm|plus_one                 C        f32
        blk.{i}.attn_q                 model.layers.{i}.self_attn.q_proj                         H*D C    any
        blk.{i}.attn_k                 model.layers.{i}.self_attn.k_proj                         K*D C    any
        blk.{i}.attn_v                 model.layers.{i}.self_attn.v_proj                         K*D C    any
        blk.{i}.attn_output            model.layers.{i}.self_attn.o_proj                         C H*D    any
        blk.{i}.post_attention_norm    model.layers.{i}.post_attention_layernorm|plus_one        C        f32
        blk.{i}.ffn_norm               model.layers.{i}.pre_feedforward_layernorm|plus_one       C        f32
        blk.{i}.ffn_gate               model.layers.{i}.mlp.gate_proj                            F C      any
        blk.{i}.ffn_up                 model.layers.{i}.mlp.up_proj                              F C      any
        blk.{i}.ffn_down               model.layers.{i}.mlp.down_proj                            C F      any
        blk.{i}.post_ffw_norm          model.layers.{i}.post_feedforward_layernorm|plus_one      C        f32
        output_norm                    model.norm|plus_one                                       C        f32
        output?                        lm_head                                                   V C      q6_k
    """)
    words = """
        hidden_act                     = gelu_pytorch_tanh
        hidden_activation              = gelu_pytorch_tanh
        attention_bias                 = false
        use_bidirectional_attention    = false
        sliding_window                 attention.sliding_window   4096
        attn_logit_softcapping         attn_logit_softcapping     50.0
        final_logit_softcapping        final_logit_softcapping    30.0
        query_pre_attn_scalar          -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, "halves")
        usual = sqrt(base.heads / base.width) if base.layers == LAYERS_27B else 0.0
        base = replace(
            base,
            window=f.integer("attention.sliding_window", 4096),
            period=f.integer("attention.sliding_window_pattern", PERIOD, low=1),
            given_scale=base.given_scale or usual,
        )
        return Config(
            **vars(base),
            score_cap=f.number("attn_logit_softcapping", 50.0),
            logit_cap=f.number("final_logit_softcapping", 30.0),
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        for cap in ("attn_logit_softcapping", "final_logit_softcapping"):
            if words.config.get(cap, 0.0) is None:
                raise words.unsupported(f"{cap} is null: a Gemma 2 without it is not known")
        scale = words.integer("query_pre_attn_scalar", usual=256) ** -0.5
        return super().metadata(words) | period_key(words, PERIOD) | {"attention.scale": scale}

    def embed(self, op: Ops[X]) -> X:
        return op.scale(op.embed(self.weights.token_embd), sqrt(self.config.width))

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm)
        q, k, v = self.qkv(op, h, w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale, c.window_of(i), soft_cap=c.score_cap)  # [T, H*D]
        x = x + self.norm(op, op.linear(a, w.attn_output), w.post_attention_norm)
        h = self.gated(op, self.norm(op, x, w.ffn_norm), w, "gelu_tanh")
        return x + self.norm(op, h, w.post_ffw_norm)

    def head(self, op: Ops[X], x: X) -> X:
        return op.soft_cap(super().head(op, x), self.config.logit_cap)
