"""Qwen2 and Qwen2.5, dense: as LLaMA, with biases on q, k and v, and rotation of halves.

Runs    Qwen2, Qwen2.5, Qwen2.5-Coder, Qwen2.5-Math, QwQ, DeepSeek-R1-Distill-Qwen, their children
Source  arXiv:2407.10671 (Qwen2), arXiv:2412.15115 (Qwen2.5)
Parity  tests/parity, against Qwen2ForCausalLM
"""

from __future__ import annotations

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.tensors import table
from furet.ops import Ops, X


class Qwen2(Decoder):
    architectures = ("qwen2",)
    model_types = ("qwen2",)
    tensors = table("""
        name                   hugging face                                   shape    floor
        token_embd             model.embed_tokens                             V C      q6_k
        blk.{i}.attn_norm      model.layers.{i}.input_layernorm               C        f32
        blk.{i}.attn_q         model.layers.{i}.self_attn.q_proj              H*D C    any
        blk.{i}.attn_k         model.layers.{i}.self_attn.k_proj              K*D C    any
        blk.{i}.attn_v         model.layers.{i}.self_attn.v_proj              K*D C    any
        blk.{i}.attn_q.bias    model.layers.{i}.self_attn.q_proj.bias         H*D      f32
        blk.{i}.attn_k.bias    model.layers.{i}.self_attn.k_proj.bias         K*D      f32
        blk.{i}.attn_v.bias    model.layers.{i}.self_attn.v_proj.bias         K*D      f32
        blk.{i}.attn_output    model.layers.{i}.self_attn.o_proj              C H*D    any
        blk.{i}.ffn_norm       model.layers.{i}.post_attention_layernorm      C        f32
        blk.{i}.ffn_gate       model.layers.{i}.mlp.gate_proj                 F C      any
        blk.{i}.ffn_up         model.layers.{i}.mlp.up_proj                   F C      any
        blk.{i}.ffn_down       model.layers.{i}.mlp.down_proj                 C F      any
        output_norm            model.norm                                     C        f32
        output?                lm_head                                        V C      q6_k
    """)
    words = """
        hidden_act             = silu
        use_sliding_window     = false
        sliding_window         -
        max_window_layers      -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, "halves")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm), w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        return x + self.gated(op, self.norm(op, x, w.ffn_norm), w)
