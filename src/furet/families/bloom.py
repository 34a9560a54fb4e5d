"""BLOOM: slopes instead of positions, a norm after the embedding, biases everywhere.

Runs    BLOOM 560M to 176B, BLOOMZ, their children such as Vigogne-BLOOM
Source  arXiv:2211.05100; arXiv:2108.12409 (slopes)
Parity  tests/parity, against BloomForCausalLM
"""

from __future__ import annotations

from dataclasses import replace

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


class Bloom(Decoder):
    config: Config
    architectures = ("bloom",)
    model_types = ("bloom",)
    tensors = table("""
        name                      hugging face                                                          shape  floor
        token_embd                transformer.word_embeddings                                           V C    q6_k
        token_embd_norm           transformer.word_embeddings_layernorm                                 C      f32
        token_embd_norm.bias      transformer.word_embeddings_layernorm.bias                            C      f32
        blk.{i}.attn_norm         transformer.h.{i}.input_layernorm                                     C      f32
        blk.{i}.attn_norm.bias    transformer.h.{i}.input_layernorm.bias                                C      f32
        blk.{i}.attn_qkv          transformer.h.{i}.self_attention.query_key_value|by_head:H            3*C C  any
        blk.{i}.attn_qkv.bias     transformer.h.{i}.self_attention.query_key_value.bias|by_head:H       3*C    f32
        blk.{i}.attn_output       transformer.h.{i}.self_attention.dense                                C C    any
        blk.{i}.attn_output.bias  transformer.h.{i}.self_attention.dense.bias                           C      f32
        blk.{i}.ffn_norm          transformer.h.{i}.post_attention_layernorm                            C      f32
        blk.{i}.ffn_norm.bias     transformer.h.{i}.post_attention_layernorm.bias                       C      f32
        blk.{i}.ffn_up            transformer.h.{i}.mlp.dense_h_to_4h                                   F C    any
        blk.{i}.ffn_up.bias       transformer.h.{i}.mlp.dense_h_to_4h.bias                              F      f32
        blk.{i}.ffn_down          transformer.h.{i}.mlp.dense_4h_to_h                                   C F    any
        blk.{i}.ffn_down.bias     transformer.h.{i}.mlp.dense_4h_to_h.bias                              C      f32
        output_norm               transformer.ln_f                                                      C      f32
        output_norm.bias          transformer.ln_f.bias                                                 C      f32
        output?                   lm_head                                                               V C    q6_k
    """)
    words = """
        n_embed                                   embedding_length
        seq_length                                context_length                2048
        layer_norm_epsilon                        attention.layer_norm_epsilon  1e-5
        apply_residual_connection_post_layernorm  = false
        slow_but_exact                            -
        offset_alibi                              -
        attention_softmax_in_fp32                 -
        masked_softmax_fusion                     -
        bias_dropout_fusion                       -
        skip_bias_add*                            -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, norm="layer", activation="gelu_tanh")
        return replace(base, alibi=f.number("attention.max_alibi_bias", 8.0))

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        ffn = {"feed_forward_length": 4 * words.integer("hidden_size", "n_embed", "n_embd")}
        return ffn | words.translated()

    def embed(self, op: Ops[X]) -> X:
        w = self.weights
        return self.norm(op, op.embed(w.token_embd), w.token_embd_norm, w.token_embd_norm_bias)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm, w.attn_norm_bias), w)
        a = op.attention(i, q, k, v, c.heads, c.heads, c.scale, alibi=c.alibi)
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        return x + self.mlp(op, self.norm(op, x, w.ffn_norm, w.ffn_norm_bias), w)
