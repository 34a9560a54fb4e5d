"""Qwen3 with experts: attention as in Qwen3, then for every token a few of many small feed-forward layers.

Runs    Qwen3 30B-A3B and 235B-A22B, Qwen3-Coder 30B-A3B, their children
Source  arXiv:2505.09388
Parity  tests/parity, against Qwen3MoeForCausalLM
"""

from __future__ import annotations

from dataclasses import replace

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.tensors import table
from furet.ops import Ops, X


class Qwen3Moe(Decoder):
    architectures = ("qwen3moe",)
    model_types = ("qwen3_moe",)
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
        blk.{i}.ffn_gate_inp   model.layers.{i}.mlp.gate                      E C      f32
        blk.{i}.ffn_gate_exps  model.layers.{i}.mlp.experts.{e}.gate_proj     E X C    any
        blk.{i}.ffn_up_exps    model.layers.{i}.mlp.experts.{e}.up_proj       E X C    any
        blk.{i}.ffn_down_exps  model.layers.{i}.mlp.experts.{e}.down_proj     E C X    any
        output_norm            model.norm                                     C        f32
        output?                lm_head                                        V C      q6_k
    """)
    words = """
        head_dim                 attention.key_length   128
        hidden_act               = silu
        attention_bias           = false
        use_sliding_window       = false
        sliding_window           -
        max_window_layers        -
        num_experts              expert_count
        num_local_experts        expert_count
        num_experts_per_tok      expert_used_count
        moe_intermediate_size    expert_feed_forward_length
        norm_topk_prob           expert_weights_norm   false
        decoder_sparse_step      = 1
        mlp_only_layers          = []
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, "halves", experts=True)
        f.require(base.experts > 0, "expert_count", "at least 1")
        return replace(base, normalise=f.flag("expert_weights_norm", True))

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm)
        q, k, v = self.qkv(op, h, w)  # [T, H*D], [T, K*D] twice
        q, k = self.norm(op, q, w.attn_q_norm), self.norm(op, k, w.attn_k_norm)
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        return x + self.mixture(op, self.norm(op, x, w.ffn_norm), w)
