"""RWKV-4: no attention; every token's keys are mixed into running means that fade, column by column.

Runs    RWKV-4 Pile, World, Raven, their children
Source  arXiv:2305.13048
Parity  tests/parity, against RwkvForCausalLM

GGUF has no names for it: these are in the style of those it has for RWKV-6 and 7.
"""

from __future__ import annotations

from furet.families import family
from furet.families.decoder import Decoder
from furet.families.family import Config
from furet.families.fields import MOST_TOKENS, Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, Tensor, X


class Rwkv4(Decoder):
    architectures = ("rwkv4",)
    model_types = ("rwkv",)
    tensors = table("""
        name                               hugging face                                              shape  floor
        token_embd                         rwkv.embeddings                                           V C    q6_k
        token_embd_norm                    rwkv.blocks.0.pre_ln                                      C      f32
        token_embd_norm.bias               rwkv.blocks.0.pre_ln.bias                                 C      f32
        blk.{i}.attn_norm                  rwkv.blocks.{i}.ln1                                       C      f32
        blk.{i}.attn_norm.bias             rwkv.blocks.{i}.ln1.bias                                  C      f32
        blk.{i}.time_mix_lerp_k            rwkv.blocks.{i}.attention.time_mix_key.|flat              C      f32
        blk.{i}.time_mix_lerp_v            rwkv.blocks.{i}.attention.time_mix_value.|flat            C      f32
        blk.{i}.time_mix_lerp_r            rwkv.blocks.{i}.attention.time_mix_receptance.|flat       C      f32
        blk.{i}.time_mix_first             rwkv.blocks.{i}.attention.time_first.                     A      f32
        blk.{i}.time_mix_decay             rwkv.blocks.{i}.attention.time_decay.|negative_exp        A      f32
        blk.{i}.time_mix_key               rwkv.blocks.{i}.attention.key                             A C    any
        blk.{i}.time_mix_value             rwkv.blocks.{i}.attention.value                           A C    any
        blk.{i}.time_mix_receptance        rwkv.blocks.{i}.attention.receptance                      A C    any
        blk.{i}.time_mix_output            rwkv.blocks.{i}.attention.output                          C A    any
        blk.{i}.attn_norm_2                rwkv.blocks.{i}.ln2                                       C      f32
        blk.{i}.attn_norm_2.bias           rwkv.blocks.{i}.ln2.bias                                  C      f32
        blk.{i}.channel_mix_lerp_k         rwkv.blocks.{i}.feed_forward.time_mix_key.|flat           C      f32
        blk.{i}.channel_mix_lerp_r         rwkv.blocks.{i}.feed_forward.time_mix_receptance.|flat    C      f32
        blk.{i}.channel_mix_key            rwkv.blocks.{i}.feed_forward.key                          F C    any
        blk.{i}.channel_mix_receptance     rwkv.blocks.{i}.feed_forward.receptance                   C C    any
        blk.{i}.channel_mix_value          rwkv.blocks.{i}.feed_forward.value                        C F    any
        output_norm                        rwkv.ln_out                                               C      f32
        output_norm.bias                   rwkv.ln_out.bias                                          C      f32
        output?                            head                                                      V C    q6_k
    """)
    ignored = {"attention.head_count": "there is no attention"}
    words = """
        context_length         context_length
        attention_hidden_size  wkv.width
        rescale_every          -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        width = f.axis("C", "embedding_length")
        f.axis("A", "wkv.width", width)
        f.axis("F", "feed_forward_length")
        return Config(
            layers=f.axis("L", "block_count", high=1000),
            width=width,
            vocab=f.vocabulary(),
            context=f.integer("context_length", 1024, low=1, high=MOST_TOKENS),
            norm="layer",
            eps=f.number(family.EPSILON["layer"], 1e-5),
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        return {"feed_forward_length": 4 * words.integer("hidden_size"), **super().metadata(words)}

    def embed(self, op: Ops[X]) -> X:
        w = self.weights
        return self.norm(op, op.embed(w.token_embd), w.token_embd_norm, w.token_embd_norm_bias)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        w = self.weights.blk[i]

        def lerp(h: X, before: X, share: Tensor) -> X:
            return before + op.affine(h - before, share)

        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        before = op.shift(f"{i}.time_mix", h)
        k = op.linear(lerp(h, before, w.time_mix_lerp_k), w.time_mix_key)
        v = op.linear(lerp(h, before, w.time_mix_lerp_v), w.time_mix_value)
        r = op.activate(op.linear(lerp(h, before, w.time_mix_lerp_r), w.time_mix_receptance), "sigmoid")
        mean = op.wkv4(f"{i}.wkv", k, v, w.time_mix_decay, w.time_mix_first)
        x = x + op.linear(r * mean, w.time_mix_output)
        h = self.norm(op, x, w.attn_norm_2, w.attn_norm_2_bias)
        before = op.shift(f"{i}.channel_mix", h)
        k = op.activate(op.linear(lerp(h, before, w.channel_mix_lerp_k), w.channel_mix_key), "relu")
        r = op.activate(op.linear(lerp(h, before, w.channel_mix_lerp_r), w.channel_mix_receptance), "sigmoid")
        return x + r * op.linear(k * k, w.channel_mix_value)
