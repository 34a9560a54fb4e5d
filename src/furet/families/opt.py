"""OPT: learned positions, of which the first two are unused; norms before each part or, in OPT 350M, after it.

Runs    OPT 125M to 66B, OPT-IML, Galactica, their children
Source  arXiv:2205.01068; arXiv:2211.09085 (Galactica)
Parity  tests/parity, against OPTForCausalLM

GGUF has no words for this family; keys and names that others have no use for are ours.
"""

from __future__ import annotations

from dataclasses import dataclass

from furet.families import decoder
from furet.families.decoder import Decoder
from furet.families.fields import Fields
from furet.families.hugging_face import Words
from furet.families.tensors import needed, table
from furet.ops import Ops, X

UNUSED = 2  # rows of the position table


@dataclass(frozen=True, kw_only=True)
class Config(decoder.Config):
    """What models of this family differ in.

    token_width     of a row of the embedding (W)
    norm_first      norms stand before attention and feed-forward, not after them
    final_norm      another one stands before the head
    """

    token_width: int
    norm_first: bool
    final_norm: bool


class OPT(Decoder):
    config: Config
    architectures = ("opt",)
    model_types = ("opt",)
    tensors = table("""
        name                       hugging face                                         shape  floor
        token_embd                 model.decoder.embed_tokens                           V W    q6_k
        token_embd_proj?           model.decoder.project_in                             C W    any
        position_embd              model.decoder.embed_positions                        P+2 C  f32
        blk.{i}.attn_norm          model.decoder.layers.{i}.self_attn_layer_norm        C      f32
        blk.{i}.attn_norm.bias     model.decoder.layers.{i}.self_attn_layer_norm.bias   C      f32
        blk.{i}.attn_q             model.decoder.layers.{i}.self_attn.q_proj            C C    any
        blk.{i}.attn_q.bias?       model.decoder.layers.{i}.self_attn.q_proj.bias       C      f32
        blk.{i}.attn_k             model.decoder.layers.{i}.self_attn.k_proj            C C    any
        blk.{i}.attn_k.bias?       model.decoder.layers.{i}.self_attn.k_proj.bias       C      f32
        blk.{i}.attn_v             model.decoder.layers.{i}.self_attn.v_proj            C C    any
        blk.{i}.attn_v.bias?       model.decoder.layers.{i}.self_attn.v_proj.bias       C      f32
        blk.{i}.attn_output        model.decoder.layers.{i}.self_attn.out_proj          C C    any
        blk.{i}.attn_output.bias?  model.decoder.layers.{i}.self_attn.out_proj.bias     C      f32
        blk.{i}.ffn_norm           model.decoder.layers.{i}.final_layer_norm            C      f32
        blk.{i}.ffn_norm.bias      model.decoder.layers.{i}.final_layer_norm.bias       C      f32
        blk.{i}.ffn_up             model.decoder.layers.{i}.fc1                         F C    any
        blk.{i}.ffn_up.bias?       model.decoder.layers.{i}.fc1.bias                    F      f32
        blk.{i}.ffn_down           model.decoder.layers.{i}.fc2                         C F    any
        blk.{i}.ffn_down.bias?     model.decoder.layers.{i}.fc2.bias                    C      f32
        output_norm?               model.decoder.final_layer_norm                       C      f32
        output_norm.bias?          model.decoder.final_layer_norm.bias                  C      f32
        output_proj?               model.decoder.project_out                            W C    any
        output?                    lm_head                                              V W    q6_k
    """)
    words = """
        ffn_dim                        feed_forward_length
        word_embed_proj_dim            token_embedding_length
        layer_norm_elementwise_affine  = true
        enable_bias                    -
        layerdrop                      -
        init_std                       -
    """

    @staticmethod
    def read_config(f: Fields) -> Config:
        f.axis("P", "context_length")
        base = decoder.read_config(f, norm="layer", activation="relu")
        width = f.axis("W", "token_embedding_length", base.width)
        first, final = f.flag("norm_first"), f.flag("final_norm")
        return Config(**vars(base), token_width=width, norm_first=first, final_norm=final)

    @classmethod
    def metadata(cls, words: Words) -> dict[str, object]:
        first, removed = bool(words.get("do_layer_norm_before", True)), words.get("_remove_final_layer_norm")
        keys = {
            "attention.layer_norm_epsilon": 1e-5,
            "norm_first": first,
            "final_norm": first and not removed,
        }
        return keys | words.translated() | words.activation("activation_function", "relu")

    def embed(self, op: Ops[X]) -> X:
        w = self.weights
        x = op.embed(w.token_embd)  # [T, W]
        if w.token_embd_proj or self.config.token_width != self.config.width:
            x = op.linear(x, needed(w.token_embd_proj, "token_embd_proj.weight"))
        return x + op.embed_positions(w.position_embd, UNUSED)

    def layer(self, op: Ops[X], i: int, x: X) -> X:  # x [T, C]
        c, w = self.config, self.weights.blk[i]
        h = self.norm(op, x, w.attn_norm, w.attn_norm_bias) if c.norm_first else x
        q, k = op.linear(h, w.attn_q, w.attn_q_bias), op.linear(h, w.attn_k, w.attn_k_bias)
        a = op.attention(i, q, k, op.linear(h, w.attn_v, w.attn_v_bias), c.heads, c.heads, c.scale)
        x = x + op.linear(a, w.attn_output, w.attn_output_bias)
        x = x if c.norm_first else self.norm(op, x, w.attn_norm, w.attn_norm_bias)
        h = self.norm(op, x, w.ffn_norm, w.ffn_norm_bias) if c.norm_first else x
        x = x + self.mlp(op, h, w)
        return x if c.norm_first else self.norm(op, x, w.ffn_norm, w.ffn_norm_bias)

    def head(self, op: Ops[X], x: X) -> X:  # x [R, C]
        c, w = self.config, self.weights
        if c.final_norm:
            x = self.norm(op, x, needed(w.output_norm, "output_norm.weight"), w.output_norm_bias)
        if w.output_proj or c.token_width != c.width:
            x = op.linear(x, needed(w.output_proj, "output_proj.weight"))  # [R, W]
        return op.linear(x, w.output or w.token_embd)
