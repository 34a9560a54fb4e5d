"""GPTBigCode: GPT-2 whose query heads may share one key head.

Runs    StarCoder, StarCoderBase, StarChat, OctoCoder, SantaCoder in this form, Granite code models of that time
Source  arXiv:2305.06161 (StarCoder), arXiv:2301.03988 (SantaCoder), arXiv:1911.02150 (one key head)
Parity  tests/parity, against GPTBigCodeForCausalLM
"""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.reshape import by_head
from furet.families.tensors import table
from furet.ops import Ops, X


def by_own_head(array: NDArray[Any], kv_heads: int) -> NDArray[Any]:
    """`by_head` where every head has its key; with one key head, all of q stands first already."""
    return array if kv_heads == 1 else by_head(array, kv_heads)


class StarCoder(Decoder):
    architectures = ("starcoder",)
    model_types = ("gpt_bigcode",)
    reshapes = {"by_own_head": by_own_head}
    tensors = table("""
        name                      hugging face                                      shape        floor
        token_embd                transformer.wte                                   V C          q6_k
        position_embd             transformer.wpe                                   P C          f32
        blk.{i}.attn_norm         transformer.h.{i}.ln_1                            C            f32
        blk.{i}.attn_norm.bias    transformer.h.{i}.ln_1.bias                       C            f32
        blk.{i}.attn_qkv          transformer.h.{i}.attn.c_attn|by_own_head:K       H*D+2*K*D C  any
        blk.{i}.attn_qkv.bias     transformer.h.{i}.attn.c_attn.bias|by_own_head:K  H*D+2*K*D    f32
        blk.{i}.attn_output       transformer.h.{i}.attn.c_proj                     C H*D        any
        blk.{i}.attn_output.bias  transformer.h.{i}.attn.c_proj.bias                C            f32
        blk.{i}.ffn_norm          transformer.h.{i}.ln_2                            C            f32
        blk.{i}.ffn_norm.bias     transformer.h.{i}.ln_2.bias                       C            f32
        blk.{i}.ffn_up            transformer.h.{i}.mlp.c_fc                        F C          any
        blk.{i}.ffn_up.bias       transformer.h.{i}.mlp.c_fc.bias                   F            f32
        blk.{i}.ffn_down          transformer.h.{i}.mlp.c_proj                      C F          any
        blk.{i}.ffn_down.bias     transformer.h.{i}.mlp.c_proj.bias                 C            f32
        output_norm               transformer.ln_f                                  C            f32
        output_norm.bias          transformer.ln_f.bias                             C            f32
        output?                   lm_head                                           V C          q6_k
    """)
    words = """
        n_ctx                            -
        scale_attn_weights               = true
        multi_query                      -
        attention_softmax_in_fp32        -
        scale_attention_softmax_in_fp32  -
        *runner*                         -
        pre_allocate_kv_cache            -
        max_sequence_length              -
        max_batch_size                   -
        pad_key_length                   -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        f.axis("P", "context_length")
        return decoder.read_config(f, norm="layer", activation="gelu_tanh")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        keys = {
            "feed_forward_length": 4 * words.integer("n_embd", "hidden_size"),
            "attention.head_count_kv": 1 if words.get("multi_query", True) else words.integer("n_head"),
        }
        return keys | words.translated() | words.activation("activation_function", "gelu_pytorch_tanh")

    def embed(self, op: Ops[X]) -> X:
        return op.embed(self.weights.token_embd) + op.embed_positions(self.weights.position_embd)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm, w.attn_norm_bias), w)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        return x + self.mlp(op, self.norm(op, x, w.ffn_norm, w.ffn_norm_bias), w)
