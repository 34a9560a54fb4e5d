"""MPT: slopes instead of positions, or learned ones; clipped or normed queries and keys; no biases, or all.

Runs    MPT 7B and 30B, StoryWriter, replit-code v1 and v1.5, SEA-LION 3B and 7B, their children
Source  MosaicML, Introducing MPT-7B, 2023; arXiv:2108.12409 (slopes)
Parity  tests/parity, against MptForCausalLM, and against a program of its own what that leaves out

What concerns attention is a table within the configuration; the first ones, such as replit's, had no such table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from furet.families import decoder
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import needed, table
from furet.ops import Ops, X


@dataclass(frozen=True)
class Config(decoder.Config):
    """bound: of queries, keys and values; 0: none."""

    bound: float = 0.0


class MPT(Decoder):
    config: Config
    architectures = ("mpt",)
    model_types = ("mpt", "mosaic_gpt")
    tensors = table("""
        name                       hugging face                               shape        floor
        token_embd                 transformer.wte                            V C          q6_k
        position_embd?             transformer.wpe                            P C          f32
        blk.{i}.attn_norm          transformer.blocks.{i}.norm_1              C            f32
        blk.{i}.attn_norm.bias?    transformer.blocks.{i}.norm_1.bias         C            f32
        blk.{i}.attn_qkv           transformer.blocks.{i}.attn.Wqkv           H*D+2*K*D C  any
        blk.{i}.attn_qkv.bias?     transformer.blocks.{i}.attn.Wqkv.bias      H*D+2*K*D    f32
        blk.{i}.attn_q_norm?       transformer.blocks.{i}.attn.q_ln           H*D          f32
        blk.{i}.attn_q_norm.bias?  transformer.blocks.{i}.attn.q_ln.bias      H*D          f32
        blk.{i}.attn_k_norm?       transformer.blocks.{i}.attn.k_ln           K*D          f32
        blk.{i}.attn_k_norm.bias?  transformer.blocks.{i}.attn.k_ln.bias      K*D          f32
        blk.{i}.attn_output        transformer.blocks.{i}.attn.out_proj       C H*D        any
        blk.{i}.attn_output.bias?  transformer.blocks.{i}.attn.out_proj.bias  C            f32
        blk.{i}.ffn_norm           transformer.blocks.{i}.norm_2              C            f32
        blk.{i}.ffn_norm.bias?     transformer.blocks.{i}.norm_2.bias         C            f32
        blk.{i}.ffn_up             transformer.blocks.{i}.ffn.up_proj         F C          any
        blk.{i}.ffn_up.bias?       transformer.blocks.{i}.ffn.up_proj.bias    F            f32
        blk.{i}.ffn_down           transformer.blocks.{i}.ffn.down_proj       C F          any
        blk.{i}.ffn_down.bias?     transformer.blocks.{i}.ffn.down_proj.bias  C            f32
        output_norm                transformer.norm_f                         C            f32
        output_norm.bias?          transformer.norm_f.bias                    C            f32
        output?                    lm_head                                    V C          q6_k
    """)
    words = """
        max_seq_len            context_length
        layer_norm_epsilon     attention.layer_norm_epsilon  1e-5
        norm_type              = low_precision_layernorm|layernorm
        kv_n_heads             attention.head_count_kv
        logit_scale            = null
        softmax_scale          = null
        prefix_lm              = false
        attn_uses_sequence_id  = false
        rope                   = false
        qk_gn                  = false
        sliding_window_size    = -1
        ffn_type               = mptmlp
        learned_pos_emb        -
        *_impl                 -
        *qk_ln                 -
        *init_*                -
        fan_mode               -
        fc_type                -
        no_bias                -
        low_precision_*        -
        embedding_fraction     -
        tokenizer_name         -
        verbose                -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        f.axis("P", "context_length")
        base = decoder.read_config(f, norm="layer", activation="gelu")
        alibi, bound = f.number("attention.max_alibi_bias", 0.0), f.number("attention.clamp_kqv", 0.0)
        return Config(**vars(replace(base, alibi=alibi)), bound=bound)

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        words.unfold("attn_config")
        words.unfold("ffn_config")
        slope, bound = words.number("alibi_bias_max", usual=8.0), words.number("clip_qkv", "attn_clip_qkv", usual=0.0)
        keys: dict[str, object] = {
            "feed_forward_length": words.integer("expansion_ratio", "mlp_ratio", usual=4) * words.integer("d_model"),
            "attention.max_alibi_bias": slope if words.get("alibi", True) else 0.0,
        }
        if bound:
            keys["attention.clamp_kqv"] = bound
        if words.get("attn_type") == "multiquery_attention":
            keys["attention.head_count_kv"] = 1
        return keys | words.translated()

    def embed(self, op: Ops[X]) -> X:
        x, places = op.embed(self.weights.token_embd), self.weights.position_embd
        return x + op.embed_positions(places) if places else x

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        parts = self.qkv(op, self.norm(op, x, w.attn_norm, w.attn_norm_bias), w)
        q, k, v = (op.clamp(part, c.bound) for part in parts) if c.bound else parts
        if w.attn_q_norm or w.attn_k_norm:
            q = self.norm(op, q, needed(w.attn_q_norm, f"blk.{i}.attn_q_norm.weight"), w.attn_q_norm_bias)
            k = self.norm(op, k, needed(w.attn_k_norm, f"blk.{i}.attn_k_norm.weight"), w.attn_k_norm_bias)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale, alibi=c.alibi)
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        return x + self.mlp(op, self.norm(op, x, w.ffn_norm, w.ffn_norm_bias), w)
