"""Tensors and header fields of old GGML files in GGUF's words.

    old name                             GGUF name         how

{i} counts layers; a name without .weight or .bias stands for both. `thirds` says that the rows of q, k and v
alternate head by head in the old file, and follow each other as a whole in GGUF. The rows of LLaMA's q and k
are in Meta's order, which is GGUF's too.

RWKV-4 has no names in GGUF. Its tensors are called as those of RWKV-6 are where they mean the same:

    time_mix_lerp_k, _v, _r     att.time_mix_k, _v, _r: share of the current token
    time_mix_first              att.time_first: bonus of the current token
    time_mix_decay              -exp(att.time_decay): what is added to the exponent with every token, negative.
                                rwkv.cpp keeps it so, and taking a logarithm would not give the same bits back
    channel_mix_lerp_k, _r      ffn.time_mix_k, _r
    token_embd_norm             blocks.0.ln0

Source: the tensor names of the gguf package; converters of llama.cpp for the families of these files.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from furet.errors import UnsupportedModel
from furet.files.ggml import GGML

EPSILON = 1e-5  # of every layer norm here; the files do not say
RWKV = "rwkv4"


@dataclass(frozen=True)
class Name:
    """One line of a table."""

    old: re.Pattern[str]
    new: str
    thirds: bool


def _table(text: str) -> tuple[Name, ...]:
    names = []
    for line in filter(str.strip, text.splitlines()):
        old, new, *how = line.split()
        pattern = re.escape(old).replace(r"\{i\}", r"(?P<i>[0-9]+)")
        if not old.endswith((".weight", ".bias")) and not new.endswith((".weight", ".bias")):
            pattern += r"(?P<end>\.weight|\.bias)"
            new += "{end}"
        names.append(Name(re.compile(pattern), new, how == ["thirds"]))
    return tuple(names)


_LLAMA = _table("""
    tok_embeddings                       token_embd
    norm                                 output_norm
    output                               output
    layers.{i}.attention_norm            blk.{i}.attn_norm
    layers.{i}.attention.wq              blk.{i}.attn_q
    layers.{i}.attention.wk              blk.{i}.attn_k
    layers.{i}.attention.wv              blk.{i}.attn_v
    layers.{i}.attention.wo              blk.{i}.attn_output
    layers.{i}.ffn_norm                  blk.{i}.ffn_norm
    layers.{i}.feed_forward.w1           blk.{i}.ffn_gate
    layers.{i}.feed_forward.w2           blk.{i}.ffn_down
    layers.{i}.feed_forward.w3           blk.{i}.ffn_up
""")

_GPT2 = _table("""
    model/wte                            token_embd.weight
    model/wpe                            position_embd.weight
    model/ln_f/g                         output_norm.weight
    model/ln_f/b                         output_norm.bias
    model/lm_head                        output.weight
    model/h{i}/ln_1/g                    blk.{i}.attn_norm.weight
    model/h{i}/ln_1/b                    blk.{i}.attn_norm.bias
    model/h{i}/attn/c_attn/w             blk.{i}.attn_qkv.weight
    model/h{i}/attn/c_attn/b             blk.{i}.attn_qkv.bias
    model/h{i}/attn/c_proj/w             blk.{i}.attn_output.weight
    model/h{i}/attn/c_proj/b             blk.{i}.attn_output.bias
    model/h{i}/ln_2/g                    blk.{i}.ffn_norm.weight
    model/h{i}/ln_2/b                    blk.{i}.ffn_norm.bias
    model/h{i}/mlp/c_fc/w                blk.{i}.ffn_up.weight
    model/h{i}/mlp/c_fc/b                blk.{i}.ffn_up.bias
    model/h{i}/mlp/c_proj/w              blk.{i}.ffn_down.weight
    model/h{i}/mlp/c_proj/b              blk.{i}.ffn_down.bias
""")

_GPTJ = _table("""
    transformer.wte                      token_embd
    transformer.ln_f                     output_norm
    lm_head                              output
    transformer.h.{i}.ln_1               blk.{i}.attn_norm
    transformer.h.{i}.attn.q_proj        blk.{i}.attn_q
    transformer.h.{i}.attn.k_proj        blk.{i}.attn_k
    transformer.h.{i}.attn.v_proj        blk.{i}.attn_v
    transformer.h.{i}.attn.out_proj      blk.{i}.attn_output
    transformer.h.{i}.mlp.fc_in          blk.{i}.ffn_up
    transformer.h.{i}.mlp.fc_out         blk.{i}.ffn_down
""")

_GPTNEOX = _table("""
    gpt_neox.embed_in                                token_embd
    gpt_neox.final_layer_norm                        output_norm
    embed_out                                        output
    gpt_neox.layers.{i}.input_layernorm              blk.{i}.attn_norm
    gpt_neox.layers.{i}.post_attention_layernorm     blk.{i}.ffn_norm
    gpt_neox.layers.{i}.attention.query_key_value    blk.{i}.attn_qkv     thirds
    gpt_neox.layers.{i}.attention.dense              blk.{i}.attn_output
    gpt_neox.layers.{i}.mlp.dense_h_to_4h            blk.{i}.ffn_up
    gpt_neox.layers.{i}.mlp.dense_4h_to_h            blk.{i}.ffn_down
""")

_MPT = _table("""
    transformer.wte                      token_embd
    transformer.norm_f                   output_norm
    transformer.blocks.{i}.norm_1        blk.{i}.attn_norm
    transformer.blocks.{i}.attn.Wqkv     blk.{i}.attn_qkv
    transformer.blocks.{i}.attn.out_proj  blk.{i}.attn_output
    transformer.blocks.{i}.norm_2        blk.{i}.ffn_norm
    transformer.blocks.{i}.ffn.up_proj   blk.{i}.ffn_up
    transformer.blocks.{i}.ffn.down_proj  blk.{i}.ffn_down
""")

_FALCON = _table("""
    transformer.word_embeddings                       token_embd
    transformer.ln_f                                  output_norm
    lm_head                                           output
    transformer.h.{i}.input_layernorm                 blk.{i}.attn_norm
    transformer.h.{i}.ln_mlp                          blk.{i}.attn_norm
    transformer.h.{i}.ln_attn                         blk.{i}.attn_norm_2
    transformer.h.{i}.self_attention.query_key_value  blk.{i}.attn_qkv
    transformer.h.{i}.self_attention.dense            blk.{i}.attn_output
    transformer.h.{i}.mlp.dense_h_to_4h               blk.{i}.ffn_up
    transformer.h.{i}.mlp.dense_4h_to_h               blk.{i}.ffn_down
""")

_RWKV = _table("""
    emb                                  token_embd
    blocks.0.ln0                         token_embd_norm
    blocks.{i}.ln1                       blk.{i}.attn_norm
    blocks.{i}.ln2                       blk.{i}.attn_norm_2
    blocks.{i}.att.time_decay            blk.{i}.time_mix_decay.weight
    blocks.{i}.att.time_first            blk.{i}.time_mix_first.weight
    blocks.{i}.att.time_mix_k            blk.{i}.time_mix_lerp_k.weight
    blocks.{i}.att.time_mix_v            blk.{i}.time_mix_lerp_v.weight
    blocks.{i}.att.time_mix_r            blk.{i}.time_mix_lerp_r.weight
    blocks.{i}.att.key                   blk.{i}.time_mix_key
    blocks.{i}.att.value                 blk.{i}.time_mix_value
    blocks.{i}.att.receptance            blk.{i}.time_mix_receptance
    blocks.{i}.att.output                blk.{i}.time_mix_output
    blocks.{i}.ffn.time_mix_k            blk.{i}.channel_mix_lerp_k.weight
    blocks.{i}.ffn.time_mix_r            blk.{i}.channel_mix_lerp_r.weight
    blocks.{i}.ffn.key                   blk.{i}.channel_mix_key
    blocks.{i}.ffn.receptance            blk.{i}.channel_mix_receptance
    blocks.{i}.ffn.value                 blk.{i}.channel_mix_value
    ln_out                               output_norm
    head                                 output
""")

_NAMES = {
    **{"llama": _LLAMA, "gpt2": _GPT2, "starcoder": _GPT2, "gptj": _GPTJ, "gptneox": _GPTNEOX},
    **{"mpt": _MPT, "replit": _MPT, "falcon": _FALCON, "rwkv": _RWKV},
}


def gguf_name(architecture: str, old: str) -> tuple[str, bool]:
    """(GGUF's name of a tensor, whether its rows are `thirds`)."""
    for name in _NAMES[architecture]:
        found = name.old.fullmatch(old)
        if found:
            return name.new.format(**found.groupdict()), name.thirds
    raise AssertionError(f"{old} is in the layout of {architecture}, but not here")


def gguf_architecture(file: GGML) -> str:
    """GGUF's name of the architecture.

    StarCoder with its key head repeated is a GPT-2 in all but its vocabulary; replit's model is an MPT.
    """
    if file.architecture == "starcoder" and file.variant != "one key head":
        return "gpt2"
    return {"replit": "mpt", "rwkv": RWKV}.get(file.architecture, file.architecture)


def hyperparameters(file: GGML) -> dict[str, Any]:
    """The keys of the architecture, without its name in front."""
    axes = file.axes
    keys: dict[str, Any] = {
        "block_count": axes["L"],
        "embedding_length": axes["C"],
        "feed_forward_length": axes["F"],
        "vocab_size": axes["V"],
    }
    if "H" in axes:
        keys["attention.head_count"] = axes["H"]
    if "X" in axes:
        keys["context_length"] = axes["X"]
    if file.architecture != "llama":
        keys["attention.layer_norm_epsilon"] = EPSILON
    keys |= _special(file.architecture, axes, file.header, file)
    return {key: _as_stored(value) if isinstance(value, float) else value for key, value in keys.items()}


def _as_stored(value: float) -> float:
    """The float32 that a GGUF file would keep, so that both give the same logits."""
    stored: float = struct.unpack("<f", struct.pack("<f", value))[0]
    return stored


def _special(
    architecture: str, axes: Mapping[str, int], header: Mapping[str, int | float], file: GGML
) -> dict[str, Any]:
    if architecture == "llama":
        return _llama_keys(file)
    if architecture in ("gptj", "gptneox"):
        _require_rotation(file, int(header["n_rot"]))
        keys: dict[str, Any] = {"rope.dimension_count": int(header["n_rot"])}
        if architecture == "gptneox":
            keys["use_parallel_residual"] = bool(header.get("par_res", 1))
        return keys
    if architecture == "falcon":
        return {"attention.head_count_kv": axes["K"], "context_length": 2048, "tensor_data_layout": "jploski"}
    if architecture in ("mpt", "replit"):
        bias = float(header.get("alibi_bias_max", 8.0))
        clamp = float(header.get("clip_qkv", 0.0))
        return {"attention.max_alibi_bias": bias} | ({"attention.clamp_kqv": clamp} if clamp else {})
    if architecture == "rwkv":
        return {"context_length": 1024, "attention.head_count": 0}
    if gguf_architecture(file) == "starcoder":
        return {"attention.head_count_kv": 1}
    return {}


def _llama_keys(file: GGML) -> dict[str, Any]:
    """What the header leaves open: LLaMA 2 came in the days of ggjt v3, and only its 70B shares keys.

    All LLaMA 1 has epsilon 1e-6 and 2048 tokens, LLaMA 2 has 1e-5 and 4096. For a file that may be of either,
    5e-6 and 2048 are taken, as llama.cpp did.
    """
    axes = file.axes
    kv_heads, rest = divmod(axes["N"], axes["D"])
    if rest or axes["H"] % kv_heads:
        raise UnsupportedModel(f"{file.path}: {axes['N']} rows of keys do not make heads of {axes['D']}")
    context, epsilon = (2048, 5e-6) if file.generation == "ggjt v3" else (2048, 1e-6)
    if kv_heads != axes["H"]:
        context, epsilon = 4096, 1e-5
    return {
        "context_length": context,
        "attention.head_count_kv": kv_heads,
        "attention.layer_norm_rms_epsilon": epsilon,
        "rope.dimension_count": axes["D"],
    }


def _require_rotation(file: GGML, n_rot: int) -> None:
    if not 0 < n_rot <= file.axes["D"] or n_rot % 2:
        raise UnsupportedModel(f"{file.path}: n_rot is {n_rot}, wanted an even number up to {file.axes['D']}")
