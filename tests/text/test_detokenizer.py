"""Decoding one token at a time gives whole characters, and in the end the text of all tokens."""

from __future__ import annotations

import random

import pytest
from vocabularies import CORPUS, byte_level, sentencepiece


@pytest.mark.parametrize("metadata", [byte_level(), sentencepiece()], ids=["byte-level", "sentencepiece"])
@pytest.mark.parametrize("options", [{}, {"skip_special": False}, {"continuing": True}], ids=str)
def test_pieces_join_to_the_text_of_all_tokens(made, metadata, options):
    """Random tokens, so mostly halves of characters in impossible orders."""
    tokenizer, rng = made(metadata), random.Random(7)
    for _ in range(400):
        ids = [rng.randrange(tokenizer.vocab_size) for _ in range(rng.randint(1, 12))]
        ids = [rng.randrange(3, 262) for _ in ids] if rng.random() < 0.5 else ids
        detokenizer = tokenizer.detokenizer(**options)
        pieces = [detokenizer.push(token) for token in ids]
        assert "".join(pieces) + detokenizer.flush() == tokenizer.decode(ids, **options)
        visible = b"".join(map(tokenizer.token_bytes, ids))
        if options == {"skip_special": False} and not tokenizer.vocabulary.rules.space_prefix:
            assert tokenizer.decode(ids, **options) == visible.decode("utf-8", "replace")


@pytest.mark.parametrize("metadata", [byte_level(), sentencepiece()], ids=["byte-level", "sentencepiece"])
def test_no_piece_holds_half_a_character(made, metadata):
    tokenizer = made(metadata)
    for text in [*CORPUS, "👩‍👩‍👧‍👦 日本語 ж", "\U0010ffff"]:
        detokenizer = tokenizer.detokenizer()
        pieces = [detokenizer.push(token) for token in tokenizer.encode(text)]
        assert "\ufffd" not in "".join(pieces)
        assert "".join(pieces) == text
        assert detokenizer.flush() == ""


def test_a_character_comes_with_its_last_byte(made):
    tokenizer = made(byte_level())
    detokenizer = tokenizer.detokenizer()
    halves = [int(token) for token in tokenizer.vocabulary.byte_ids[list("é".encode())]]
    assert [detokenizer.push(token) for token in halves] == ["", "é"]


def test_what_cannot_become_a_character_is_replaced_at_once_and_the_rest_at_the_end(made):
    tokenizer = made(byte_level())
    byte = tokenizer.vocabulary.byte_ids.tolist()
    detokenizer = tokenizer.detokenizer()
    assert detokenizer.push(byte[0xE2]) == ""
    assert detokenizer.push(byte[ord("a")]) == "\ufffda"
    assert detokenizer.push(byte[0xFF]) == "\ufffd"
    assert detokenizer.push(byte[0xF0]) == ""
    assert detokenizer.flush() == "\ufffd"
    assert detokenizer.flush() == ""


def test_the_space_of_the_first_word_is_the_tokenizers_own(made):
    tokenizer = made(sentencepiece())
    the = tokenizer.encode("the", add_special=False)
    detokenizer = tokenizer.detokenizer()
    assert "".join(map(detokenizer.push, [1, *the, *the])) == "the the"
    assert "".join(map(tokenizer.detokenizer(continuing=True).push, the)) == " the"
