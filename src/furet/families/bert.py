"""BERT: an encoder whose tokens see all others, norms after each half of a layer; for embeddings of texts.

Runs    BERT, MiniLM, BGE, E5, GTE and other sentence encoders of this shape
Source  arXiv:1810.04805; as sentence encoder: arXiv:1908.10084
Parity  tests/parity, against BertModel
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from furet.families import family
from furet.families.family import EPSILON, Family
from furet.families.fields import MOST_TOKENS, Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X

Pooling = Literal["mean", "first", "last"]
POOLING: dict[int, Pooling] = {0: "mean", 1: "mean", 2: "first", 3: "last"}  # GGUF's numbers; 0: not said


@dataclass(frozen=True)
class Config(family.Config):
    """pooling says how a text's one vector comes from those of its tokens."""

    heads: int  # H
    pooling: Pooling


class Bert(Family):
    architectures = ("bert",)
    model_types = ("bert",)
    kind = "encoder"
    tensors = table("""
        name                            hugging face                                             shape  floor
        token_embd                      bert.embeddings.word_embeddings                          V C    q6_k
        token_types                     bert.embeddings.token_type_embeddings                    Y C    f32
        position_embd                   bert.embeddings.position_embeddings                      P C    f32
        token_embd_norm                 bert.embeddings.LayerNorm                                C      f32
        token_embd_norm.bias            bert.embeddings.LayerNorm.bias                           C      f32
        blk.{i}.attn_q                  bert.encoder.layer.{i}.attention.self.query              C C    any
        blk.{i}.attn_q.bias             bert.encoder.layer.{i}.attention.self.query.bias         C      f32
        blk.{i}.attn_k                  bert.encoder.layer.{i}.attention.self.key                C C    any
        blk.{i}.attn_k.bias             bert.encoder.layer.{i}.attention.self.key.bias           C      f32
        blk.{i}.attn_v                  bert.encoder.layer.{i}.attention.self.value              C C    any
        blk.{i}.attn_v.bias             bert.encoder.layer.{i}.attention.self.value.bias         C      f32
        blk.{i}.attn_output             bert.encoder.layer.{i}.attention.output.dense            C C    any
        blk.{i}.attn_output.bias        bert.encoder.layer.{i}.attention.output.dense.bias       C      f32
        blk.{i}.attn_output_norm        bert.encoder.layer.{i}.attention.output.LayerNorm        C      f32
        blk.{i}.attn_output_norm.bias   bert.encoder.layer.{i}.attention.output.LayerNorm.bias   C      f32
        blk.{i}.ffn_up                  bert.encoder.layer.{i}.intermediate.dense                F C    any
        blk.{i}.ffn_up.bias             bert.encoder.layer.{i}.intermediate.dense.bias           F      f32
        blk.{i}.ffn_down                bert.encoder.layer.{i}.output.dense                      C F    any
        blk.{i}.ffn_down.bias           bert.encoder.layer.{i}.output.dense.bias                 C      f32
        blk.{i}.layer_output_norm       bert.encoder.layer.{i}.output.LayerNorm                  C      f32
        blk.{i}.layer_output_norm.bias  bert.encoder.layer.{i}.output.LayerNorm.bias             C      f32
    """)
    left_out = ("*pooler.dense.*", "cls.*")  # heads of the tasks that it was trained on
    words = """
        hidden_act                = gelu
        position_embedding_type   = absolute
        type_vocab_size           tokenizer.ggml.token_type_count   2
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        width, heads = f.axis("C", "embedding_length"), f.axis("H", "attention.head_count")
        f.require(width % heads == 0, "embedding_length", f"a multiple of {heads} heads")
        f.expect("attention.causal", False, "only encoders that look both ways are known")
        f.axis("F", "feed_forward_length")
        types = f.metadata.get("tokenizer.ggml.token_type_count", 2)
        f.axis("Y", "token_type_count", types if isinstance(types, int) else 2)
        pooling = f.integer("pooling_type", 1)
        f.require(pooling in POOLING, "pooling_type", "0 to 3")
        return Config(
            layers=f.axis("L", "block_count", high=1000),
            width=width,
            vocab=f.vocabulary(),
            context=f.axis("P", "context_length", high=MOST_TOKENS),
            norm="layer",
            eps=f.number(EPSILON["layer"]),
            heads=heads,
            pooling=POOLING[pooling],
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        pooling = words.beside("1_Pooling/config.json")
        first = pooling.get("pooling_mode_cls_token") is True
        last = pooling.get("pooling_mode_lasttoken") is True
        number = 2 if first else 3 if last else 1
        return {"attention.causal": False, "pooling_type": number, **super().metadata(words)}

    def forward(self, op: Ops[X]) -> X:
        """What every wanted token has become. -> [R, C]"""
        c, w = self.config, self.weights
        x = op.affine(op.embed(w.token_embd) + op.embed_positions(w.position_embd), bias=w.token_types)
        x = self.norm(op, x, w.token_embd_norm, w.token_embd_norm_bias)
        for b in w.blk:
            q = op.linear(x, b.attn_q, b.attn_q_bias)
            k = op.linear(x, b.attn_k, b.attn_k_bias)
            v = op.linear(x, b.attn_v, b.attn_v_bias)
            a = op.attend_all(q, k, v, c.heads, (c.width // c.heads) ** -0.5)
            x = x + op.linear(a, b.attn_output, b.attn_output_bias)
            x = self.norm(op, x, b.attn_output_norm, b.attn_output_norm_bias)
            h = op.activate(op.linear(x, b.ffn_up, b.ffn_up_bias), "gelu")
            x = x + op.linear(h, b.ffn_down, b.ffn_down_bias)
            x = self.norm(op, x, b.layer_output_norm, b.layer_output_norm_bias)
        return op.rows(x)
