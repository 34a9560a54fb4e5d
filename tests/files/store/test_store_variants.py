"""Reading encodings, shards and sidecars from file names as quantisers write them."""

from __future__ import annotations

import pytest

from furet.files.store.variants import PREFERENCE, choose, encoding, variants


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("SmolLM2-135M-Instruct.Q4_1.gguf", "Q4_1"),
        ("qwen2.5-coder-0.5b-instruct-q4_k_m.gguf", "Q4_K_M"),
        ("qwen2.5-coder-7b-instruct-q4_0-00001-of-00002.gguf", "Q4_0"),
        ("sub/Model-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
        ("Model.i1-IQ2_XXS.gguf", "IQ2_XXS"),
        ("model-fp16.gguf", "F16"),
        ("Q8_0/model-bf16.gguf", "BF16"),
        ("gpt-oss-20b-MXFP4.gguf", "MXFP4"),
        ("model-Q4_0_4_8.gguf", "Q4_0_4_8"),
        ("Q4_K_M.gguf", "Q4_K_M"),
        ("Hermes-Q-model.gguf", ""),
    ],
)
def test_encoding_from_the_name(name, expected):
    assert encoding(name) == expected


def test_preference_then_name_then_sidecars_left_out():
    sidecars = [
        "mmproj-m-F16.gguf",
        "m-mmproj-Q4_K_M.gguf",
        "m-lora.gguf",
        "m-imatrix.gguf",
        "ggml-vocab-m.gguf",
    ]
    models = ["m-Q8_0.gguf", "m-Q2_K.gguf", "m-q4_k_m.gguf", "m.gguf"]
    names = [*sidecars, *models, "README.md", "m-Q4_K_M.safetensors"]
    assert [variant.files[0] for variant in variants(names)] == [
        "m-q4_k_m.gguf",
        "m-Q8_0.gguf",
        "m-Q2_K.gguf",
        "m.gguf",
    ]
    assert PREFERENCE[0] == "Q4_K_M"


def test_split_files_come_together_and_in_order():
    names = [f"m-Q4_0-0000{number}-of-00003.gguf" for number in (3, 1, 2)]
    (whole,) = variants(names)
    assert whole.files == tuple(sorted(names))
    assert variants(names[:2]) == []
    assert variants([*names[:2], "m-Q4_0-00004-of-00003.gguf"]) == []


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        ("", "m-Q4_K_S.gguf"),
        ("q8_0", "m-Q8_0.gguf"),
        ("Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        ("UD-Q4_K_XL", "m-UD-Q4_K_XL.gguf"),
        ("fancy", "m-Fancy.gguf"),
        ("F16", None),
        ("8_0", None),
    ],
)
def test_choosing(wanted, file):
    found = choose(variants(["m-Q8_0.gguf", "m-UD-Q4_K_XL.gguf", "m-Q4_K_S.gguf", "m-Fancy.gguf"]), wanted)
    assert (found and found.files[0]) == (file if wanted else "m-UD-Q4_K_XL.gguf")


def test_nothing_to_choose_from():
    assert choose([], "") is None
