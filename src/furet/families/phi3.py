"""Phi-3 and Phi-4: as LLaMA, with q, k, v in one matrix and gate, up in another, and rotation of halves.

Long contexts divide the frequencies by one set of factors, contexts of the trained length by another.

Runs    Phi-3 mini and medium, Phi-3.5 mini, Phi-4, Phi-4 mini, their children
Source  arXiv:2404.14219 (Phi-3), arXiv:2412.08905 (Phi-4), arXiv:2402.13753 (the factors)
Parity  tests/parity, against Phi3ForCausalLM

A window is applied as the weights were trained; llama.cpp leaves it out.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from furet.families import decoder, rotary
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


@dataclass(frozen=True)
class Config(decoder.Config):
    """trained is the context, in tokens, up to which the short factors hold."""

    trained: int = 0


class Phi3(Decoder):
    architectures = ("phi3",)
    model_types = ("phi3",)
    tensors = table("""
        name                   hugging face                                   shape          floor
        token_embd             model.embed_tokens                             V C            q6_k
        rope_factors_short?    -                                              Q/2            f32
        rope_factors_long?     -                                              Q/2            f32
        blk.{i}.attn_norm      model.layers.{i}.input_layernorm               C              f32
        blk.{i}.attn_qkv       model.layers.{i}.self_attn.qkv_proj            H*D+2*K*D C    any
        blk.{i}.attn_qkv.bias? -                                              H*D+2*K*D      f32
        blk.{i}.attn_output    model.layers.{i}.self_attn.o_proj              C H*D          any
        blk.{i}.ffn_norm       model.layers.{i}.post_attention_layernorm      C              f32
        blk.{i}.ffn_up         model.layers.{i}.mlp.gate_up_proj              2*F C          any
        blk.{i}.ffn_down       model.layers.{i}.mlp.down_proj                 C F            any
        output_norm            model.norm                                     C              f32
        output?                lm_head                                        V C            q6_k
    """)
    words = """
        hidden_act                          = silu
        attention_bias                      = false
        sliding_window                      attention.sliding_window
        original_max_position_embeddings    rope.scaling.original_context_length
        partial_rotary_factor               -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, "halves", long=True)
        f.axis("Q", "rope.dimension_count", base.head_dim)
        trained = f.integer("rope.scaling.original_context_length", base.context, low=1)
        return Config(**vars(replace(base, window=f.integer("attention.sliding_window", 0))), trained=trained)

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        scaling = rotary.settings_of(words)
        if "yarn" in (scaling.peek("rope_type"), scaling.peek("type")):
            raise words.unsupported("the rope_scaling of a Phi-3 is yarn, which is not known of any")
        return super().metadata(words) | rotary.partial(words, 1.0)

    @classmethod
    def made(cls, words: Words) -> dict[str, rotary.Floats]:
        return rotary.long_rope_factors(words)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        factors = self.weights.rope_factors_long if self.context > c.trained else self.weights.rope_factors_short
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm), w)  # [T, H*D], [T, K*D] twice
        q, k = op.rope(q, c.heads, c.rope, factors), op.rope(k, c.kv_heads, c.rope, factors)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale, c.window)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        both = op.linear(self.norm(op, x, w.ffn_norm), w.ffn_up)  # [T, 2*F]
        gate, up = op.columns(both, 0, c.ffn), op.columns(both, c.ffn, c.ffn)
        return x + op.linear(op.activate(gate, "silu") * up, w.ffn_down)
