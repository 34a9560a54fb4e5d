"""SmolLM3: as LLaMA, but every fourth layer does not rotate its heads, and so knows no positions.

Runs    SmolLM3 3B, its children
Source  arXiv:2501.18795 (layers without positions)
Parity  tests/parity, against SmolLM3ForCausalLM

In GGUF files the rows of q and k are permuted so that rotation pairs neighbours: `style` is interleaved.
"""

from __future__ import annotations

from furet.families import decoder
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X

PERIOD = 4


class SmolLM3(Decoder):
    architectures = ("smollm3",)
    model_types = ("smollm3",)
    tensors = table("""
        name                   hugging face                                  shape    floor
        token_embd             model.embed_tokens                            V C      q6_k
        blk.{i}.attn_norm      model.layers.{i}.input_layernorm              C        f32
        blk.{i}.attn_q         model.layers.{i}.self_attn.q_proj|pairs:H     H*D C    any
        blk.{i}.attn_k         model.layers.{i}.self_attn.k_proj|pairs:K     K*D C    any
        blk.{i}.attn_v         model.layers.{i}.self_attn.v_proj             K*D C    any
        blk.{i}.attn_output    model.layers.{i}.self_attn.o_proj             C H*D    any
        blk.{i}.ffn_norm       model.layers.{i}.post_attention_layernorm     C        f32
        blk.{i}.ffn_gate       model.layers.{i}.mlp.gate_proj                F C      any
        blk.{i}.ffn_up         model.layers.{i}.mlp.up_proj                  F C      any
        blk.{i}.ffn_down       model.layers.{i}.mlp.down_proj                C F      any
        output_norm            model.norm                                    C        f32
        output?                lm_head                                       V C      q6_k
    """)
    words = """
        rope_theta                rope.freq_base   2e6
        hidden_act                = silu
        attention_bias            = false
        mlp_bias                  = false
        use_sliding_window        = false
        sliding_window            -
        max_window_layers         -
        no_rope_layer_interval    -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        return decoder.read_config(f, "interleaved")

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        period = words.integer("no_rope_layer_interval", usual=PERIOD)
        rotated = words.get("no_rope_layers", [(i + 1) % period != 0 for i in range(PERIOD)])  # 1 for a layer that is
        if not isinstance(rotated, list) or rotated != [(i + 1) % PERIOD != 0 for i in range(len(rotated))]:
            raise words.unsupported(f"no_rope_layers is not 0 for every layer number {PERIOD}, and 1 for the others")
        return super().metadata(words)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm)
        q, k, v = op.linear(h, w.attn_q), op.linear(h, w.attn_k), op.linear(h, w.attn_v)  # [T, H*D], [T, K*D] twice
        if (i + 1) % PERIOD:
            q, k = op.rope(q, c.heads, c.rope), op.rope(k, c.kv_heads, c.rope)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale)  # [T, H*D]
        x = x + op.linear(a, w.attn_output)
        return x + self.gated(op, self.norm(op, x, w.ffn_norm), w)
