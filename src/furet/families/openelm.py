"""OpenELM: as Qwen3, but the first layers are narrow and the last ones wide: each has its own heads and F.

Runs    OpenELM 270M to 3B, their children
Source  arXiv:2404.14619
Parity  tests/parity, against a NumPy program written from the paper, for lack of a published package
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from furet.families import family
from furet.families.decoder import Decoder
from furet.families.fields import MOST_TOKENS, Fields
from furet.families.hugging_face import Words
from furet.families.rotary import read_rope
from furet.families.tensors import table
from furet.ops import Ops, X
from furet.ops.rope import Rope


@dataclass(frozen=True)
class Config(family.Config):
    """heads and kv_heads have a number for each layer."""

    heads: tuple[int, ...]  # H
    kv_heads: tuple[int, ...]  # K
    head_dim: int  # D
    rope: Rope


class OpenELM(Decoder):
    architectures = ("openelm",)
    model_types = ("openelm",)
    tensors = table("""
        name                   hugging face                                        shape          floor
        token_embd             transformer.token_embeddings                        V C            q6_k
        blk.{i}.attn_norm      transformer.layers.{i}.attn_norm                    C              f32
        blk.{i}.attn_qkv       transformer.layers.{i}.attn.qkv_proj                H*D+2*K*D C    any
        blk.{i}.attn_q_norm    transformer.layers.{i}.attn.q_norm                  D              f32
        blk.{i}.attn_k_norm    transformer.layers.{i}.attn.k_norm                  D              f32
        blk.{i}.attn_output    transformer.layers.{i}.attn.out_proj                C H*D          any
        blk.{i}.ffn_norm       transformer.layers.{i}.ffn_norm                     C              f32
        blk.{i}.ffn_gate       transformer.layers.{i}.ffn.proj_1|first_half        F C            any
        blk.{i}.ffn_up         transformer.layers.{i}.ffn.proj_1|second_half       F C            any
        blk.{i}.ffn_down       transformer.layers.{i}.ffn.proj_2                   C F            any
        output_norm            transformer.norm                                    C              f32
        output?                lm_head                                             V C            q6_k
    """)
    words = """
        num_transformer_layers       block_count
        model_dim                    embedding_length
        max_context_length           context_length
        rope_freq_constant           rope.freq_base    10000.0
        num_query_heads              attention.head_count
        num_kv_heads                 attention.head_count_kv
        normalization_layer_name     = rms_norm
        normalize_qk_projections     = true
        ffn_with_glu                 = true
        activation_fn_name           = swish|silu
        share_input_output_layers    -
        rope_max_length              -
        qkv_multipliers              -
        num_gqa_groups               -
        ffn_multipliers              -
        ffn_dim_divisor              -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        layers = f.axis("L", "block_count", high=1000)
        heads = f.per_layer("H", "attention.head_count", layers)
        kv_heads = f.per_layer("K", "attention.head_count_kv", layers)
        divided = all(h % k == 0 for h, k in zip(heads, kv_heads, strict=True))
        f.require(divided, "attention.head_count_kv", f"divisors of {list(heads)}")
        f.per_layer("F", "feed_forward_length", layers)
        head_dim = f.axis("D", "attention.key_length")
        f.expect("attention.value_length", head_dim, f"values must be of the size of keys, {head_dim}")
        context = f.integer("context_length", low=1, high=MOST_TOKENS)
        return Config(
            layers=layers,
            width=f.axis("C", "embedding_length"),
            vocab=f.vocabulary(),
            context=context,
            norm="rms",
            eps=f.number(family.EPSILON["rms"]),
            heads=heads,
            kv_heads=kv_heads,
            head_dim=head_dim,
            rope=read_rope(f, head_dim, context, "halves"),
        )

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        width, divisor = words.integer("model_dim"), words.integer("ffn_dim_divisor", usual=256)
        shares = words.get("ffn_multipliers")
        if not isinstance(shares, list) or not all(isinstance(one, int | float) and 0 < one < 1e4 for one in shares):
            raise words.damaged("ffn_multipliers", "a number for each layer")
        return super().metadata(words) | {
            "feed_forward_length": [_divisible(share * width, divisor) for share in shares],
            "attention.value_length": words.integer("head_dim"),
            "attention.layer_norm_rms_epsilon": 1e-6,
        }

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        heads, kv_heads = c.heads[i], c.kv_heads[i]
        queries, keys = heads * c.head_dim, kv_heads * c.head_dim
        qkv = op.linear(self.norm(op, x, w.attn_norm), w.attn_qkv)
        q = self.norm(op, op.columns(qkv, 0, queries), w.attn_q_norm)  # [T, H*D]
        k = self.norm(op, op.columns(qkv, queries, keys), w.attn_k_norm)  # [T, K*D]
        v = op.columns(qkv, queries + keys, keys)  # [T, K*D]
        q, k = op.rope(q, heads, c.rope), op.rope(k, kv_heads, c.rope)
        a = op.attention(i, q, k, v, heads, kv_heads, 1.0 / sqrt(c.head_dim))  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        return x + self.gated(op, self.norm(op, x, w.ffn_norm), w)


def _divisible(size: float, divisor: int) -> int:
    """The multiple of the divisor that is nearest, but not below nine tenths of the size."""
    nearest = max(divisor, int(size + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * size else nearest
