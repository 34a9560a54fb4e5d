"""Which tensor has which type in a file of a kind."""

from __future__ import annotations

from collections import Counter

import pytest

from furet.dtypes import TensorType
from furet.errors import BadRequest
from furet.measure.mixes import ALSO, MIXES, find_mix
from furet.measure.random_model import random_tensors
from furet.measure.shapes import SHAPES, find_shape
from furet.measure.vocabulary import byte_vocabulary

T = TensorType


def types(shape: str, mix: str) -> dict[str, TensorType]:
    sizes = find_shape(shape)
    metadata = {**sizes.metadata, **byte_vocabulary(sizes.vocab)}
    return {tensor.name: tensor.type for tensor in random_tensors(sizes, find_mix(mix), metadata)}


def test_a_file_that_people_have() -> None:
    """SmolLM2-135M as Q4_1, tensor by tensor: its rows of 576 leave the head in Q8_0."""
    found = types("135m", "q4_1")
    assert found.pop("token_embd.weight") is T.Q8_0
    assert Counter(found.values()) == {T.Q4_1: 210, T.F32: 61}


def test_a_mix_favours_the_ends_and_every_third_layer() -> None:
    found = types("7b", "q4_k_m")
    favoured = [i for i in range(32) if found[f"blk.{i}.ffn_down.weight"] is T.Q6_K]
    assert favoured == [0, 1, 2, 3, 6, 9, 12, 15, 18, 21, 24, 27, 28, 29, 30, 31]
    assert favoured == [i for i in range(32) if found[f"blk.{i}.attn_v.weight"] is T.Q6_K]
    assert found["output.weight"] is T.Q6_K and found["token_embd.weight"] is T.Q4_K
    assert found["blk.0.attn_q.weight"] is T.Q4_K and found["blk.0.attn_norm.weight"] is T.F32


def test_rows_of_no_whole_blocks_fall_back() -> None:
    found = types("135m", "q4_k_m")
    assert found["blk.5.attn_q.weight"] is T.Q5_0 and found["blk.5.ffn_down.weight"] is T.Q6_K
    assert types("135m", "q5_k_m")["blk.5.attn_v.weight"] is T.Q8_0
    assert types("135m", "q3_k_s")["blk.5.attn_v.weight"] is T.Q4_0
    assert types("135m", "iq4_xs")["blk.5.attn_q.weight"] is T.IQ4_NL


@pytest.mark.parametrize(
    ("mix", "expected"),
    [
        ("q2_k", {"attn_v": T.Q4_K, "ffn_down": T.Q3_K, "attn_output": T.Q3_K, "attn_q": T.Q2_K}),
        ("q3_k_m", {"attn_v": T.Q4_K, "ffn_down": T.Q4_K, "attn_output": T.Q4_K, "attn_q": T.Q3_K}),
        ("q3_k_l", {"attn_v": T.Q5_K, "ffn_down": T.Q5_K, "attn_output": T.Q5_K, "attn_q": T.Q3_K}),
        ("iq4_xs", {"attn_v": T.Q5_K, "ffn_down": T.IQ4_XS, "attn_q": T.IQ4_XS}),
        ("q4_k_s", {"attn_v": T.Q4_K, "ffn_down": T.Q4_K}),
        ("mxfp4", {"attn_v": T.MXFP4, "ffn_down": T.MXFP4}),
    ],
)
def test_the_rules_of_a_middle_layer(mix: str, expected: dict[str, TensorType]) -> None:
    found = types("8b", mix)  # four query heads to a head of keys
    assert {name: found[f"blk.16.{name}.weight"] for name in expected} == expected


def test_every_name_stands_for_something() -> None:
    for name in [*MIXES, *ALSO, "Q4_K_M"]:
        assert find_mix(name)
    with pytest.raises(BadRequest, match="no type 'q7_k'"):
        find_mix("q7_k")


@pytest.mark.parametrize("shape", SHAPES)
def test_widths_are_whole_blocks(shape: str) -> None:
    """No matrix of a known shape falls back as far as F16."""
    assert T.F16 not in types(shape, "q4_k_m").values()
