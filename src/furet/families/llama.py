"""LLaMA: pre-norm decoder, rotary positions, grouped queries, SwiGLU; no biases.

Runs    LLaMA 1, 2 and 3, Mistral with its window, Mixtral with its experts, SmolLM2, TinyLlama, Yi, DeepSeek-LLM,
        Alpaca, Vicuna, their children
Source  arXiv:2302.13971 (LLaMA), arXiv:2407.21783 (3), arXiv:2310.06825 (Mistral), arXiv:2401.04088 (Mixtral)
Parity  tests/parity, against LlamaForCausalLM, MistralForCausalLM and MixtralForCausalLM

In GGUF files the rows of q and k are permuted so that rotation pairs neighbours: `style` is interleaved.
"""

from __future__ import annotations

from dataclasses import replace

from furet.families import decoder, rotary
from furet.families.decoder import Config, Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import table
from furet.ops import Ops, X


class Llama(Decoder):
    architectures = ("llama",)
    model_types = ("llama", "mistral", "mixtral")
    tensors = table("""
        name                      hugging face                                      shape    floor
        token_embd                model.embed_tokens                                V C      q6_k
        blk.{i}.attn_norm         model.layers.{i}.input_layernorm                  C        f32
        blk.{i}.attn_q            model.layers.{i}.self_attn.q_proj|pairs:H         H*D C    any
        blk.{i}.attn_k            model.layers.{i}.self_attn.k_proj|pairs:K         K*D C    any
        blk.{i}.attn_v            model.layers.{i}.self_attn.v_proj                 K*D C    any
        blk.{i}.attn_output       model.layers.{i}.self_attn.o_proj                 C H*D    any
        blk.{i}.attn_q.bias?      model.layers.{i}.self_attn.q_proj.bias|pairs:H    H*D      f32
        blk.{i}.attn_k.bias?      model.layers.{i}.self_attn.k_proj.bias|pairs:K    K*D      f32
        blk.{i}.attn_v.bias?      model.layers.{i}.self_attn.v_proj.bias            K*D      f32
        blk.{i}.attn_output.bias? model.layers.{i}.self_attn.o_proj.bias            C        f32
        blk.{i}.ffn_norm          model.layers.{i}.post_attention_layernorm         C        f32
        blk.{i}.ffn_gate          model.layers.{i}.mlp.gate_proj                    F C      any
        blk.{i}.ffn_up            model.layers.{i}.mlp.up_proj                      F C      any
        blk.{i}.ffn_down          model.layers.{i}.mlp.down_proj                    C F      any
        blk.{i}.ffn_gate_inp      model.layers.{i}.block_sparse_moe.gate                    E C      f32
        blk.{i}.ffn_gate_exps     model.layers.{i}.block_sparse_moe.experts.{e}.w1          E X C    any
        blk.{i}.ffn_up_exps       model.layers.{i}.block_sparse_moe.experts.{e}.w3          E X C    any
        blk.{i}.ffn_down_exps     model.layers.{i}.block_sparse_moe.experts.{e}.w2          E C X    any
        output_norm               model.norm                                        C        f32
        output?                   lm_head                                           V C      q6_k
        rope_freqs?               -                                                 D/2      f32
    """)
    words = """
        hidden_act             = silu
        mlp_bias               = false
        attention_bias         -
        sliding_window         attention.sliding_window
        num_local_experts      expert_count
        num_experts_per_tok    expert_used_count
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        config = decoder.read_config(f, "interleaved", experts=True)
        return replace(config, window=f.integer("attention.sliding_window", 0))

    @classmethod
    def made(cls, words: Words) -> dict[str, rotary.Floats]:
        return rotary.llama3_factors(words)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        q, k, v = self.qkv(op, self.norm(op, x, w.attn_norm), w)  # [T, H*D], [T, K*D] twice
        q = op.rope(q, c.heads, c.rope, self.weights.rope_freqs)
        k = op.rope(k, c.kv_heads, c.rope, self.weights.rope_freqs)
        a = op.attention(i, q, k, v, c.heads, c.kv_heads, c.scale, c.window)  # [T, H*D]
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        h = self.norm(op, x, w.ffn_norm)
        return x + (self.mixture(op, h, w) if c.experts else self.gated(op, h, w))
