"""Phi-1, 1.5 and 2: attention and feed-forward side by side after one norm; a part of every head turns; biases.

Runs    Phi-1, Phi-1.5, Phi-2, Dolphin 2.6 Phi-2, Puffin, their children
Source  arXiv:2306.11644 (1), arXiv:2309.05463 (1.5); Microsoft, Phi-2: the surprising power of small language models
Parity  tests/parity, against PhiForCausalLM

In GGUF files, queries, keys and values come as three matrices or, from Phi's first publications, as one.
"""

from __future__ import annotations

from furet.families import decoder, rotary
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import needed, table
from furet.ops import Ops, X


class Phi2(Decoder):
    architectures = ("phi2",)
    model_types = ("phi",)
    tensors = table("""
        name                      hugging face                            shape        floor
        token_embd                model.embed_tokens                      V C          q6_k
        blk.{i}.attn_norm         model.layers.{i}.input_layernorm        C            f32
        blk.{i}.attn_norm.bias    model.layers.{i}.input_layernorm.bias   C            f32
        blk.{i}.attn_qkv?         -                                       H*D+2*K*D C  any
        blk.{i}.attn_qkv.bias?    -                                       H*D+2*K*D    f32
        blk.{i}.attn_q?           model.layers.{i}.self_attn.q_proj       H*D C        any
        blk.{i}.attn_q.bias?      model.layers.{i}.self_attn.q_proj.bias  H*D          f32
        blk.{i}.attn_k?           model.layers.{i}.self_attn.k_proj       K*D C        any
        blk.{i}.attn_k.bias?      model.layers.{i}.self_attn.k_proj.bias  K*D          f32
        blk.{i}.attn_v?           model.layers.{i}.self_attn.v_proj       K*D C        any
        blk.{i}.attn_v.bias?      model.layers.{i}.self_attn.v_proj.bias  K*D          f32
        blk.{i}.attn_output       model.layers.{i}.self_attn.dense        C H*D        any
        blk.{i}.attn_output.bias  model.layers.{i}.self_attn.dense.bias   C            f32
        blk.{i}.ffn_up            model.layers.{i}.mlp.fc1                F C          any
        blk.{i}.ffn_up.bias       model.layers.{i}.mlp.fc1.bias           F            f32
        blk.{i}.ffn_down          model.layers.{i}.mlp.fc2                C F          any
        blk.{i}.ffn_down.bias     model.layers.{i}.mlp.fc2.bias           C            f32
        output_norm               model.final_layernorm                   C            f32
        output_norm.bias          model.final_layernorm.bias              C            f32
        output                    lm_head,model.embed_tokens              V C          q6_k
        output.bias?              lm_head.bias                            V            f32
    """)
    words = """
        layer_norm_eps  attention.layer_norm_epsilon  1e-5
        qk_layernorm    = false
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, norm="layer", activation="gelu_tanh")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        return words.translated() | rotary.partial(words, 0.5) | words.activation("hidden_act", "gelu_new")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        if w.attn_qkv:
            q, k, v = self.qkv(op, h, w)
        else:
            q = op.linear(h, needed(w.attn_q, f"blk.{i}.attn_q.weight"), w.attn_q_bias)  # [T, H*D]
            k = op.linear(h, needed(w.attn_k, f"blk.{i}.attn_k.weight"), w.attn_k_bias)  # [T, K*D]
            v = op.linear(h, needed(w.attn_v, f"blk.{i}.attn_v.weight"), w.attn_v_bias)  # [T, K*D]
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)
        return x + op.linear(a, w.attn_output, w.attn_output_bias) + self.mlp(op, h, w)
