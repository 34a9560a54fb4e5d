"""GPT-NeoX: attention and feed-forward side by side, each after a norm of its own, or one after the other.

Runs    Pythia, GPT-NeoX 20B, Dolly 2, RedPajama-INCITE, StableLM-Alpha, Polyglot, their children
Source  arXiv:2204.06745 (GPT-NeoX), arXiv:2304.01373 (Pythia)
Parity  tests/parity, against GPTNeoXForCausalLM
"""

from __future__ import annotations

from dataclasses import dataclass

from furet.families import decoder, rotary
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


@dataclass(frozen=True)
class Config(decoder.Config):
    """parallel: whether the feed-forward layer reads what the attention read."""

    parallel: bool = True


class GPTNeoX(Decoder):
    config: Config
    architectures = ("gptneox",)
    model_types = ("gpt_neox",)
    tensors = table("""
        name                       hugging face                                                  shape  floor
        token_embd                 gpt_neox.embed_in                                             V C    q6_k
        blk.{i}.attn_norm          gpt_neox.layers.{i}.input_layernorm                           C      f32
        blk.{i}.attn_norm.bias     gpt_neox.layers.{i}.input_layernorm.bias                      C      f32
        blk.{i}.attn_qkv           gpt_neox.layers.{i}.attention.query_key_value|by_head:H       3*C C  any
        blk.{i}.attn_qkv.bias?     gpt_neox.layers.{i}.attention.query_key_value.bias|by_head:H  3*C    f32
        blk.{i}.attn_output        gpt_neox.layers.{i}.attention.dense                           C C    any
        blk.{i}.attn_output.bias?  gpt_neox.layers.{i}.attention.dense.bias                      C      f32
        blk.{i}.ffn_norm           gpt_neox.layers.{i}.post_attention_layernorm                  C      f32
        blk.{i}.ffn_norm.bias      gpt_neox.layers.{i}.post_attention_layernorm.bias             C      f32
        blk.{i}.ffn_up             gpt_neox.layers.{i}.mlp.dense_h_to_4h                         F C    any
        blk.{i}.ffn_up.bias        gpt_neox.layers.{i}.mlp.dense_h_to_4h.bias                    F      f32
        blk.{i}.ffn_down           gpt_neox.layers.{i}.mlp.dense_4h_to_h                         C F    any
        blk.{i}.ffn_down.bias      gpt_neox.layers.{i}.mlp.dense_4h_to_h.bias                    C      f32
        output_norm                gpt_neox.final_layer_norm                                     C      f32
        output_norm.bias           gpt_neox.final_layer_norm.bias                                C      f32
        output                     embed_out,gpt_neox.embed_in                              V C    q6_k
    """)
    words = """
        use_parallel_residual  use_parallel_residual           true
        rotary_emb_base        rope.freq_base
        layer_norm_eps         attention.layer_norm_epsilon    1e-5
        attention_bias         -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, norm="layer", activation="gelu")
        return Config(**vars(base), parallel=f.flag("use_parallel_residual", True))

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        return words.translated() | rotary.partial(words, 0.25) | words.activation("hidden_act", "gelu")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm, w.attn_norm_bias), w)
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.heads, c.scale)
        y = x + op.linear(a, w.attn_output, w.attn_output_bias)
        return y + self.mlp(op, self.norm(op, x if c.parallel else y, w.ffn_norm, w.ffn_norm_bias), w)
