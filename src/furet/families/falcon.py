"""Falcon: attention and feed-forward side by side, after one norm or each after its own; few key heads, no biases.

Runs    Falcon 7B, 40B, 180B and 2 11B, their children
Source  arXiv:2311.16867
Parity  tests/parity, against FalconForCausalLM

Not Falcon-RW, whose layers stand one after the other and whose positions are slopes. For the GELU that configurations
may name, GGUF has no word in this family: `hidden_activation` is ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


def by_key_head(array: NDArray[Any], kv_heads: int) -> NDArray[Any]:
    """For every key head its queries, key and value become all of q, all of k, all of v. [H*D+2*K*D, H*D]"""
    width = array.shape[1]
    groups = array.reshape(kv_heads, -1, (len(array) - width) // (2 * kv_heads), width)  # [K, H/K+2, D, H*D]
    return np.concatenate([part.reshape(-1, width) for part in (groups[:, :-2], groups[:, -2], groups[:, -1])])


class Falcon(Decoder):
    architectures = ("falcon",)
    model_types = ("falcon", "RefinedWebModel", "RefinedWeb")
    reshapes = {"by_key_head": by_key_head}
    tensors = table("""
        name                       hugging face                                                    shape        floor
        token_embd                 transformer.word_embeddings                                     V C          q6_k
        blk.{i}.attn_norm          transformer.h.{i}.input_layernorm,ln_mlp                        C            f32
        blk.{i}.attn_norm.bias     transformer.h.{i}.input_layernorm.bias,ln_mlp                   C            f32
        blk.{i}.attn_norm_2?       transformer.h.{i}.ln_attn                                       C            f32
        blk.{i}.attn_norm_2.bias?  transformer.h.{i}.ln_attn.bias                                  C            f32
        blk.{i}.attn_qkv           transformer.h.{i}.self_attention.query_key_value|by_key_head:K  H*D+2*K*D C  any
        blk.{i}.attn_output        transformer.h.{i}.self_attention.dense                          C H*D        any
        blk.{i}.ffn_up             transformer.h.{i}.mlp.dense_h_to_4h                             F C          any
        blk.{i}.ffn_down           transformer.h.{i}.mlp.dense_4h_to_h                             C F          any
        output_norm                transformer.ln_f                                                C            f32
        output_norm.bias           transformer.ln_f.bias                                           C            f32
        output?                    lm_head                                                         V C          q6_k
    """)
    words = """
        layer_norm_epsilon                        attention.layer_norm_epsilon  1e-5
        max_position_embeddings                   context_length                2048
        ffn_hidden_size                           feed_forward_length
        alibi                                     = false
        parallel_attn                             = true
        bias                                      = false
        apply_residual_connection_post_layernorm  = false
        multi_query                               -
        new_decoder_architecture                  -
        num_ln_in_parallel_attn                   -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, norm="layer", activation="gelu")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        heads = words.integer("num_attention_heads", "n_head")
        grouped = words.get("new_decoder_architecture") or words.get("n_head_kv")
        few = words.integer("num_kv_heads", "n_head_kv", usual=heads)
        others = 1 if words.get("multi_query", True) else heads
        keys = {
            "feed_forward_length": 4 * words.integer("hidden_size"),
            "attention.head_count_kv": few if grouped else others,
        }
        return keys | words.translated() | words.activation("activation", "gelu")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        read = self.norm(op, x, w.attn_norm_2, w.attn_norm_2_bias) if w.attn_norm_2 else h
        q, k, v = self.qkv(op, read, w)
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)
        return x + op.linear(a, w.attn_output) + self.mlp(op, h, w)
