"""Granite: as LLaMA, with constants that embeddings, scores, residuals and logits are multiplied by.

Runs    Granite 3.0 to 3.3 of 2B and 8B, Granite code of 3B and 8B in this form, their children
Source  IBM, Granite 3.0 Language Models, 2024
Parity  tests/parity, against GraniteForCausalLM

In GGUF files the rows of q and k are permuted so that rotation pairs neighbours: `style` is interleaved.
"""

from __future__ import annotations

from dataclasses import dataclass

from furet.families import decoder
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.tensors import table
from furet.ops import Ops, X


@dataclass(frozen=True)
class Config(decoder.Config):
    """What embeddings and residuals are multiplied by, and what logits are divided by."""

    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0


class Granite(Decoder):
    architectures = ("granite",)
    model_types = ("granite",)
    tensors = table("""
        name                 hugging face                                     shape  floor
        token_embd           model.embed_tokens                               V C    q6_k
        blk.{i}.attn_norm    model.layers.{i}.input_layernorm                 C      f32
        blk.{i}.attn_q       model.layers.{i}.self_attn.q_proj|pairs:H        H*D C  any
        blk.{i}.attn_k       model.layers.{i}.self_attn.k_proj|pairs:K        K*D C  any
        blk.{i}.attn_v       model.layers.{i}.self_attn.v_proj                K*D C  any
        blk.{i}.attn_output  model.layers.{i}.self_attn.o_proj                C H*D  any
        blk.{i}.ffn_norm     model.layers.{i}.post_attention_layernorm        C      f32
        blk.{i}.ffn_gate     model.layers.{i}.mlp.gate_proj                   F C    any
        blk.{i}.ffn_up       model.layers.{i}.mlp.up_proj                     F C    any
        blk.{i}.ffn_down     model.layers.{i}.mlp.down_proj                   C F    any
        output_norm          model.norm                                       C      f32
        output?              lm_head                                          V C    q6_k
    """)
    words = """
        hidden_act            = silu
        mlp_bias              = false
        attention_bias        = false
        embedding_multiplier  embedding_scale   1.0
        residual_multiplier   residual_scale    1.0
        attention_multiplier  attention.scale   1.0
        logits_scaling        logit_scale       1.0
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return Config(
            **vars(decoder.read_config(f, "interleaved")),
            embedding_scale=f.number("embedding_scale", 1.0),
            residual_scale=f.number("residual_scale", 1.0),
            logit_scale=f.number("logit_scale", 1.0),
        )

    def embed(self, op: Ops[X]) -> X:
        return op.scale(super().embed(op), self.config.embedding_scale)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm), w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.scale(op.linear(a, w.attn_output), c.residual_scale)
        return x + op.scale(self.gated(op, self.norm(op, x, w.ffn_norm), w), c.residual_scale)

    def head(self, op: Ops[X], x: X) -> X:
        return op.scale(super().head(op, x), 1.0 / self.config.logit_scale)
