"""Whole models: which family runs what, what a file may say, and what it must not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny

from furet.errors import ModelFileError, UnsupportedModel
from furet.families import find_family, known_architectures, read_model
from furet.families.finite import check_finite
from furet.files.gguf import open_gguf
from furet.ops.rope import Rope


def test_families_are_found_by_looking_into_the_folder() -> None:
    assert {"llama", "qwen2"} <= set(known_architectures())
    assert all(
        architecture in find_family(architecture).architectures for architecture in known_architectures()
    )


@pytest.mark.parametrize("name", ["decoder", "os", "llama2", "", "../llama", "furet.families.llama"])
def test_unknown_architecture_is_looked_up_and_never_imported(name: str) -> None:
    with pytest.raises(UnsupportedModel, match="no family for") as caught:
        find_family(name)
    assert "llama" in caught.value.hint


@pytest.mark.parametrize("name", [None, 7, ["llama"]])
def test_architecture_must_be_a_name(name: Any) -> None:
    made = tiny.model("llama")
    made.metadata["general.architecture"] = name
    with pytest.raises(ModelFileError, match=r"general\.architecture"):
        read_model(made)


def test_configuration_of_a_llama() -> None:
    config = read_model(tiny.model("llama", keys={"rope.freq_base": 5e5})).config
    assert (config.layers, config.width, config.heads, config.kv_heads, config.head_dim) == (2, 64, 4, 2, 16)
    assert (config.ffn, config.vocab, config.context, config.window, config.scale) == (96, 97, 256, 0, 0.25)
    assert config.rope == Rope(5e5, 16, "interleaved")


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"attention.head_count_kv": 3}, ModelFileError, "is 3, wanted a divisor of 4 heads"),
        ({"attention.head_count": 0}, ModelFileError, "head_count: is 0, wanted 1 to"),
        ({"attention.head_count": 6}, ModelFileError, "is 64, wanted a multiple of 6 heads"),
        ({"attention.head_count": [4, 4]}, UnsupportedModel, "head_count has a value per layer"),
        ({"block_count": 10**6}, ModelFileError, "block_count: is 1000000, wanted 1 to 1000"),
        ({"embedding_length": 2**40}, ModelFileError, "embedding_length"),
        ({"context_length": 0}, ModelFileError, "context_length"),
        ({"attention.layer_norm_rms_epsilon": 0.0}, ModelFileError, "finite number above 0"),
        ({"attention.key_length": 15}, ModelFileError, "an even size, not 15"),
        (
            {"attention.value_length": 8},
            UnsupportedModel,
            "value_length is 8: values must be of the size of keys, 16",
        ),
        ({"attention.causal": False}, UnsupportedModel, "looks ahead"),
        ({"expert_count": 8, "expert_used_count": 2}, ModelFileError, "blk.0.ffn_gate_inp.weight: is missing"),
        ({"expert_count": 8, "expert_used_count": 9}, ModelFileError, "expert_used_count: is 9, wanted 1 to 8"),
        ({"rope.dimension_count": 32}, ModelFileError, "dimension_count: is 32, wanted 2 to 16"),
        ({"rope.freq_base": float("nan")}, ModelFileError, "freq_base: is nan"),
        ({"rope.freq_base": 1.0}, ModelFileError, "freq_base: is 1.0, wanted a number above 1"),
        (
            {"rope.scaling.type": "longrope"},
            UnsupportedModel,
            "scaling.type is 'longrope', not none, linear or yarn",
        ),
        ({"rope.scaling.type": "linear", "rope.scaling.factor": -2.0}, ModelFileError, "factor: is -2.0"),
        (
            {"rope.scaling.yarn_beta_fast": 16.0},
            UnsupportedModel,
            "no meaning is known for llama.rope.scaling.yarn",
        ),
        ({"logit_scale": 0.1}, UnsupportedModel, "no meaning is known for llama.logit_scale"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_what_a_file_must_not_say(keys: dict[str, Any], error: type[Exception], message: str) -> None:
    made = tiny.model("llama")
    made.metadata |= {f"llama.{key}": value for key, value in keys.items()}
    with pytest.raises(error) as caught:
        read_model(made)
    assert message in str(caught.value)


def test_scaling_of_positions_is_read() -> None:
    def rope(**keys: Any) -> Rope:
        return read_model(
            tiny.model("llama", keys={f"rope.{key}": value for key, value in keys.items()})
        ).config.rope

    assert rope(**{"scaling.type": "linear", "scaling.factor": 4.0}).factor == 4.0
    assert rope(scale_linear=2.0).factor == 2.0
    assert rope(**{"scaling.type": "none", "scaling.factor": 4.0}).factor == 1.0
    assert rope(**{"scaling.type": "yarn", "scaling.factor": 4.0}) == Rope(1e4, 16, "interleaved", 4.0, 256)
    long = {"scaling.type": "yarn", "scaling.factor": 4.0, "scaling.original_context_length": 64}
    assert rope(**long).yarn_context == 64


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", ["blk.1.ffn_norm.weight", "blk.0.attn_q.weight"])
def test_weights_that_are_not_numbers_are_refused(name: str, value: float) -> None:
    made = tiny.model("llama")
    check_finite(made)
    made.blocks[name] = made.blocks[name].copy()
    made.blocks[name].view(np.float32)[5] = value
    with pytest.raises(ModelFileError, match=rf"m\.gguf: tensor {name}: value 5 is -?(nan|inf)"):
        check_finite(made, "m.gguf")


def test_quantised_block_with_a_scale_of_nan_is_refused() -> None:
    made = tiny.model("llama", types="Q8_0")
    made.blocks["blk.0.ffn_up.weight"][:2] = np.array([np.nan], "<f2").view(np.uint8)
    with pytest.raises(ModelFileError, match=r"blk\.0\.ffn_up\.weight: value 0 is nan"):
        check_finite(made)


@pytest.mark.parametrize("architecture", ["llama", "qwen2"])
@pytest.mark.parametrize("byteorder", ["little", "big"])
def test_a_file_holds_what_was_in_memory(tmp_path: Path, architecture: str, byteorder: Any) -> None:
    made = tiny.model(architecture, types="Q8_0", tokenizer=True)
    path = tiny.write(tmp_path / "tiny.gguf", made, byteorder=byteorder)
    with open_gguf(path) as opened:
        model = read_model(opened, path)
        check_finite(opened, path)
        assert model.config.vocab == 261 and model.config.layers == 2
        assert set(opened.tensors) == set(made.tensors)
        assert all(opened.tensors[name].shape == tensor.shape for name, tensor in made.tensors.items())
