"""Hugging Face's configurations, old and new, in full and with gaps; and what files of GGUF leave unsaid."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from parity.checkpoint import cases, save, stored, write_safetensors

from furet.convert.hugging_face import open_folder
from furet.errors import ModelFileError, UnsupportedModel
from furet.families import find_model_type, read_model
from furet.families.hugging_face import Words
from furet.ops import trace
from furet.ops.instructions import Attention, Rotate

Config = dict[str, Any]
SIZES = {
    "hidden_size": 64, "num_hidden_layers": 8, "num_attention_heads": 4, "intermediate_size": 96, "vocab_size": 97,
    "max_position_embeddings": 4096, "rms_norm_eps": 1e-6,
}  # fmt: skip
FACTORS = {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
SLIDING, FULL = "sliding_attention", "full_attention"

# model type -> an old configuration, and a new one of the same model
STYLES: dict[str, tuple[Config, Config]] = {
    "gemma": ({"hidden_act": "gelu", "rope_theta": 1e4}, {"rope_parameters": {"rope_theta": 1e4}}),
    "gemma2": ({}, {"layer_types": [SLIDING, FULL] * 4, "query_pre_attn_scalar": 256, "sliding_window": 4096}),
    "gemma3_text": (
        {"rope_scaling": {"factor": 8.0, "rope_type": "linear"}},
        {
            "rope_parameters": {
                FULL: {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
                SLIDING: {"rope_type": "default", "rope_theta": 1e4},
            },
            "layer_types": [SLIDING] * 5 + [FULL] + [SLIDING] * 2,
            "_sliding_window_pattern": 6,
            "sliding_window": 4096,
            "head_dim": 256,
            "num_key_value_heads": 4,
            "query_pre_attn_scalar": 256,
            "attn_logit_softcapping": None,
        },
    ),
    "phi3": (
        {"rope_scaling": {"type": "su", **FACTORS}, "original_max_position_embeddings": 2048, "rope_theta": 1e4},
        {
            "rope_parameters": {
                "rope_type": "longrope", **FACTORS, "original_max_position_embeddings": 2048, "rope_theta": 1e4,
                "partial_rotary_factor": 1.0,
            },
            "original_max_position_embeddings": 2048,
        },
    ),
    "smollm3": ({"rope_theta": 5e6}, {"rope_parameters": {"rope_theta": 5e6}, "no_rope_layers": [1, 1, 1, 0] * 2}),
    "qwen3_moe": ({"num_experts": 8}, {"num_local_experts": 8, "norm_topk_prob": False, "mlp_only_layers": []}),
}  # fmt: skip


def keys_of(model_type: str, config: Config) -> Config:
    """GGUF's keys for a configuration, all of whose words are understood."""
    family = find_model_type(model_type)
    words = Words({"model_type": model_type, **SIZES, **config}, family.words)
    keys = family.metadata(words)
    made = family.made(words)
    words.close()
    return keys | {name: values.tolist() for name, values in made.items()}


@pytest.mark.parametrize("model_type", STYLES)
def test_styles_of_a_configuration_say_the_same(model_type: str) -> None:
    old, new = STYLES[model_type]
    assert keys_of(model_type, old) == keys_of(model_type, new)


@pytest.mark.parametrize(
    ("model_type", "config", "message"),
    [
        ("qwen3", {"use_sliding_window": True}, "use_sliding_window is true, not false"),
        ("qwen3", {"attention_bias": True}, "attention_bias is true, not false"),
        ("gemma", {"hidden_act": "relu"}, 'hidden_act is "relu", not "gelu_pytorch_tanh" or "gelu"'),
        ("gemma", {"use_bidirectional_attention": True}, "use_bidirectional_attention is true"),
        ("gemma2", {"attn_logit_softcapping": None}, "attn_logit_softcapping is null"),
        ("gemma2", {"layer_types": [FULL] * 8}, "layer_types is not one full_attention after 1 sliding"),
        ("gemma3_text", {"layer_types": [SLIDING] * 8}, "layer_types is not one full_attention after 5 sliding"),
        ("gemma3_text", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping is 50.0, not null"),
        ("gemma3_text", {"rope_parameters": {SLIDING: {"rope_type": "yarn"}}}, "a window have scaled positions"),
        ("phi3", {"rope_scaling": {"type": "yarn", **FACTORS}}, "is yarn"),
        ("qwen2_moe", {"decoder_sparse_step": 2}, "decoder_sparse_step is 2, not 1"),
        ("qwen3_moe", {"mlp_only_layers": [0]}, "mlp_only_layers is [0], not []"),
        ("smollm3", {"no_rope_layer_interval": 2}, "no_rope_layers is not 0 for every layer number 4"),
        ("smollm3", {"no_rope_layers": [1, 1, 1, 1, 0, 1, 1, 1]}, "no_rope_layers is not 0"),
        ("smollm3", {"use_sliding_window": True}, "use_sliding_window is true"),
        ("openelm", {"normalize_qk_projections": False}, "normalize_qk_projections is false"),
    ],
)
def test_what_changes_the_answer_and_is_not_known_is_refused_by_name(
    model_type: str, config: Config, message: str
) -> None:
    own = {"model_dim": 64, "head_dim": 16, "ffn_multipliers": [1.0]} if model_type == "openelm" else {}
    with pytest.raises(UnsupportedModel) as caught:
        keys_of(model_type, own | config)
    assert message in str(caught.value)


@pytest.mark.parametrize("shares", [None, 4.0, [], [1.0, "2"], [float("inf")]])
def test_feed_forward_layers_of_an_openelm_must_be_numbers(shares: Any) -> None:
    with pytest.raises(ModelFileError):
        config = {"model_dim": 64, "head_dim": 16, "num_transformer_layers": 1, "ffn_multipliers": shares}
        keys = keys_of("openelm", config | {"num_query_heads": [2], "num_kv_heads": [1], "max_context_length": 64})
        read_model(tiny.model("openelm", keys=keys))


@pytest.mark.parametrize(
    ("style", "head"),
    [("language_model.model.", "language_model.lm_head."), ("model.language_model.", "lm_head.")],
)
def test_gemma_that_sees_images_is_read_for_its_text(tmp_path: Path, style: str, head: str) -> None:
    """Both orders of the words in its names are published; what sees is left out."""
    (plain := tmp_path / "plain").mkdir()
    (seeing := tmp_path / "seeing").mkdir()
    _, case = cases()["gemma3"]
    golden = stored("gemma3")
    weights = case.weights(golden.shapes)
    wrapped = {name.replace("model.", style, 1): array for name, array in weights.items()}
    image = {"vision_tower.x.weight": np.zeros(3, "f4"), "model.multi_modal_projector.y": np.zeros(2, "f4")}
    tied = {f"{head}weight": weights["model.embed_tokens.weight"]}
    write_safetensors(seeing / "model.safetensors", {**wrapped, **image, **tied})
    config = {"model_type": "gemma3", "text_config": golden.config, "vision_config": {"x": 1}, "boi_token_index": 5}
    (seeing / "config.json").write_text(json.dumps(config))
    one, other = open_folder(save("gemma3", plain), tokenizer=False), open_folder(seeing, tokenizer=False)
    assert {**one.metadata, "general.name": ""} == {**other.metadata, "general.name": ""}
    assert all((one.data(name) == other.data(name)).all() for name in one.tensors)
    assert set(other.tensors) - set(one.tensors) == {"output.weight"}


def test_scores_of_the_largest_gemmas_are_scaled_as_their_files_do_not_say() -> None:
    sizes = {"C": 96, "H": 4, "K": 2, "D": 16, "F": 32}
    for architecture, layers in {"gemma2": 46, "gemma3": 62}.items():
        assert read_model(tiny.model(architecture, L=layers, **sizes)).config.scale == pytest.approx(24**-0.5)
        assert read_model(tiny.model(architecture, L=layers - 1, **sizes)).config.scale == 0.25
        said = tiny.model(architecture, L=layers, keys={"attention.scale": 0.5}, **sizes)
        assert read_model(said).config.scale == 0.5


def test_windows_and_caps_of_an_early_gemma2_are_the_usual_ones() -> None:
    config = read_model(tiny.model("gemma2")).config
    assert (config.score_cap, config.logit_cap) == (50.0, 30.0)
    assert [config.window_of(layer) for layer in range(4)] == [4096, 0, 4096, 0]


def test_gemma3_rotates_by_another_base_where_it_looks_through_a_window() -> None:
    model = read_model(tiny.model("gemma3", L=7, keys={"attention.sliding_window": 512, "rope.freq_base": 1e6}))
    code = trace.trace(model.forward)
    assert [step.window for step in code if isinstance(step, Attention)] == [512] * 5 + [0, 512]
    assert [step.rope.base for step in code if isinstance(step, Rotate)] == [1e4] * 10 + [1e6] * 2 + [1e4] * 2


@pytest.mark.parametrize(("architecture", "usual"), [("llama", True), ("qwen2moe", False), ("qwen3moe", True)])
def test_weights_of_experts_add_up_to_one_as_is_usual_in_the_family(architecture: str, usual: bool) -> None:
    keys = {"expert_count": 4, "expert_used_count": 2}
    assert read_model(tiny.model(architecture, keys=keys)).config.normalise is usual


def test_phi3_chooses_its_factors_by_the_context() -> None:
    factors = ("rope_factors_short", "rope_factors_long")
    keys = {"rope.scaling.original_context_length": 128, "rope.dimension_count": 8}
    model = read_model(tiny.model("phi3", optional=factors, keys=keys))
    for context, wanted in {128: "rope_factors_short.weight", 129: "rope_factors_long.weight"}.items():
        model.context = context
        used = {step.factors.name for step in trace.trace(model.forward) if isinstance(step, Rotate) and step.factors}
        assert used == {wanted}
