"""Compare old GGML files, converted to GGUF, with llama.cpp and with Hugging Face's models of the same weights.

    python benchmarks/old_ggml_parity.py [--folder DIR]

Small random files of every architecture are written from their description (tests/ggml_writer.py), seen as GGUF and
written so. llama.cpp loads the result; Hugging Face's class gets the values that went into the old file, put into
its own order by hand; furet runs the old file itself where it has the family. The last line is JSON: the largest
difference of logits from Hugging Face's, llama.cpp's in float16 matrices and furet's reference ops in float32.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import ggml_writer as writer

from furet.convert.old_ggml import OldModel, open_old_ggml
from furet.errors import UnsupportedModel
from furet.files.gguf import write_gguf

TOKENS = [5, 17, 200, 33, 9, 61, 120, 7, 250, 44]
C, F, V, L, H, X = 64, 256, writer.V, writer.L, writer.H, writer.X
D = C // H

Tensors = dict[str, torch.Tensor]
Logits = NDArray[np.float32]


def llama(t: Tensors) -> tuple[Any, Tensors]:
    """Rows of q and k go from pairs of neighbours to pairs of halves."""
    config = transformers.LlamaConfig(
        vocab_size=V, hidden_size=C, intermediate_size=F, num_hidden_layers=L, num_attention_heads=H,
        rms_norm_eps=5e-6,
    )  # fmt: skip
    words = {
        **{"tok_embeddings": "model.embed_tokens", "norm": "model.norm", "output": "lm_head"},
        **{"attention.wq": "self_attn.q_proj", "attention.wk": "self_attn.k_proj", "attention.wv": "self_attn.v_proj"},
        **{"attention.wo": "self_attn.o_proj", "feed_forward.w1": "mlp.gate_proj", "feed_forward.w3": "mlp.up_proj"},
        **{"feed_forward.w2": "mlp.down_proj", "attention_norm": "input_layernorm"},
        "ffn_norm": "post_attention_layernorm",
    }
    named = {}
    for name, tensor in t.items():
        base = name.removesuffix(".weight")
        layer = base.split(".")[1] if base.startswith("layers.") else ""
        rest = base.split(".", 2)[2] if layer else base
        if rest in ("attention.wq", "attention.wk"):
            tensor = tensor.reshape(H, D // 2, 2, C).transpose(1, 2).reshape(C, C)
        named[f"model.layers.{layer}.{words[rest]}.weight" if layer else f"{words[rest]}.weight"] = tensor
    return transformers.LlamaForCausalLM(config), named


def gpt2(t: Tensors, shared_keys: bool = False) -> tuple[Any, Tensors]:
    """Hugging Face's GPT-2 keeps its matrices transposed, GPTBigCode does not."""
    kind = transformers.GPTBigCodeConfig if shared_keys else transformers.GPT2Config
    config = kind(
        vocab_size=V, n_embd=C, n_inner=F, n_layer=L, n_head=H, n_positions=X, bos_token_id=0, eos_token_id=0
    )
    named = {"transformer.wte.weight": t["model/wte"], "lm_head.weight": t["model/wte"]}
    named["transformer.wpe.weight"] = t["model/wpe"]
    for name, tensor in t.items():
        if name.count("/") > 1:
            spelt = name.replace("model/h", "transformer.h.").replace("model/", "transformer.").replace("/", ".")
            spelt = spelt[:-2] + (".bias" if spelt.endswith(".b") else ".weight")
            named[spelt] = tensor.T if name.endswith("/w") and not shared_keys else tensor
    model = transformers.GPTBigCodeForCausalLM if shared_keys else transformers.GPT2LMHeadModel
    return model(config), named


def gptj(t: Tensors) -> tuple[Any, Tensors]:
    config = transformers.GPTJConfig(
        vocab_size=V, n_embd=C, n_inner=F, n_layer=L, n_head=H, n_positions=X, rotary_dim=8
    )
    return transformers.GPTJForCausalLM(config), t


def gptneox(t: Tensors) -> tuple[Any, Tensors]:
    config = transformers.GPTNeoXConfig(
        vocab_size=V, hidden_size=C, intermediate_size=F, num_hidden_layers=L, num_attention_heads=H,
        rotary_pct=0.25, use_parallel_residual=True, max_position_embeddings=X,
    )  # fmt: skip
    model = transformers.GPTNeoXForCausalLM(config)
    head = "lm_head" if hasattr(model, "lm_head") else "embed_out"
    return model, {name.replace("embed_out", head): tensor for name, tensor in t.items()}


def mpt(t: Tensors) -> tuple[Any, Tensors]:
    config = transformers.MptConfig(d_model=C, n_heads=H, n_layers=L, vocab_size=V, max_seq_len=X)
    return transformers.MptForCausalLM(config), {**t, "lm_head.weight": t["transformer.wte.weight"]}


def falcon(t: Tensors, kv_heads: int = 1) -> tuple[Any, Tensors]:
    """With several key heads, Hugging Face's rows are groups of queries, a key and a value each."""
    config = transformers.FalconConfig(
        vocab_size=V, hidden_size=C, num_hidden_layers=L, num_attention_heads=H, num_kv_heads=kv_heads,
        new_decoder_architecture=kv_heads > 1, multi_query=True, parallel_attn=True, bias=False, alibi=False,
        ffn_hidden_size=F, tie_word_embeddings=False,
    )  # fmt: skip
    named = dict(t)
    for name, tensor in t.items():
        if kv_heads > 1 and name.endswith("query_key_value.weight"):
            q, k, v = tensor.split([C, kv_heads * D, kv_heads * D])
            groups = [part.reshape(kv_heads, -1, D, C) for part in (q, k, v)]
            named[name] = torch.cat(groups, 1).reshape(-1, C)
    return transformers.FalconForCausalLM(config), named


def rwkv(t: Tensors) -> tuple[Any, Tensors]:
    """The old file has -exp(time_decay)."""
    config = transformers.RwkvConfig(
        vocab_size=V, hidden_size=C, attention_hidden_size=C, intermediate_size=F, num_hidden_layers=L,
        context_length=X, rescale_every=0, bos_token_id=0, eos_token_id=0,
    )  # fmt: skip
    words = {
        **{"emb.": "embeddings.", "ln0": "pre_ln", "att.": "attention.", "ffn.": "feed_forward."},
        **{"time_mix_k": "time_mix_key", "time_mix_v": "time_mix_value", "time_mix_r": "time_mix_receptance"},
    }
    named = {}
    for name, tensor in t.items():
        spelt = name
        for old, new in words.items():
            spelt = spelt.replace(old, new)
        tensor = tensor.reshape(1, 1, C) if "time_mix" in name else tensor
        tensor = torch.log(-tensor) if name.endswith("time_decay") else tensor
        named[spelt if name.startswith("head") else f"rwkv.{spelt}"] = tensor
    return transformers.RwkvForCausalLM(config), named


BUILDERS: dict[str, Callable[[Tensors], tuple[Any, Tensors]]] = {
    **{"llama": llama, "gpt2": gpt2, "starcoder": gpt2, "starcoder1": lambda t: gpt2(t, True), "gptj": gptj},
    **{"gptneox": gptneox, "mpt": mpt, "replit": mpt, "falcon": falcon, "falcon40": lambda t: falcon(t, 2)},
    "rwkv": rwkv,
}
OUR_OWN = ("gptj", "rwkv")  # llama.cpp has no runtime for them


def theirs(name: str, values: dict[str, writer.Values]) -> Logits:
    """Logits of Hugging Face's class. -> [T, V]"""
    model, tensors = BUILDERS[name]({key: torch.tensor(value) for key, value in values.items()})
    result = model.load_state_dict({key: value.contiguous() for key, value in tensors.items()}, strict=False)
    missing = [key for key in result.missing_keys if not key.endswith((".bias", "masked_bias")) or "mpt" not in name]
    assert not result.unexpected_keys, result.unexpected_keys
    assert not missing or name in ("mpt", "replit"), missing
    with torch.no_grad():
        found: Logits = model.eval()(torch.tensor([TOKENS])).logits[0].numpy()
    return found


def llama_cpp_logits(path: Path) -> Logits:
    """Logits of llama.cpp. -> [T, V]"""
    from llama_cpp import Llama

    model = Llama(str(path), logits_all=True, n_ctx=32, verbose=False)
    model.eval(TOKENS)
    return np.array(model.scores[: len(TOKENS)])


def our_logits(model: OldModel) -> Logits | None:
    """Logits of the reference ops, where there is a family. -> [T, V]"""
    from furet.families import read_model
    from furet.ops import reference

    try:
        family = read_model(model)
    except UnsupportedModel:
        return None
    rows = np.arange(len(TOKENS))
    step = [(reference.Cache(), len(TOKENS))]
    return np.asarray(reference.step(family.forward, reference.decoder(model), TOKENS, step, rows), np.float32)


def compare(name: str, folder: Path) -> dict[str, float | None]:
    """The largest differences from Hugging Face's logits."""
    made = writer.model(name, columns=C, ff=F)
    found: dict[str, float | None] = {"llama.cpp": None, "furet": None}
    for kind in ("F16", "F32"):
        values = writer.write(folder / f"{name}.bin", made, writer.generation_for(name), kind)
        wanted = theirs(name, values)
        with open_old_ggml(folder / f"{name}.bin") as model:
            if kind == "F32":
                ours = our_logits(model)
                found["furet"] = None if ours is None else float(np.abs(ours - wanted).max())
            elif name not in OUR_OWN:
                rows = [(info.name, info.type, info.shape, model.data(info.name)) for info in model.tensors.values()]
                write_gguf(folder / f"{name}.gguf", model.metadata, rows)
                found["llama.cpp"] = float(np.abs(llama_cpp_logits(folder / f"{name}.gguf") - wanted).max())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, help="keep the files here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.folder or Path(temporary)
        results = {name: compare(name, folder) for name in BUILDERS}
    for name, result in results.items():
        print(name, result)
    print(json.dumps(results))
    return 0 if all((value or 0) < 2e-2 for result in results.values() for value in result.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
