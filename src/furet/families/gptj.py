"""GPT-J: attention and feed-forward side by side after one norm; rotary positions in a part of every head.

Runs    GPT-J 6B, GPT4All-J, Dolly 1, GPT-JT, Pygmalion 6B, their children
Source  Wang and Komatsuzaki, GPT-J-6B, 2021, https://github.com/kingoflolz/mesh-transformer-jax
Parity  tests/parity, against GPTJForCausalLM
"""

from __future__ import annotations

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


class GPTJ(Decoder):
    architectures = ("gptj",)
    model_types = ("gptj",)
    tensors = table("""
        name                      hugging face                                  shape    floor
        token_embd                transformer.wte                               V C      q6_k
        blk.{i}.attn_norm         transformer.h.{i}.ln_1                        C        f32
        blk.{i}.attn_norm.bias    transformer.h.{i}.ln_1.bias                   C        f32
        blk.{i}.attn_q            transformer.h.{i}.attn.q_proj                 C C      any
        blk.{i}.attn_k            transformer.h.{i}.attn.k_proj                 C C      any
        blk.{i}.attn_v            transformer.h.{i}.attn.v_proj                 C C      any
        blk.{i}.attn_output       transformer.h.{i}.attn.out_proj               C C      any
        blk.{i}.ffn_up            transformer.h.{i}.mlp.fc_in                   F C      any
        blk.{i}.ffn_up.bias       transformer.h.{i}.mlp.fc_in.bias              F        f32
        blk.{i}.ffn_down          transformer.h.{i}.mlp.fc_out                  C F      any
        blk.{i}.ffn_down.bias     transformer.h.{i}.mlp.fc_out.bias             C        f32
        output_norm               transformer.ln_f                              C        f32
        output_norm.bias          transformer.ln_f.bias                         C        f32
        output?                   lm_head                                       V C      q6_k
        output.bias?              lm_head.bias                                  V        f32
    """)
    words = """
        n_ctx               -
        rotary              = true
        scale_attn_weights  = true
        jax                 -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, "interleaved", norm="layer", activation="gelu_tanh")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        keys = {
            "feed_forward_length": 4 * words.integer("n_embd"),
            "rope.dimension_count": words.integer("rotary_dim"),
        }
        return keys | words.translated() | words.activation("activation_function", "gelu_new")

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        q, k, v = self.qkv(op, h, w)  # [T, H*D] each
        q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.heads, c.scale)
        return x + op.linear(a, w.attn_output) + self.mlp(op, h, w)
