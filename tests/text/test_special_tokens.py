"""Special tokens in text, BOS and EOS, and which tokens end an answer."""

from __future__ import annotations

import numpy as np
import pytest
from vocabularies import CONTROL, NORMAL, SPECIALS, USER_DEFINED, byte_level, sentencepiece

from furet.errors import BadRequest, ModelFileError
from furet.text.specials import SpecialTokens


def test_names_become_tokens_only_where_asked_for(made):
    tokenizer = made(byte_level())
    text = "<|im_start|>user\nhi<|im_end|>"
    ids = tokenizer.encode(text)
    assert ids[0] == SPECIALS.index("<|im_start|>")
    assert ids[-1] == SPECIALS.index("<|im_end|>")
    plain = tokenizer.encode(text, parse_special=False)
    assert not set(plain) & set(range(len(SPECIALS)))
    assert tokenizer.decode(plain) == text
    assert tokenizer.decode(ids) == "user\nhi"
    assert tokenizer.decode(ids, skip_special=False) == text


def test_user_defined_tokens_are_found_either_way_and_shown(made):
    tokenizer = made(byte_level())
    tool = byte_level()["tokenizer.ggml.tokens"].index("<tool>")
    for special in (True, False):
        ids = tokenizer.encode("a<tool>b", parse_special=special)
        assert tool in ids
        assert tokenizer.decode(ids) == "a<tool>b"


def test_unused_tokens_are_never_found_nor_shown(made):
    tokenizer = made(byte_level())
    unused = tokenizer.vocab_size - 1
    assert tokenizer.token_bytes(unused) == b"[PAD0]"
    assert unused not in tokenizer.encode("[PAD0]")
    assert tokenizer.decode([unused]) == ""
    assert tokenizer.decode([unused], skip_special=False) == "[PAD0]"


def test_the_longest_name_wins_and_searching_goes_on_behind_it():
    specials = SpecialTokens({"<a>": 1, "<a><b>": 2, "b": 3, "<": 4})
    assert list(specials.cut("<a><b>b<x")) == [2, 3, 4, "x"]
    assert list(specials.cut("<a>x")) == [1, "x"]
    assert list(specials.cut("")) == []
    assert list(SpecialTokens({}).cut("any")) == ["any"]
    assert list(SpecialTokens({"]": 1, "^": 2, "\\": 3}).cut("]^\\-")) == [1, 2, 3, "-"]


def test_bos_and_eos_are_added_once(made):
    tokenizer = made(byte_level(add_bos_token=True, add_eos_token=True))
    bos, eos = tokenizer.bos_id, tokenizer.eos_id
    inner = tokenizer.encode("hi", add_special=False)
    assert tokenizer.encode("hi") == [bos, *inner, eos]
    assert tokenizer.encode(f"{tokenizer.bos}hi{tokenizer.eos}") == [bos, *inner, eos]
    assert tokenizer.encode("") == [bos, eos]
    typed = tokenizer.encode(tokenizer.bos, parse_special=False)
    assert typed[0] == bos
    assert len(typed) > 3


def test_files_that_do_not_say_follow_their_family(made):
    def adds(metadata):
        tokenizer = made(metadata)
        return tokenizer.add_bos, tokenizer.add_eos

    assert adds(byte_level("llama-bpe", add_bos_token=None)) == (True, False)
    assert adds(byte_level("qwen2", add_bos_token=None)) == (False, False)
    assert adds(byte_level("llama-bpe", add_bos_token=None, bos_token_id=None)) == (False, False)
    assert adds(sentencepiece()) == (True, False)


def test_asking_for_a_bos_that_is_not_named_is_an_error(made):
    with pytest.raises(ModelFileError) as caught:
        made(byte_level(add_bos_token=True, bos_token_id=None))
    assert caught.value.field == "tokenizer.ggml.add_bos_token"


def test_stop_tokens_come_from_keys_and_from_texts(made):
    metadata = byte_level(eos_token_id=20, eot_token_id=21)
    assert made(metadata).stop_ids == {0, 2, 20, 21}  # <|endoftext|>, <|im_end|>
    assert made(sentencepiece()).stop_ids == {2}


def test_a_stop_token_called_normal_is_a_control_token_all_the_same(made):
    metadata = byte_level()
    metadata["tokenizer.ggml.token_type"][2] = NORMAL
    tokenizer = made(metadata)
    assert 2 in tokenizer.stop_ids
    assert tokenizer.encode("<|im_end|>") == [2]
    assert tokenizer.decode([2]) == ""


def test_a_name_that_merging_makes_is_found_like_any_other(made):
    """Qwen's vocabulary has "</s>" by ordinary merges; llama.cpp makes it a control token, and so do we."""
    metadata = byte_level("bloom")
    tokens, merges = metadata["tokenizer.ggml.tokens"], list(metadata["tokenizer.ggml.merges"])
    for left, right in (("<", "/"), ("s", ">"), ("</", "s>")):
        tokens.append(left + right)
        metadata["tokenizer.ggml.token_type"].append(NORMAL)
        merges.append(f"{left} {right}")
    metadata["tokenizer.ggml.merges"] = merges
    tokenizer = made(metadata)
    (token,) = tokenizer.encode("</s>")
    assert token == len(tokens) - 1
    assert token in tokenizer.stop_ids
    assert tokenizer.decode([token]) == ""


def test_end_of_a_part_is_no_stop_where_the_model_has_ends_of_its_own(made):
    """In the harmony format <|end|> closes a part of an answer, not the answer."""
    texts = ["<|end|>", "<|return|>", "<|call|>"]
    metadata = byte_level()
    first = len(metadata["tokenizer.ggml.tokens"])
    metadata["tokenizer.ggml.tokens"] += texts
    metadata["tokenizer.ggml.token_type"] += [CONTROL] * 3
    assert made(metadata).stop_ids & {first, first + 1, first + 2} == {first + 1, first + 2}


def test_half_a_surrogate_pair_is_refused(made):
    with pytest.raises(BadRequest, match=r"U\+D83D, at position 2"):
        made(byte_level()).encode("ab\ud83d")


@pytest.mark.parametrize("token", [-1, 10**6])
def test_ids_outside_the_vocabulary_are_refused(made, token):
    tokenizer = made(byte_level())
    for call in (tokenizer.token_bytes, lambda token: tokenizer.decode([token])):
        with pytest.raises(BadRequest, match="outside the vocabulary"):
            call(token)


def test_numbers_of_numpy_are_ids_too(made):
    tokenizer = made(byte_level())
    ids = np.array(tokenizer.encode("The ferret"), np.int32)
    assert tokenizer.decode(ids) == "The ferret"


def test_user_defined_names_of_absurd_length_are_refused(made):
    metadata = byte_level()
    metadata["tokenizer.ggml.tokens"].append("x" * 300)
    metadata["tokenizer.ggml.token_type"].append(USER_DEFINED)
    with pytest.raises(ModelFileError, match="300 characters"):
        made(metadata)
