"""Byte-level BPE against Hugging Face's own, which shares with ours only the patterns that cut words."""

from __future__ import annotations

import pytest
from tokenizer_fuzz import hugging_face, strings
from vocabularies import NORMAL, byte_level

from furet.errors import UnsupportedModel
from furet.text.pretokenizers import TABLE


@pytest.mark.parametrize("pre", [row.names.split()[0] for row in TABLE])
def test_every_pretokenizer_gives_the_tokens_of_tokenizers(made, pre):
    metadata = byte_level(pre)
    tokenizer, reference = made(metadata), hugging_face(metadata)
    for text in strings(60, seed=pre):
        for special in (True, False):
            ours = tokenizer.encode(text, parse_special=special, add_special=False)
            assert ours == reference(text, special), repr(text)
            assert tokenizer.decode(ours, skip_special=False) == text


def test_every_character_survives(made):
    tokenizer = made(byte_level())
    everything = "".join(chr(code) for code in range(0, 0x110000, 37) if not 0xD800 <= code < 0xE000)
    assert tokenizer.decode(tokenizer.encode(everything)) == everything


def test_patterns_differ_where_they_should(made):
    """Catches a table whose rows are mixed up: digits by one, by three, or in a run."""

    def pieces(pre, text):
        tokenizer = made(byte_level(pre))
        return [tokenizer.decode([token]) for token in tokenizer.encode(text)]

    assert pieces("smollm", "0000") == ["0", "0", "0", "0"]
    assert pieces("llama-bpe", "0000") == ["00", "0", "0"]  # cut in three and one
    assert pieces("gpt-2", "0000") == ["00", "00"]


def test_an_unknown_pretokenizer_is_named(made):
    with pytest.raises(UnsupportedModel, match="'marsian'") as caught:
        made(byte_level("marsian"))
    assert "qwen2" in caught.value.hint
    assert "smollm" in caught.value.hint


def test_no_pretokenizer_means_default(made):
    text = "It's 12345 x=1;  ok"
    assert made(byte_level(None)).encode(text) == made(byte_level("default")).encode(text)


def test_bytes_that_the_vocabulary_lacks_are_left_out_and_join_nothing(made):
    metadata = byte_level("gpt-2")
    tokens = metadata["tokenizer.ggml.tokens"]
    bell = tokens.index("\u0107")  # byte 7
    tokens[bell] = "something else"
    tokenizer = made(metadata)
    ids = tokenizer.encode("th\x07e")
    assert tokenizer.decode(ids) == "the"
    assert ids == tokenizer.encode("th", add_special=False) + tokenizer.encode("e", add_special=False)
    assert ids != tokenizer.encode("the")


def test_a_whole_word_is_its_token_where_the_model_wants_that(made):
    """Llama 3: a word in the vocabulary is that token, though no merges lead to it."""
    word = "zqzqz"
    added = {"tokens": [*byte_level()["tokenizer.ggml.tokens"], word]}
    added["token_type"] = [*byte_level()["tokenizer.ggml.token_type"], NORMAL]
    with_words, without = made(byte_level("llama-bpe", **added)), made(byte_level("qwen2", **added))
    assert with_words.encode(word, add_special=False) == [len(added["tokens"]) - 1]
    assert len(without.encode(word)) > 1


def test_the_first_of_two_equal_merges_counts(made):
    metadata = byte_level()
    merges = metadata["tokenizer.ggml.merges"]
    text = " ".join(["The ferret is a small species"] * 3)
    assert made({**metadata, "tokenizer.ggml.merges": [*merges, *merges[:100]]}).encode(text) == made(
        metadata
    ).encode(text)


def test_a_very_long_word_takes_no_quadratic_time(made):
    tokenizer = made(byte_level("gpt-2"))
    assert tokenizer.decode(tokenizer.encode("ab" * 50_000)) == "ab" * 50_000
