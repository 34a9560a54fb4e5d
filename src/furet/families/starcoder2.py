"""StarCoder2: rotary positions, grouped queries, a window; plain feed-forward layers, layer norms, biases.

Runs    StarCoder2 3B, 7B and 15B, their children
Source  arXiv:2402.19173
Parity  tests/parity, against Starcoder2ForCausalLM

llama.cpp's converter leaves the window out: `attention.sliding_window` is what other families call it.
"""

from __future__ import annotations

from dataclasses import replace

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


class StarCoder2(Decoder):
    architectures = ("starcoder2",)
    model_types = ("starcoder2",)
    tensors = table("""
        name                       hugging face                                    shape  floor
        token_embd                 model.embed_tokens                              V C    q6_k
        blk.{i}.attn_norm          model.layers.{i}.input_layernorm                C      f32
        blk.{i}.attn_norm.bias     model.layers.{i}.input_layernorm.bias           C      f32
        blk.{i}.attn_q             model.layers.{i}.self_attn.q_proj               H*D C  any
        blk.{i}.attn_q.bias?       model.layers.{i}.self_attn.q_proj.bias          H*D    f32
        blk.{i}.attn_k             model.layers.{i}.self_attn.k_proj               K*D C  any
        blk.{i}.attn_k.bias?       model.layers.{i}.self_attn.k_proj.bias          K*D    f32
        blk.{i}.attn_v             model.layers.{i}.self_attn.v_proj               K*D C  any
        blk.{i}.attn_v.bias?       model.layers.{i}.self_attn.v_proj.bias          K*D    f32
        blk.{i}.attn_output        model.layers.{i}.self_attn.o_proj               C H*D  any
        blk.{i}.attn_output.bias?  model.layers.{i}.self_attn.o_proj.bias          C      f32
        blk.{i}.ffn_norm           model.layers.{i}.post_attention_layernorm       C      f32
        blk.{i}.ffn_norm.bias      model.layers.{i}.post_attention_layernorm.bias  C      f32
        blk.{i}.ffn_up             model.layers.{i}.mlp.c_fc                       F C    any
        blk.{i}.ffn_up.bias?       model.layers.{i}.mlp.c_fc.bias                  F      f32
        blk.{i}.ffn_down           model.layers.{i}.mlp.c_proj                     C F    any
        blk.{i}.ffn_down.bias?     model.layers.{i}.mlp.c_proj.bias                C      f32
        output_norm                model.norm                                      C      f32
        output_norm.bias           model.norm.bias                                 C      f32
        output?                    lm_head                                         V C    q6_k
    """)
    words = """
        norm_epsilon                     attention.layer_norm_epsilon  1e-5
        sliding_window                   attention.sliding_window
        norm_type                        = layer_norm
        mlp_type                         = default
        use_bias                         -
        activation_function              -
        scale_attn_weights               = true
        attention_softmax_in_fp32        -
        scale_attention_softmax_in_fp32  -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        config = decoder.read_config(f, norm="layer", activation="gelu_tanh")
        return replace(config, window=f.integer("attention.sliding_window", 0))

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        return words.translated() | words.activation("hidden_act", "gelu_pytorch_tanh")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        q, k, v = self.qkv(op, h, w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale, c.window)  # [T, H*D]
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        return x + self.mlp(op, self.norm(op, x, w.ffn_norm, w.ffn_norm_bias), w)
