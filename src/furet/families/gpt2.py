"""GPT-2: learned positions, layer norms, biases everywhere, and a head that is the embedding.

Runs    GPT-2, DistilGPT-2, Cerebras-GPT, ruGPT-3, DialoGPT, their children
Source  Radford et al., Language Models are Unsupervised Multitask Learners, 2019; arXiv:2304.03208 (Cerebras-GPT)
Parity  tests/parity, against GPT2LMHeadModel

GGUF has no word for the exact GELU of Cerebras-GPT in this family: `hidden_activation` is ours.
"""

from __future__ import annotations

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


class GPT2(Decoder):
    architectures = ("gpt2",)
    model_types = ("gpt2",)
    tensors = table("""
        name                      hugging face                                  shape    floor
        token_embd                transformer.wte                               V C      q6_k
        position_embd             transformer.wpe                               P C      f32
        blk.{i}.attn_norm         transformer.h.{i}.ln_1                        C        f32
        blk.{i}.attn_norm.bias    transformer.h.{i}.ln_1.bias                   C        f32
        blk.{i}.attn_qkv          transformer.h.{i}.attn.c_attn|transposed      3*C C    any
        blk.{i}.attn_qkv.bias     transformer.h.{i}.attn.c_attn.bias            3*C      f32
        blk.{i}.attn_output       transformer.h.{i}.attn.c_proj|transposed      C C      any
        blk.{i}.attn_output.bias  transformer.h.{i}.attn.c_proj.bias            C        f32
        blk.{i}.ffn_norm          transformer.h.{i}.ln_2                        C        f32
        blk.{i}.ffn_norm.bias     transformer.h.{i}.ln_2.bias                   C        f32
        blk.{i}.ffn_up            transformer.h.{i}.mlp.c_fc|transposed         F C      any
        blk.{i}.ffn_up.bias       transformer.h.{i}.mlp.c_fc.bias               F        f32
        blk.{i}.ffn_down          transformer.h.{i}.mlp.c_proj|transposed       C F      any
        blk.{i}.ffn_down.bias     transformer.h.{i}.mlp.c_proj.bias             C        f32
        output_norm               transformer.ln_f                              C        f32
        output_norm.bias          transformer.ln_f.bias                         C        f32
        output?                   lm_head                                       V C      q6_k
    """)
    words = """
        n_ctx                            -
        scale_attn_weights               = true
        scale_attn_by_inverse_layer_idx  = false
        reorder_and_upcast_attn          -
        attention_head_type              = multihead
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        f.axis("P", "context_length")
        return decoder.read_config(f, norm="layer", activation="gelu_tanh")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        ffn = {"feed_forward_length": 4 * words.integer("n_embd", "hidden_size")}
        return ffn | words.translated() | words.activation("activation_function", "gelu_new")

    def embed(self, op: Ops[X]) -> X:
        return op.embed(self.weights.token_embd) + op.embed_positions(self.weights.position_embd)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm, w.attn_norm_bias), w)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        return x + self.mlp(op, self.norm(op, x, w.ffn_norm, w.ffn_norm_bias), w)
