"""Gemma: as LLaMA, with a scaled embedding, GEGLU, rotation of halves, heads of any width, and a tied head.

Runs    Gemma 2B and 7B, Gemma 1.1, CodeGemma, their children
Source  arXiv:2403.08295
Parity  tests/parity, against GemmaForCausalLM

The weights were trained with the tanh form of GELU, also where an early configuration says plain `gelu`.
"""

from __future__ import annotations

from math import sqrt

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.tensors import table
from furet.ops import Ops, X


class Gemma(Decoder):
    architectures = ("gemma",)
    model_types = ("gemma",)
    tensors = table("""
        name                   hugging face                                            shape    floor
        token_embd             model.embed_tokens                                      V C      q6_k
        blk.{i}.attn_norm      model.layers.{i}.input_layernorm|plus_one               C        f32
        blk.{i}.attn_q         model.layers.{i}.self_attn.q_proj                       H*D C    any
        blk.{i}.attn_k         model.layers.{i}.self_attn.k_proj                       K*D C    any
        blk.{i}.attn_v         model.layers.{i}.self_attn.v_proj                       K*D C    any
        blk.{i}.attn_output    model.layers.{i}.self_attn.o_proj                       C H*D    any
        blk.{i}.ffn_norm       model.layers.{i}.post_attention_layernorm|plus_one      C        f32
        blk.{i}.ffn_gate       model.layers.{i}.mlp.gate_proj                          F C      any
        blk.{i}.ffn_up         model.layers.{i}.mlp.up_proj                            F C      any
        blk.{i}.ffn_down       model.layers.{i}.mlp.down_proj                          C F      any
        output_norm            model.norm|plus_one                                     C        f32
        output?                lm_head                                                 V C      q6_k
    """)
    words = """
        hidden_act                     = gelu_pytorch_tanh|gelu
        hidden_activation              = gelu_pytorch_tanh
        attention_bias                 = false
        use_bidirectional_attention    = false
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, "halves")

    def embed(self, op: Ops[X]) -> X:
        return op.scale(op.embed(self.weights.token_embd), sqrt(self.config.width))

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm)
        q, k, v = self.qkv(op, h, w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        return x + self.gated(op, self.norm(op, x, w.ffn_norm), w, "gelu_tanh")
