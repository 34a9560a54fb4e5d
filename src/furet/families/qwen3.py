"""Qwen3, dense: as Qwen2 without its biases, and every head of q and k is normalised before it rotates.

Runs    Qwen3 0.6B to 32B, DeepSeek-R1-0528-Qwen3, their children
Source  arXiv:2505.09388
Parity  tests/parity, against Qwen3ForCausalLM
"""

from __future__ import annotations

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.tensors import table
from furet.ops import Ops, X


class Qwen3(Decoder):
    architectures = ("qwen3",)
    model_types = ("qwen3",)
    tensors = table("""
        name                   hugging face                                   shape    floor
        token_embd             model.embed_tokens                             V C      q6_k
        blk.{i}.attn_norm      model.layers.{i}.input_layernorm               C        f32
        blk.{i}.attn_q         model.layers.{i}.self_attn.q_proj              H*D C    any
        blk.{i}.attn_k         model.layers.{i}.self_attn.k_proj              K*D C    any
        blk.{i}.attn_v         model.layers.{i}.self_attn.v_proj              K*D C    any
        blk.{i}.attn_q_norm    model.layers.{i}.self_attn.q_norm              D        f32
        blk.{i}.attn_k_norm    model.layers.{i}.self_attn.k_norm              D        f32
        blk.{i}.attn_output    model.layers.{i}.self_attn.o_proj              C H*D    any
        blk.{i}.ffn_norm       model.layers.{i}.post_attention_layernorm      C        f32
        blk.{i}.ffn_gate       model.layers.{i}.mlp.gate_proj                 F C      any
        blk.{i}.ffn_up         model.layers.{i}.mlp.up_proj                   F C      any
        blk.{i}.ffn_down       model.layers.{i}.mlp.down_proj                 C F      any
        output_norm            model.norm                                     C        f32
        output?                lm_head                                        V C      q6_k
    """)
    words = """
        head_dim               attention.key_length   128
        hidden_act             = silu
        attention_bias         = false
        use_sliding_window     = false
        sliding_window         -
        max_window_layers      -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, "halves")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm)
        q, k, v = self.qkv(op, h, w)  # [T, H*D], [T, K*D] twice
        q, k = self.norm(op, q, w.attn_q_norm), self.norm(op, k, w.attn_k_norm)
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        return x + self.gated(op, self.norm(op, x, w.ffn_norm), w)
