"""Qwen2 with experts: as Qwen2, and every token meets a few of many experts and one that is gated and shared by all.

Runs    Qwen1.5-MoE-A2.7B, Qwen2-57B-A14B, their children
Source  arXiv:2407.10671
Parity  tests/parity, against Qwen2MoeForCausalLM
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.tensors import table
from furet.ops import Ops, X


class Qwen2Moe(Decoder):
    architectures = ("qwen2moe",)
    model_types = ("qwen2_moe",)
    tensors = table("""
        name                         hugging face                                           shape    floor
        token_embd                   model.embed_tokens                                     V C      q6_k
        blk.{i}.attn_norm            model.layers.{i}.input_layernorm                       C        f32
        blk.{i}.attn_q               model.layers.{i}.self_attn.q_proj                      H*D C    any
        blk.{i}.attn_k               model.layers.{i}.self_attn.k_proj                      K*D C    any
        blk.{i}.attn_v               model.layers.{i}.self_attn.v_proj                      K*D C    any
        blk.{i}.attn_q.bias?         model.layers.{i}.self_attn.q_proj.bias                 H*D      f32
        blk.{i}.attn_k.bias?         model.layers.{i}.self_attn.k_proj.bias                 K*D      f32
        blk.{i}.attn_v.bias?         model.layers.{i}.self_attn.v_proj.bias                 K*D      f32
        blk.{i}.attn_output          model.layers.{i}.self_attn.o_proj                      C H*D    any
        blk.{i}.ffn_norm             model.layers.{i}.post_attention_layernorm              C        f32
        blk.{i}.ffn_gate_inp         model.layers.{i}.mlp.gate                              E C      f32
        blk.{i}.ffn_gate_exps        model.layers.{i}.mlp.experts.{e}.gate_proj             E X C    any
        blk.{i}.ffn_up_exps          model.layers.{i}.mlp.experts.{e}.up_proj               E X C    any
        blk.{i}.ffn_down_exps        model.layers.{i}.mlp.experts.{e}.down_proj             E C X    any
        blk.{i}.ffn_gate_inp_shexp   model.layers.{i}.mlp.shared_expert_gate|flat           C        f32
        blk.{i}.ffn_gate_shexp       model.layers.{i}.mlp.shared_expert.gate_proj           Z C      any
        blk.{i}.ffn_up_shexp         model.layers.{i}.mlp.shared_expert.up_proj             Z C      any
        blk.{i}.ffn_down_shexp       model.layers.{i}.mlp.shared_expert.down_proj           C Z      any
        output_norm                  model.norm                                             C        f32
        output?                      lm_head                                                V C      q6_k
    """)
    words = """
        hidden_act                         = silu
        qkv_bias                           -
        use_sliding_window                 = false
        sliding_window                     -
        max_window_layers                  -
        num_experts                        expert_count
        num_experts_per_tok                expert_used_count
        moe_intermediate_size              expert_feed_forward_length
        shared_expert_intermediate_size    expert_shared_feed_forward_length
        norm_topk_prob                     expert_weights_norm   false
        decoder_sparse_step                = 1
        mlp_only_layers                    = []
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, "halves", experts=True)
        f.require(base.experts > 0, "expert_count", "at least 1")
        f.axis("Z", "expert_shared_feed_forward_length", f.integer("feed_forward_length", 0))
        return replace(base, normalise=f.flag("expert_weights_norm", False))

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm), w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        h = self.norm(op, x, w.ffn_norm)
        return x + self.mixture(op, h, w) + self.shared(op, h, w)

    def shared(self, op: Ops[X], x: X, w: Any) -> X:
        """The expert of all tokens, weighted by the sigmoid of a dot product. [T, C] -> [T, C]"""
        gate = op.affine(op.scale(x, 0.0), bias=w.ffn_gate_inp_shexp)  # its vector in every row
        share = op.activate(op.head_dot(x, gate, 1), "sigmoid")
        h = op.activate(op.linear(x, w.ffn_gate_shexp), "silu") * op.linear(x, w.ffn_up_shexp)
        return share * op.linear(h, w.ffn_down_shexp)
