"""Checkpoints as they were published, before transformers gave keys and tensors the names of today.

Each stands for the same model as a case of tests/parity, and must be seen as the same GGUF file.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from parity.checkpoint import cases, save, stored, write_safetensors
from tiny import TinyModel

from furet.convert.hugging_face import open_folder
from furet.convert.seen import SeenModel
from furet.errors import ModelFileError, UnsupportedModel
from furet.families import read_model
from furet.ops import reference
from furet.ops.trace import trace

GPT2 = {
    "activation_function": "gelu_new", "attn_pdrop": 0.1, "embd_pdrop": 0.1, "resid_pdrop": 0.1, "bos_token_id": 96,
    "eos_token_id": 96, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "n_embd": 64, "n_head": 4, "n_layer": 2,
    "n_positions": 256, "summary_activation": None, "summary_first_dropout": 0.1, "summary_proj_to_labels": True,
    "summary_type": "cls_index", "summary_use_proj": True, "vocab_size": 97,
    "task_specific_params": {"text-generation": {"do_sample": True, "max_length": 50}},
}  # fmt: skip
FALCON = {
    "alibi": False, "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0, "bias": False,
    "bos_token_id": 11, "eos_token_id": 11, "hidden_dropout": 0.0, "hidden_size": 64, "initializer_range": 0.02,
    "layer_norm_epsilon": 1e-05, "multi_query": True, "n_head": 4, "n_layer": 2, "parallel_attn": True,
    "torch_dtype": "bfloat16", "use_cache": True, "vocab_size": 97,
}  # fmt: skip
MPT = {
    "alibi": True, "alibi_bias_max": 8, "attn_clip_qkv": 1.5, "attn_impl": "torch", "attn_pdrop": 0,
    "attn_qk_ln": False, "attn_uses_sequence_id": False, "d_model": 96, "emb_init_std": None,
    "emb_init_uniform_lim": None,
    "emb_pdrop": 0, "embedding_fraction": 1.0, "fan_mode": "fan_in", "init_device": "cpu", "init_div_is_residual": True,
    "init_gain": 0, "init_nonlinearity": "relu", "init_std": 0.02, "logit_scale": None,
    "low_precision_layernorm": True, "max_seq_len": 256, "mlp_ratio": 4, "model_type": "mpt", "n_heads": 4,
    "n_layers": 2, "no_bias": True, "param_init_fn": "kaiming_normal_", "prefix_lm": False, "resid_pdrop": 0,
    "softmax_scale": None, "tokenizer_name": "replit", "use_cache": False, "verbose": 0, "vocab_size": 97,
}  # fmt: skip
NEOX = {
    "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "gelu", "hidden_size": 64, "initializer_range": 0.02,
    "intermediate_size": 96, "layer_norm_eps": 1e-05, "max_position_embeddings": 256, "model_type": "gpt_neox",
    "num_attention_heads": 4, "num_hidden_layers": 2, "rotary_emb_base": 10000, "rotary_pct": 0.25,
    "tie_word_embeddings": False, "torch_dtype": "float16", "use_cache": True, "use_parallel_residual": True,
    "vocab_size": 97, "custom_pipelines": {"text-generation": {"impl": "instruct_pipeline.InstructPipeline"}},
}  # fmt: skip
BLOOM = {
    "apply_residual_connection_post_layernorm": False, "attention_dropout": 0.0, "attention_softmax_in_fp32": True,
    "bias_dropout_fusion": True, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 3, "unk_token_id": 0,
    "hidden_dropout": 0.0, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05, "masked_softmax_fusion": True,
    "model_type": "bloom", "n_embed": 96, "n_inner": None, "n_layer": 2, "num_attention_heads": 4, "offset_alibi": 100,
    "pretraining_tp": 2, "seq_length": 2048, "skip_bias_add": True, "skip_bias_add_qkv": False, "use_cache": False,
    "vocab_size": 97,
}  # fmt: skip
STABLELM = {
    "bos_token_id": 0, "eos_token_id": 0, "hidden_act": "silu", "hidden_size": 64, "initializer_range": 0.02,
    "intermediate_size": 96, "max_position_embeddings": 256, "model_type": "stablelm_epoch", "norm_eps": 1e-05,
    "num_attention_heads": 4, "num_heads": 4, "num_hidden_layers": 2, "num_key_value_heads": 4, "rope_pct": 0.25,
    "rope_theta": 10000, "rotary_scaling_factor": 1.0, "tie_word_embeddings": False, "vocab_size": 97,
}  # fmt: skip
PUBLISHED: dict[str, dict[str, Any]] = {
    "gpt2": {**GPT2, "model_type": "gpt2", "n_ctx": 256},
    "gptj": {**GPT2, "model_type": "gptj", "rotary": True, "rotary_dim": 8, "scale_attn_weights": True},
    "starcoder": {
        **GPT2, "model_type": "gpt_bigcode", "activation_function": "gelu_pytorch_tanh", "multi_query": True,
        "attention_softmax_in_fp32": True, "inference_runner": 0, "scale_attention_softmax_in_fp32": True,
        "pre_allocate_kv_cache": False, "runner_max_sequence_length": None, "validate_runner_input": True,
    },
    "falcon": {**FALCON, "model_type": "RefinedWebModel", "max_position_embeddings": 256},
    "falcon far": {**FALCON, "model_type": "RefinedWeb", "n_head_kv": 2, "max_position_embeddings": 2100},
    "mpt": MPT,
    "gptneox": NEOX,
    "bloom": BLOOM,
    "stablelm": STABLELM,
}  # fmt: skip
BUFFERS = ("attn.bias", "attn.masked_bias", "attention.rotary_emb.inv_freq")


def renamed(name: str) -> str:
    """A tensor as models without their head had it."""
    return name.removeprefix("transformer.").removeprefix("model.")


def same_model(seen: SeenModel, wanted: SeenModel) -> None:
    usual = {f"{wanted.metadata['general.architecture']}.rope.freq_base": 10_000.0}  # where no file says otherwise
    one, other = ({**usual, **model.metadata, "general.name": ""} for model in (seen, wanted))
    assert one == other
    assert seen.tensors.keys() == wanted.tensors.keys()
    for name in seen.tensors:
        np.testing.assert_array_equal(seen.data(name), wanted.data(name), err_msg=name)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_form_is_the_same_model(name: str, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    _, case = cases()[name]
    weights = case.weights(stored(name).shapes)
    layer = "gpt_neox.layers.0" if name == "gptneox" else "h.0"
    buffers = {f"{layer}.{buffer}": np.zeros((1, 1, 4, 4), np.float32) for buffer in BUFFERS}
    write_safetensors(tmp_path / "model.safetensors", {renamed(k): v for k, v in weights.items()} | buffers)
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED[name]))
    wanted = open_folder(save(name, tmp_path / "new"), tokenizer=False)
    with wanted, open_folder(tmp_path, tokenizer=False) as seen:
        same_model(seen, wanted)


def fused(model: SeenModel) -> TinyModel:
    """The same model with queries, keys and values of a layer in one matrix, as in the first GGUF files of Phi."""
    made = TinyModel(dict(model.metadata))
    for name, tensor in model.tensors.items():
        parts = [name]
        if ".attn_q." in name:
            parts = [name.replace("attn_q", f"attn_{part}") for part in "qkv"]
            name = name.replace("attn_q", "attn_qkv")
        if ".attn_k." not in name and ".attn_v." not in name:
            rows = sum(model.tensors[part].shape[0] for part in parts)
            blocks = np.concatenate([model.data(part) for part in parts])
            made.put(name, tensor.type, (rows, *tensor.shape[1:]), blocks)
    return made


def test_phi_of_one_matrix_is_phi_of_three(tmp_path: Path) -> None:
    with open_folder(save("phi2", tmp_path), tokenizer=False) as source:
        one = fused(source)
        logits = [
            reference.step(read_model(file).forward, reference.decoder(file), [1, 2, 3], [(reference.Cache(), 3)])
            for file in (source, one)
        ]
        np.testing.assert_allclose(*logits, rtol=0, atol=1e-12)
        del one.tensors["blk.0.attn_qkv.weight"]
        with pytest.raises(ModelFileError, match=r"attn_q\.weight"):
            trace(read_model(one).forward)


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "falcon-rw": ("falcon", {**PUBLISHED["falcon"], "alibi": True}),
    "its layers": ("falcon", {**PUBLISHED["falcon"], "parallel_attn": False}),
    "santacoder": ("gpt2", {**PUBLISHED["gpt2"], "attention_head_type": "multiquery"}),
    "mistral's gpt-2": ("gpt2", {**PUBLISHED["gpt2"], "scale_attn_by_inverse_layer_idx": True}),
    "quick gelu": ("gpt2", {**PUBLISHED["gpt2"], "activation_function": "quick_gelu"}),
    "prefix": ("mpt", {**MPT, "prefix_lm": True}),
    "a norm's output": ("bloom", {**BLOOM, "apply_residual_connection_post_layernorm": True}),
    "an unknown key of attention": ("mpt", {**MPT, "attn_config": {"attn_temperature": 2.0}}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_option_that_changes_the_result_is_refused_by_name(what: str, tmp_path: Path) -> None:
    name, config = REFUSED[what]
    save(name, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    changed = {key for key, value in config.items() if PUBLISHED[name].get(key) != value}
    with pytest.raises(UnsupportedModel, match="attn_temperature" if "attn_config" in changed else changed.pop()):
        open_folder(tmp_path, tokenizer=False)


@pytest.mark.parametrize("value", [None, "64", 0, 1.5, [64]])
@pytest.mark.parametrize(("name", "key"), [("gpt2", "n_embd"), ("gptneox", "hidden_size"), ("mpt", "d_model")])
def test_size_that_is_no_number_is_an_error(name: str, key: str, value: object, tmp_path: Path) -> None:
    save(name, tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({**PUBLISHED[name], key: value}))
    with pytest.raises(ModelFileError, match=key):
        open_folder(tmp_path, tokenizer=False)
