"""Gemma 3, its text: as Gemma 2, with normalised heads for soft caps, and two kinds of rotation.

Layers with a window rotate by a base of their own; every sixth layer sees all, its positions stretched where the
context is long.

Runs    Gemma 3 270M to 27B, MedGemma, their children; images are not seen
Source  arXiv:2503.19786
Parity  tests/parity, against Gemma3ForCausalLM
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import sqrt

from furet.families import decoder, rotary
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.families.windows import period_key
from furet.ops import Ops, X
from furet.ops.rope import Rope

PERIOD = 6
LAYERS_27B = 62  # its scores are scaled by C / H instead of D, which GGUF files of llama.cpp do not say


@dataclass(frozen=True)
class Config(decoder.Config):
    """near turns the heads of layers with a window; logit_cap is that of logits, 0: none."""

    near: Rope | None = None
    logit_cap: float = 0.0


class Gemma3(Decoder):
    architectures = ("gemma3",)
    model_types = ("gemma3_text", "gemma3")
    tensors = table("""
        name                           hugging face                                              shape    floor
        token_embd                     model.embed_tokens                                        V C      q6_k
        blk.{i}.attn_norm              model.layers.{i}.input_layernorm|plus_one                 C        f32
        blk.{i}.attn_q                 model.layers.{i}.self_attn.q_proj                         H*D C    any
        blk.{i}.attn_k                 model.layers.{i}.self_attn.k_proj                         K*D C    any
        blk.{i}.attn_v                 model.layers.{i}.self_attn.v_proj                         K*D C    any
        blk.{i}.attn_q_norm            model.layers.{i}.self_attn.q_norm|plus_one                D        f32
        blk.{i}.attn_k_norm            model.layers.{i}.self_attn.k_norm|plus_one                D        f32
        blk.{i}.attn_output            model.layers.{i}.self_attn.o_proj                         C H*D    any
        blk.{i}.post_attention_norm    model.layers.{i}.post_attention_layernorm|plus_one        C        f32
        blk.{i}.ffn_norm               model.layers.{i}.pre_feedforward_layernorm|plus_one       C        f32
        blk.{i}.ffn_gate               model.layers.{i}.mlp.gate_proj                            F C      any
        blk.{i}.ffn_up                 model.layers.{i}.mlp.up_proj                              F C      any
        blk.{i}.ffn_down               model.layers.{i}.mlp.down_proj                            C F      any
        blk.{i}.post_ffw_norm          model.layers.{i}.post_feedforward_layernorm|plus_one      C        f32
        output_norm                    model.norm|plus_one                                       C        f32
        output?                        lm_head                                                   V C      q6_k
    """)
    left_out = ("vision_tower.*", "multi_modal_projector.*")
    words = """
        num_attention_heads            attention.head_count                8
        num_key_value_heads            attention.head_count_kv             4
        head_dim                       attention.key_length                256
        max_position_embeddings        context_length                      131072
        rms_norm_eps                   attention.layer_norm_rms_epsilon    1e-6
        vocab_size                     vocab_size                          262208
        sliding_window                 attention.sliding_window            4096
        rope_theta                     rope.freq_base                      1e6
        rope_local_base_freq           -
        final_logit_softcapping        final_logit_softcapping
        attn_logit_softcapping         = null
        hidden_activation              = gelu_pytorch_tanh
        attention_bias                 = false
        use_bidirectional_attention    = false
        query_pre_attn_scalar          -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        base = decoder.read_config(f, "halves")
        usual = sqrt(base.heads / base.width) if base.layers == LAYERS_27B else 0.0
        base = replace(
            base,
            window=f.integer("attention.sliding_window", 0),
            period=f.integer("attention.sliding_window_pattern", PERIOD, low=1),
            given_scale=base.given_scale or usual,
        )
        near = Rope(f.number("rope.freq_base_swa", 1e4), base.rope.dims, "halves")
        return Config(**vars(base), near=near, logit_cap=f.number("final_logit_softcapping", 0.0))

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        base = words.number("rope_local_base_freq", usual=1e4)
        if words.peek("rope_parameters"):
            near = rotary.settings_of(words, "sliding_attention")
            if near.peek("rope_type", "default") != "default":
                raise words.unsupported("layers with a window have scaled positions")
            base = near.number("rope_theta", usual=base)
        scale = words.integer("query_pre_attn_scalar", usual=256) ** -0.5
        own = {"rope.freq_base_swa": base, "attention.scale": scale}
        return super().metadata(words) | period_key(words, PERIOD) | own

    def embed(self, op: Ops[X]) -> X:
        return op.scale(op.embed(self.weights.token_embd), sqrt(self.config.width))

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        window = c.window_of(i)
        turn = c.near if window else c.rope
        h = self.norm(op, x, w.attn_norm)
        q, k, v = self.qkv(op, h, w)  # [T, H*D], [T, K*D] twice
        q, k = self.norm(op, q, w.attn_q_norm), self.norm(op, k, w.attn_k_norm)
        q, k = op.rope(q, c.heads, turn), op.rope(k, c.kv_heads, turn)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale, window)  # [T, H*D]
        x = x + self.norm(op, op.linear(a, w.attn_output), w.post_attention_norm)
        h = self.gated(op, self.norm(op, x, w.ffn_norm), w, "gelu_tanh")
        return x + self.norm(op, h, w.post_ffw_norm)

    def head(self, op: Ops[X], x: X) -> X:
        logits, cap = super().head(op, x), self.config.logit_cap
        return op.soft_cap(logits, cap) if cap else logits
