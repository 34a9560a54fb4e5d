"""StableLM 2 and 3B-4E1T: layer norms with biases, SwiGLU, a part of every head turns; perhaps side by side.

Runs    StableLM 3B-4E1T, StableLM Zephyr 3B, StableLM 2 1.6B and 12B, Stable Code 3B, their children
Source  Tow et al., StableLM 3B 4E1T, 2023; arXiv:2402.17834 (2 1.6B)
Parity  tests/parity, against StableLmForCausalLM

The 12B norms every head of queries and keys. With one norm per layer, attention and feed-forward both read it; with
two, they stand one after the other.
"""

from __future__ import annotations

from furet.families import decoder, rotary
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import needed, table
from furet.ops import Ops, X


class StableLM(Decoder):
    architectures = ("stablelm",)
    model_types = ("stablelm", "stablelm_epoch")
    tensors = table("""
        name                    hugging face                                      shape  floor
        token_embd              model.embed_tokens                                V C    q6_k
        blk.{i}.attn_norm       model.layers.{i}.input_layernorm                  C      f32
        blk.{i}.attn_norm.bias  model.layers.{i}.input_layernorm.bias             C      f32
        blk.{i}.attn_q          model.layers.{i}.self_attn.q_proj                 H*D C  any
        blk.{i}.attn_q.bias?    model.layers.{i}.self_attn.q_proj.bias            H*D    f32
        blk.{i}.attn_k          model.layers.{i}.self_attn.k_proj                 K*D C  any
        blk.{i}.attn_k.bias?    model.layers.{i}.self_attn.k_proj.bias            K*D    f32
        blk.{i}.attn_q_norm?    model.layers.{i}.self_attn.q_layernorm.norms.{h}  H D    f32
        blk.{i}.attn_k_norm?    model.layers.{i}.self_attn.k_layernorm.norms.{k}  K D    f32
        blk.{i}.attn_v          model.layers.{i}.self_attn.v_proj                 K*D C  any
        blk.{i}.attn_v.bias?    model.layers.{i}.self_attn.v_proj.bias            K*D    f32
        blk.{i}.attn_output     model.layers.{i}.self_attn.o_proj                 C H*D  any
        blk.{i}.ffn_norm?       model.layers.{i}.post_attention_layernorm         C      f32
        blk.{i}.ffn_norm.bias?  model.layers.{i}.post_attention_layernorm.bias    C      f32
        blk.{i}.ffn_gate        model.layers.{i}.mlp.gate_proj                    F C    any
        blk.{i}.ffn_up          model.layers.{i}.mlp.up_proj                      F C    any
        blk.{i}.ffn_down        model.layers.{i}.mlp.down_proj                    C F    any
        output_norm             model.norm                                        C      f32
        output_norm.bias        model.norm.bias                                   C      f32
        output                  lm_head,model.embed_tokens                        V C    q6_k
    """)
    ignored = {"use_parallel_residual": "the norms of a layer say it; the key is wrong in older files"}
    words = """
        hidden_act             = silu
        layer_norm_eps         attention.layer_norm_epsilon  1e-5
        norm_eps               attention.layer_norm_epsilon
        use_parallel_residual  use_parallel_residual         false
        rotary_scaling_factor  = 1.0
        qk_layernorm           -
        use_qkv_bias           -
        num_heads              -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, norm="layer")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        return words.translated() | rotary.partial(words, 0.25)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        q, k = op.linear(h, w.attn_q, w.attn_q_bias), op.linear(h, w.attn_k, w.attn_k_bias)  # [T, H*D], [T, K*D]
        if w.attn_q_norm or w.attn_k_norm:
            q = op.layer_norm(q, needed(w.attn_q_norm, f"blk.{i}.attn_q_norm.weight"), None, c.eps, c.heads)
            k = op.layer_norm(k, needed(w.attn_k_norm, f"blk.{i}.attn_k_norm.weight"), None, c.eps, c.kv_heads)
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        v = op.linear(h, w.attn_v, w.attn_v_bias)  # [T, K*D]
        x = x + op.linear(op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale), w.attn_output)
        return x + self.gated(op, self.norm(op, x, w.ffn_norm, w.ffn_norm_bias) if w.ffn_norm else h, w)
