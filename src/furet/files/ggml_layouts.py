"""What GGML files of each architecture hold: header fields, words, and the shape of every tensor by name.

    magic, and a version except in `ggml`
    fields       32 bits each
    words        u32 length and bytes, n_vocab times; some with an f32 score after each
    tensors      up to the end of the file

Integers are u32; a field with ~ before it is an f32. `ftype` is 1000 * quantisation version + file type where
the ggml examples wrote it. Shapes have rows first. The letters of shapes are those of the glossary,

    V n_vocab   C n_embd   L n_layer   H n_head   D = C / H   K n_head_kv   X n_ctx

and F and N are whatever the first tensor that has them says. {i} counts layers, a question mark allows a
tensor to be missing, and the last column tells how the parts of an old LLaMA file divide a tensor.

Source: loaders and converters of llama.cpp (March to August 2023), of the ggml examples gpt-2, gpt-j,
gpt-neox, stablelm, starcoder, mpt, replit and falcon, of ggllm.cpp and of rwkv.cpp (FILE_FORMAT.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeAlias

Split: TypeAlias = Literal["", "rows", "columns"]
Words: TypeAlias = Literal["plain", "scored", "counted", "none"]

AXES = {  # letter of a shape: header fields that give it
    "V": ("n_vocab",),
    "C": ("n_embd", "d_model"),
    "L": ("n_layer", "n_layers"),
    "H": ("n_head", "n_heads"),
    "K": ("n_head_kv",),
    "X": ("n_ctx", "max_seq_len"),
}


@dataclass(frozen=True)
class Row:
    """One line of a tensor table."""

    name: str
    shape: tuple[str, ...]
    optional: bool
    split: Split

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """Matches names; its group is the layer."""
        return re.compile(re.escape(self.name).replace(r"\{i\}", r"(0|[1-9][0-9]{0,3})"))


def _table(text: str) -> tuple[Row, ...]:
    rows = []
    for line in filter(str.strip, text.splitlines()):
        name, *shape = line.split()
        split: Split = "rows" if shape[-1] == "rows" else "columns" if shape[-1] == "columns" else ""
        axes = tuple(shape[:-1] if split else shape)
        rows.append(Row(name.removesuffix("?"), axes, name.endswith("?"), split))
    return tuple(rows)


@dataclass(frozen=True)
class Layout:
    """One way of reading a file.

    variant  what tells it from others of its architecture
    kinds    magics that it occurs under
    words    plain; scored: with an f32 each; counted: n_vocab once more, then plain; none
    unsaid   words that n_vocab counts and the file does not have
    """

    architecture: str
    kinds: tuple[str, ...]
    fields: tuple[str, ...]
    words: Words
    tensors: tuple[Row, ...]
    variant: str = ""
    unsaid: int = 0


_LLAMA = _table("""
    tok_embeddings.weight                   V C   columns
    norm.weight                             C
    output.weight                           V C   rows
    layers.{i}.attention_norm.weight        C
    layers.{i}.attention.wq.weight          C C   rows
    layers.{i}.attention.wk.weight          N C   rows
    layers.{i}.attention.wv.weight          N C   rows
    layers.{i}.attention.wo.weight          C C   columns
    layers.{i}.ffn_norm.weight              C
    layers.{i}.feed_forward.w1.weight       F C   rows
    layers.{i}.feed_forward.w2.weight       C F   columns
    layers.{i}.feed_forward.w3.weight       F C   rows
""")

_GPT2 = """
    model/wte                               V C
    model/wpe                               X C
    model/ln_f/g                            C
    model/ln_f/b                            C
    model/lm_head?                          V C
    model/h{i}/ln_1/g                       C
    model/h{i}/ln_1/b                       C
    model/h{i}/attn/c_attn/w                QKV C
    model/h{i}/attn/c_attn/b                QKV
    model/h{i}/attn/c_proj/w                C C
    model/h{i}/attn/c_proj/b                C
    model/h{i}/ln_2/g                       C
    model/h{i}/ln_2/b                       C
    model/h{i}/mlp/c_fc/w                   F C
    model/h{i}/mlp/c_fc/b                   F
    model/h{i}/mlp/c_proj/w                 C F
    model/h{i}/mlp/c_proj/b                 C
"""

_GPTJ = _table("""
    transformer.wte.weight                  V C
    transformer.ln_f.weight                 C
    transformer.ln_f.bias                   C
    lm_head.weight                          V C
    lm_head.bias                            V
    transformer.h.{i}.ln_1.weight           C
    transformer.h.{i}.ln_1.bias             C
    transformer.h.{i}.attn.q_proj.weight    C C
    transformer.h.{i}.attn.k_proj.weight    C C
    transformer.h.{i}.attn.v_proj.weight    C C
    transformer.h.{i}.attn.out_proj.weight  C C
    transformer.h.{i}.mlp.fc_in.weight      F C
    transformer.h.{i}.mlp.fc_in.bias        F
    transformer.h.{i}.mlp.fc_out.weight     C F
    transformer.h.{i}.mlp.fc_out.bias       C
""")

_GPTNEOX = _table("""
    gpt_neox.embed_in.weight                                  V C
    gpt_neox.final_layer_norm.weight                          C
    gpt_neox.final_layer_norm.bias                            C
    embed_out.weight                                          V C
    gpt_neox.layers.{i}.input_layernorm.weight                C
    gpt_neox.layers.{i}.input_layernorm.bias                  C
    gpt_neox.layers.{i}.post_attention_layernorm.weight       C
    gpt_neox.layers.{i}.post_attention_layernorm.bias         C
    gpt_neox.layers.{i}.attention.query_key_value.weight      3*C C
    gpt_neox.layers.{i}.attention.query_key_value.bias        3*C
    gpt_neox.layers.{i}.attention.dense.weight                C C
    gpt_neox.layers.{i}.attention.dense.bias                  C
    gpt_neox.layers.{i}.mlp.dense_h_to_4h.weight              F C
    gpt_neox.layers.{i}.mlp.dense_h_to_4h.bias                F
    gpt_neox.layers.{i}.mlp.dense_4h_to_h.weight              C F
    gpt_neox.layers.{i}.mlp.dense_4h_to_h.bias                C
""")

_MPT = _table("""
    transformer.wte.weight                                    V C
    transformer.norm_f.weight                                 C
    transformer.blocks.{i}.norm_1.weight                      C
    transformer.blocks.{i}.attn.Wqkv.weight                   3*C C
    transformer.blocks.{i}.attn.out_proj.weight               C C
    transformer.blocks.{i}.norm_2.weight                      C
    transformer.blocks.{i}.ffn.up_proj.weight                 F C
    transformer.blocks.{i}.ffn.down_proj.weight               C F
""")

_FALCON_REST = """
    transformer.word_embeddings.weight                        V C
    transformer.ln_f.weight                                   C
    transformer.ln_f.bias                                     C
    lm_head.weight                                            V C
    transformer.h.{i}.self_attention.query_key_value.weight   QKV C
    transformer.h.{i}.self_attention.dense.weight             C C
    transformer.h.{i}.mlp.dense_h_to_4h.weight                F C
    transformer.h.{i}.mlp.dense_4h_to_h.weight                C F
"""
_ONE_NORM = """
    transformer.h.{i}.input_layernorm.weight                  C
    transformer.h.{i}.input_layernorm.bias                    C
"""
_TWO_NORMS = """
    transformer.h.{i}.ln_attn.weight                          C
    transformer.h.{i}.ln_attn.bias                            C
    transformer.h.{i}.ln_mlp.weight                           C
    transformer.h.{i}.ln_mlp.bias                             C
"""

_RWKV = _table("""
    emb.weight                              V C
    blocks.0.ln0.weight                     C
    blocks.0.ln0.bias                       C
    blocks.{i}.ln1.weight                   C
    blocks.{i}.ln1.bias                     C
    blocks.{i}.att.time_decay               C
    blocks.{i}.att.time_first               C
    blocks.{i}.att.time_mix_k               C
    blocks.{i}.att.time_mix_v               C
    blocks.{i}.att.time_mix_r               C
    blocks.{i}.att.key.weight               C C
    blocks.{i}.att.value.weight             C C
    blocks.{i}.att.receptance.weight        C C
    blocks.{i}.att.output.weight            C C
    blocks.{i}.ln2.weight                   C
    blocks.{i}.ln2.bias                     C
    blocks.{i}.ffn.time_mix_k               C
    blocks.{i}.ffn.time_mix_r               C
    blocks.{i}.ffn.key.weight               F C
    blocks.{i}.ffn.receptance.weight        C C
    blocks.{i}.ffn.value.weight             C F
    ln_out.weight                           C
    ln_out.bias                             C
    head.weight                             V C
""")

_GGML, _LLAMA_KINDS = ("ggml",), ("ggmf", "ggjt")
_LLAMA_FIELDS = ("n_vocab", "n_embd", "n_mult", "n_head", "n_layer", "n_rot", "ftype")
_GPT2_FIELDS = ("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "ftype")
_NEOX_FIELDS = ("n_vocab", "n_ctx", "n_embd", "n_head", "n_layer", "n_rot", "par_res", "ftype")
_MPT_FIELDS = ("d_model", "max_seq_len", "n_heads", "n_layers", "n_vocab")
_FALCON_FIELDS = ("n_vocab", "n_embd", "n_head", "n_head_kv", "n_layer", "n_falcon_type", "ftype")


def _gpt2(architecture: str, rows: str, variant: str) -> Layout:
    tensors = _table(_GPT2.replace("QKV", rows))
    return Layout(architecture, _GGML, _GPT2_FIELDS, "counted", tensors, variant)


def _falcon(kinds: tuple[str, ...], fields: tuple[str, ...], words: Words, rows: str) -> list[Layout]:
    rest = _FALCON_REST.replace("QKV", rows)
    return [
        Layout("falcon", kinds, fields, words, _table(_ONE_NORM + rest), "one norm a layer"),
        Layout("falcon", kinds, fields, words, _table(_TWO_NORMS + rest), "two norms a layer"),
    ]


LAYOUTS: tuple[Layout, ...] = (
    Layout("llama", _GGML, _LLAMA_FIELDS, "plain", _LLAMA),
    Layout("llama", _GGML, _LLAMA_FIELDS, "plain", _LLAMA, "one word fewer than n_vocab", unsaid=1),
    Layout("llama", _LLAMA_KINDS, _LLAMA_FIELDS, "scored", _LLAMA),
    _gpt2("gpt2", "3*C", ""),
    _gpt2("starcoder", "C+2*D", "one key head"),
    Layout("gptj", _GGML, (*_GPT2_FIELDS[:-1], "n_rot", "ftype"), "counted", _GPTJ),
    Layout("gptneox", _GGML, _NEOX_FIELDS, "plain", _GPTNEOX),
    Layout("gptneox", _GGML, (*_NEOX_FIELDS[:-2], "ftype"), "plain", _GPTNEOX, "before par_res"),
    Layout("mpt", _GGML, (*_MPT_FIELDS, "~alibi_bias_max", "~clip_qkv", "ftype"), "plain", _MPT),
    Layout("replit", _GGML, (*_MPT_FIELDS, "ftype"), "scored", _MPT),
    Layout(
        "replit",
        _GGML,
        ("alibi_bias_max", "d_model", "max_seq_len", "mlp_ratio", "n_heads", "n_layers", "n_vocab", "ftype"),
        "scored",
        _MPT,
        "with alibi_bias_max",
    ),
    *_falcon(_GGML, ("n_vocab", "n_embd", "n_head", "n_layer", "ftype"), "plain", "C+2*D"),
    *_falcon(_GGML, ("n_vocab", "n_embd", "n_head", "n_head_kv", "n_layer", "ftype"), "plain", "C+2*K*D"),
    *_falcon(_GGML, _FALCON_FIELDS, "plain", "C+2*K*D"),
    *_falcon(("ggmf", "ggjt"), _FALCON_FIELDS, "scored", "C+2*K*D"),
    *_falcon(("ggcc",), (*_FALCON_FIELDS, "n_bpe_merges"), "scored", "C+2*K*D"),
    Layout("rwkv", ("rwkv",), ("n_vocab", "n_embd", "n_layer", "ftype"), "none", _RWKV),
)
