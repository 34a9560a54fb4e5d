"""The tensor table: how it reads, and that a file which differs from it is told so in full."""

from __future__ import annotations

import dataclasses
import re

import pytest
import tiny

from furet.dtypes import TensorType
from furet.errors import ModelFileError, UnsupportedModel
from furet.families import find_family, known_architectures, read_model
from furet.families.tensors import table


def test_a_line_in_full() -> None:
    (row,) = table("""
        name                  hugging face                                     shape  floor
        blk.{i}.attn_q.bias?  model.layers.{i}.self_attn.q_proj.bias|pairs:H   H*D    f32
    """)
    assert (row.name, row.hugging_face) == ("blk.{i}.attn_q.bias", ("model.layers.{i}.self_attn.q_proj.bias",))
    assert (row.reshape, row.axis, row.group) == ("pairs", "H", "")
    assert (row.attribute, row.shape, row.floor, row.optional) == (
        "attn_q_bias",
        ("H*D",),
        TensorType.F32,
        True,
    )


def test_weight_is_understood_and_any_floor_is_none() -> None:
    (row,) = table("name hf shape floor\n token_embd  model.embed_tokens  V C  any")
    assert (row.name, row.hugging_face, row.attribute) == (
        "token_embd.weight",
        ("model.embed_tokens.weight",),
        "token_embd",
    )
    assert (row.shape, row.floor, row.optional, row.per_layer) == (("V", "C"), None, False, False)


@pytest.mark.parametrize("architecture", known_architectures())
def test_tables_name_each_tensor_once(architecture: str) -> None:
    rows = find_family(architecture).tensors
    stored = [(row.hugging_face, row.reshape) for row in rows if row.hugging_face]
    for names in ([row.name for row in rows], [(row.group, row.attribute) for row in rows], stored):
        assert len(set(names)) == len(names)


def test_weights_are_found_by_their_names() -> None:
    made = tiny.model("qwen2", L=3)
    weights = read_model(made).weights
    assert weights.blk[2].ffn_down is made.tensors["blk.2.ffn_down.weight"]
    assert weights.blk[0].attn_k_bias is made.tensors["blk.0.attn_k.bias"]
    assert weights.output is made.tensors["output.weight"]
    assert read_model(tiny.model("qwen2", optional=())).weights.output is None


def test_missing_tensor_is_named_with_the_shape_it_should_have() -> None:
    made = tiny.model("llama")
    del made.tensors["blk.1.attn_k.weight"]
    with pytest.raises(ModelFileError) as caught:
        read_model(made, "m.gguf")
    assert str(caught.value).startswith(
        "m.gguf: tensor blk.1.attn_k.weight: is missing, wanted [32, 64]: K*D C with "
        "C = 64 (llama.embedding_length), K = 2 (llama.attention.head_count_kv), "
        "D = 16 (llama.attention.key_length, by default), L = 2 (llama.block_count)\n\nhint: "
    )


def test_wrong_shape_is_told_with_the_keys_it_contradicts() -> None:
    made = tiny.model("llama")
    made.tensors["output_norm.weight"] = dataclasses.replace(made.tensors["output_norm.weight"], shape=(65,))
    message = "tensor output_norm.weight: is [65], wanted [64]: C with C = 64 (llama.embedding_length)"
    with pytest.raises(ModelFileError, match=re.escape(message)):
        read_model(made)


def test_transposed_and_flattened_shapes_are_wrong() -> None:
    for shape in ((64, 97), (97 * 64,), (97, 64, 1), ()):
        made = tiny.model("llama")
        made.tensors["token_embd.weight"] = tiny.TinyTensor("token_embd.weight", TensorType.F32, shape)
        with pytest.raises(ModelFileError, match="token_embd"):
            read_model(made)


def test_tensor_that_the_family_does_not_have_is_refused() -> None:
    """A gate of experts, or a layer more than is counted: to leave it out would change the answer."""
    made = tiny.model("llama")
    made.tensors["blk.2.attn_norm.weight"] = made.tensors["blk.1.attn_norm.weight"]
    made.tensors["blk.0.ffn_gate_inp.weight"] = made.tensors["blk.0.ffn_gate.weight"]
    with pytest.raises(
        UnsupportedModel, match=r"blk\.2\.attn_norm\.weight \[64\] \(and 1 more\) has no place"
    ):
        read_model(made)


def test_a_claim_of_many_layers_costs_nothing() -> None:
    made = tiny.model("llama")
    made.metadata["llama.block_count"] = 1000
    with pytest.raises(ModelFileError, match=r"blk\.2\.attn_norm\.weight: is missing"):
        read_model(made)
