"""T5: an encoder reads the whole text, a decoder answers; distances get learned biases, positions nothing else.

Runs    T5, T5 1.1, Flan-T5, mT5, their children
Source  arXiv:1910.10683; gated layers: arXiv:2002.05202
Parity  tests/parity, against T5ForConditionalGeneration
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from furet.families import family
from furet.families.family import Family
from furet.families.fields import Axis, Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


@dataclass(frozen=True)
class Config(family.Config):
    """decoder_layers answer, `layers` read; start is the token that an answer begins with.

    scaled  whether logits are divided by sqrt(C) where the head is the embedding, as in the first T5
    """

    decoder_layers: int
    heads: int  # H
    start: int
    scaled: bool


def over_root(array: NDArray[Any], width: int) -> NDArray[Any]:
    """The last norm with the division of the logits in it: llama.cpp knows no other place for it."""
    return np.asarray(array / np.float32(sqrt(width)))


class T5(Family):
    architectures = ("t5",)
    model_types = ("t5", "mt5")
    kind = "answer"
    reshapes = {"over_root": over_root}
    tensors = table("""
        name                            hugging face                                                  shape   floor
        token_embd                      shared,encoder.embed_tokens                                   V C     q6_k
        enc.blk.{i}.attn_norm           encoder.block.{i}.layer.0.layer_norm                          C       f32
        enc.blk.{i}.attn_rel_b?         encoder.block.{i}.layer.0.SelfAttention.relative_attention_bias  B H  f32
        enc.blk.{i}.attn_q              encoder.block.{i}.layer.0.SelfAttention.q                     H*D C   any
        enc.blk.{i}.attn_k              encoder.block.{i}.layer.0.SelfAttention.k                     H*D C   any
        enc.blk.{i}.attn_v              encoder.block.{i}.layer.0.SelfAttention.v                     H*D C   any
        enc.blk.{i}.attn_o              encoder.block.{i}.layer.0.SelfAttention.o                     C H*D   any
        enc.blk.{i}.ffn_norm            encoder.block.{i}.layer.1.layer_norm                          C       f32
        enc.blk.{i}.ffn_gate?           encoder.block.{i}.layer.1.DenseReluDense.wi_0                 F C     any
        enc.blk.{i}.ffn_up              encoder.block.{i}.layer.1.DenseReluDense.wi,wi_1              F C     any
        enc.blk.{i}.ffn_down            encoder.block.{i}.layer.1.DenseReluDense.wo                   C F     any
        enc.output_norm                 encoder.final_layer_norm                                      C       f32
        dec.blk.{i}.attn_norm           decoder.block.{i}.layer.0.layer_norm                          C       f32
        dec.blk.{i}.attn_rel_b?         decoder.block.{i}.layer.0.SelfAttention.relative_attention_bias  B H  f32
        dec.blk.{i}.attn_q              decoder.block.{i}.layer.0.SelfAttention.q                     H*D C   any
        dec.blk.{i}.attn_k              decoder.block.{i}.layer.0.SelfAttention.k                     H*D C   any
        dec.blk.{i}.attn_v              decoder.block.{i}.layer.0.SelfAttention.v                     H*D C   any
        dec.blk.{i}.attn_o              decoder.block.{i}.layer.0.SelfAttention.o                     C H*D   any
        dec.blk.{i}.cross_attn_norm     decoder.block.{i}.layer.1.layer_norm                          C       f32
        dec.blk.{i}.cross_attn_rel_b?   decoder.block.{i}.layer.1.EncDecAttention.relative_attention_bias  B H  f32
        dec.blk.{i}.cross_attn_q        decoder.block.{i}.layer.1.EncDecAttention.q                   H*D C   any
        dec.blk.{i}.cross_attn_k        decoder.block.{i}.layer.1.EncDecAttention.k                   H*D C   any
        dec.blk.{i}.cross_attn_v        decoder.block.{i}.layer.1.EncDecAttention.v                   H*D C   any
        dec.blk.{i}.cross_attn_o        decoder.block.{i}.layer.1.EncDecAttention.o                   C H*D   any
        dec.blk.{i}.ffn_norm            decoder.block.{i}.layer.2.layer_norm                          C       f32
        dec.blk.{i}.ffn_gate?           decoder.block.{i}.layer.2.DenseReluDense.wi_0                 F C     any
        dec.blk.{i}.ffn_up              decoder.block.{i}.layer.2.DenseReluDense.wi,wi_1              F C     any
        dec.blk.{i}.ffn_down            decoder.block.{i}.layer.2.DenseReluDense.wo                   C F     any
        dec.output_norm                 decoder.final_layer_norm|over_root:S                          C       f32
        output?                         lm_head                                                       V C     q6_k
    """)
    # An older T5 had a bias for distances to the encoder's tokens too; nothing ever read it.
    left_out = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "decoder.block.0.layer.1.*relative*")
    ignored = {"attention.layer_norm_epsilon": "the norms are of the other kind"}
    words = """
        num_layers                        block_count
        num_decoder_layers                decoder_block_count
        num_heads                         attention.head_count
        d_kv                              attention.key_length
        d_ff                              feed_forward_length
        relative_attention_num_buckets    attention.relative_buckets_count   32
        relative_attention_max_distance   = 128
        layer_norm_epsilon                attention.layer_norm_rms_epsilon   1e-6
        decoder_start_token_id            decoder_start_token_id             0
        feed_forward_proj                 -
        dense_act_fn                      -
        is_gated_act                      -
        n_positions                       -
        scale_decoder_outputs             -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        layers, heads = f.axis("L", "block_count", high=1000), f.axis("H", "attention.head_count")
        width = f.axis("C", "embedding_length")
        f.axis("F", "feed_forward_length")
        f.axis("B", "attention.relative_buckets_count", high=4096)
        head_dim = f.axis("D", "attention.key_length", width // heads)
        f.expect("attention.value_length", head_dim, f"values must be of the size of keys, {head_dim}")
        f.expect("attention.head_count_kv", heads, "shared keys are not supported")
        vocab = f.vocabulary()
        within = f.has("decoder_norm_scaled") and f.flag("decoder_norm_scaled")
        f.axes["S"] = Axis(width if within else 1, f.name("decoder_norm_scaled"))
        return Config(
            layers=layers,
            width=width,
            vocab=vocab,
            context=f.integer("context_length", 512, low=1, high=1 << 20),
            norm="rms",
            eps=f.number("attention.layer_norm_rms_epsilon"),
            decoder_layers=f.axis("L.dec", "decoder_block_count", layers, high=1000),
            heads=heads,
            start=f.integer("decoder_start_token_id", 0, high=vocab - 1),
            scaled=not f.has("decoder_norm_scaled"),
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        projection = words.peek("feed_forward_proj", "relu")
        if projection not in ("relu", "gated-gelu"):
            raise words.unsupported(f"feed_forward_proj is {projection!r:.80}, not relu or gated-gelu")
        scaled = words.peek("scale_decoder_outputs", words.peek("tie_word_embeddings", True))
        keys = {"context_length": words.integer("n_positions", usual=512), "decoder_norm_scaled": bool(scaled)}
        return {**keys, **super().metadata(words)}

    def encode(self, op: Ops[X]) -> X:
        """Read the text that is answered: what the decoder's layers need of it is remembered. -> [R, H*D]"""
        c, w = self.config, self.weights
        x = op.embed(w.token_embd)  # [T, C]
        for b in w.enc.blk:
            h = self.norm(op, x, b.attn_norm)
            q, k, v = (op.linear(h, weight) for weight in (b.attn_q, b.attn_k, b.attn_v))
            x = x + op.linear(op.attend_all(q, k, v, c.heads, 1.0, w.enc.blk[0].attn_rel_b), b.attn_o)
            x = x + self._feed_forward(op, self.norm(op, x, b.ffn_norm), b)
        x = self.norm(op, x, w.enc_output_norm)
        for i, b in enumerate(w.dec.blk):
            last = op.remember(i, op.linear(x, b.cross_attn_k), op.linear(x, b.cross_attn_v), c.heads)
        return op.rows(last)

    def forward(self, op: Ops[X]) -> X:
        c, w = self.config, self.weights
        x = op.embed(w.token_embd)  # [T, C]
        for i, b in enumerate(w.dec.blk):
            h = self.norm(op, x, b.attn_norm)
            q, k, v = (op.linear(h, weight) for weight in (b.attn_q, b.attn_k, b.attn_v))
            a = op.attention(i, q, k, v, c.heads, c.heads, 1.0, distances=w.dec.blk[0].attn_rel_b)
            x = x + op.linear(a, b.attn_o)
            q = op.linear(self.norm(op, x, b.cross_attn_norm), b.cross_attn_q)
            x = x + op.linear(op.recall(i, q, c.heads, 1.0), b.cross_attn_o)
            x = x + self._feed_forward(op, self.norm(op, x, b.ffn_norm), b)
        x = self.norm(op, op.rows(x), w.dec_output_norm)
        if c.scaled and w.output is None:
            x = op.scale(x, c.width**-0.5)
        return op.linear(x, w.output or w.token_embd)  # [R, V]

    def _feed_forward(self, op: Ops[X], h: X, b: SimpleNamespace) -> X:
        up = op.linear(h, b.ffn_up)
        if b.ffn_gate is None:
            return op.linear(op.activate(up, "relu"), b.ffn_down)
        return op.linear(op.activate(op.linear(h, b.ffn_gate), "gelu_tanh") * up, b.ffn_down)
