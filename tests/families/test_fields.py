"""Reading a configuration: what is typed, ranged, refused, and how the errors read."""

from __future__ import annotations

from typing import Any

import pytest

from furet.errors import ModelFileError, UnsupportedModel
from furet.families.fields import MOST, Fields


def fields(**keys: Any) -> Fields:
    return Fields({f"llama.{key}": value for key, value in keys.items()}, "llama", path="m.gguf")


def test_message_has_file_key_got_and_wanted() -> None:
    with pytest.raises(ModelFileError) as caught:
        fields(block_count=-1).integer("block_count")
    assert str(caught.value) == f"m.gguf: llama.block_count: is -1, wanted 0 to {MOST}"


@pytest.mark.parametrize("value", [True, 1.5, "30", None, 2**70])
def test_integer_refuses_what_is_none(value: Any) -> None:
    with pytest.raises(ModelFileError, match=r"llama\.n"):
        fields(n=value).integer("n")


@pytest.mark.parametrize("value", [True, 0.0, -1e-5, float("nan"), float("inf"), "1e-5"])
def test_number_refuses_what_is_none_or_no_use(value: Any) -> None:
    with pytest.raises(ModelFileError, match=r"llama\.eps"):
        fields(eps=value).number("eps")


def test_missing_key_is_named_and_a_default_stands_in() -> None:
    with pytest.raises(ModelFileError, match=r"llama\.n: is missing"):
        fields().integer("n")
    assert (fields().integer("n", 7), fields().number("x", 2), fields().text("s", "t")) == (7, 2.0, "t")


def test_value_per_layer_is_not_taken_for_a_value() -> None:
    with pytest.raises(UnsupportedModel, match=r"llama\.n has a value per layer"):
        fields(n=[1, 2, 3]).integer("n")


def test_expect_refuses_another_value_but_not_a_missing_key() -> None:
    fields(n=0).expect("n", 0, "not here")
    fields().expect("n", 0, "not here")
    with pytest.raises(UnsupportedModel, match=r"m\.gguf: llama\.n is 8: not here"):
        fields(n=8).expect("n", 0, "not here")


def test_keys_that_nobody_read_are_named_when_it_closes() -> None:
    f = fields(n=1, logit_scale=0.5, vocab_size=3, **{f"other{i}": i for i in range(4)})
    f.integer("n")
    with pytest.raises(
        UnsupportedModel, match=r"llama\.logit_scale, llama\.other0, llama\.other1 and 2 more"
    ):
        f.close()


def test_keys_of_other_namespaces_and_ignored_ones_need_not_be_read() -> None:
    metadata = {"general.name": "x", "tokenizer.ggml.model": "gpt2", "llama.note": 1, "llamas.n": 1}
    Fields(metadata, "llama", {"note": "a remark"}).close()


def test_hostile_values_are_cut_short_in_messages() -> None:
    with pytest.raises(ModelFileError) as caught:
        fields(n="x" * 100_000).integer("n")
    assert len(str(caught.value)) < 200


def test_vocabulary_is_the_token_list_or_else_the_key() -> None:
    listed = Fields({"tokenizer.ggml.tokens": ["a", "b"], "llama.vocab_size": 3}, "llama")
    assert listed.vocabulary() == 2 and listed.axes["V"].origin == "the length of tokenizer.ggml.tokens"
    assert fields(vocab_size=3).vocabulary() == 3
    for wrong in ([], "ab", 5):
        with pytest.raises(ModelFileError, match="list of tokens"):
            Fields({"tokenizer.ggml.tokens": wrong}, "llama").vocabulary()
