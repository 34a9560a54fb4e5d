"""SentencePiece's own files against what SentencePiece makes of fuzzed strings (benchmarks/tokenizer_goldens.py)."""

from __future__ import annotations

import json
import lzma
import random
import struct
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from tokenizer_fuzz import strings
from vocabularies import CONTROL, NORMAL, UNKNOWN, USER_DEFINED, named

from furet.errors import FuretError, ModelFileError, UnsupportedModel
from furet.text.charsmap import CHARSMAP, Trie
from furet.text.sentencepiece_file import sentencepiece_metadata

DATA = Path(__file__).parent / "data"
GOLDEN = json.loads((DATA / "sentencepiece.json").read_text())
FORMS = ("unigram", "unigram-bytes", "bpe", "bpe-bytes")
PIECES = ["<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁a", "aba", "<tool>"]
TYPES = [UNKNOWN, CONTROL, CONTROL, *[NORMAL] * 6, USER_DEFINED]


@lru_cache
def model(form: str) -> bytes:
    return lzma.decompress((DATA / f"{form}.model.xz").read_bytes())


def unigram(**keys):
    scores = [0, 0, 0, -2, -3, -3, -4, -4, -5, 0]
    found = {"model": "t5", "tokens": PIECES, "token_type": TYPES, "scores": scores, "add_eos_token": False}
    return named(found | keys)


@pytest.mark.parametrize("form", FORMS)
def test_tokens_are_those_of_sentencepiece(made, form):
    tokenizer = made(sentencepiece_metadata(model(form)))
    for text, wanted in zip(strings(GOLDEN["count"], GOLDEN["seed"]), GOLDEN[form], strict=True):
        assert tokenizer.encode(text, parse_special=False, add_special=False) == wanted, repr(text)


@pytest.mark.parametrize("form", FORMS)
def test_the_library_agrees_on_other_strings(made, form):
    """Where `sentencepiece` is installed."""
    sentencepiece = pytest.importorskip("sentencepiece")
    tokenizer = made(sentencepiece_metadata(model(form)))
    reference = sentencepiece.SentencePieceProcessor(model_proto=model(form))
    for text in strings(200, seed=form):
        assert tokenizer.encode(text, parse_special=False, add_special=False) == reference.encode(text), repr(text)


def test_the_best_cut_wins_and_runs_of_unknown_are_one(made):
    tokenizer = made(unigram(add_space_prefix=True, unknown_token_id=0))
    pieces = [[tokenizer.token_bytes(token).decode() for token in tokenizer.encode(text)] for text in ("ab", "xyab")]
    assert pieces == [[" ", "ab"], [" ", "<unk>", "ab"]]
    assert tokenizer.encode("") == []


def test_user_defined_pieces_neither_begin_nor_end_a_text(made):
    tokenizer = made(unigram(add_space_prefix=True, unknown_token_id=0))
    assert tokenizer.encode("a<tool>a") == [7, 9, 4]
    assert tokenizer.encode("a</s>a") == [7, 2, 7]


def test_spaces_are_squeezed_where_the_file_says_so(made):
    loose = made(unigram())
    tight = made(unigram(remove_extra_whitespaces=True))
    assert tight.encode("  a   b ") == loose.encode("a b")
    assert loose.encode("a  b") != loose.encode("a b")


def test_no_text_gives_a_control_token(made):
    tokenizer = made(unigram(unknown_token_id=0))
    assert not {1, 2} & set(tokenizer.encode("<s></s><s", parse_special=False))


def test_what_the_file_says_of_itself():
    metadata = sentencepiece_metadata(model("unigram-bytes"))
    kind = {key.removeprefix("tokenizer.ggml."): value for key, value in metadata.items()}
    assert (kind["model"], kind["add_space_prefix"], kind["remove_extra_whitespaces"]) == ("t5", False, False)
    assert [kind[f"{name}_token_id"] for name in ("unknown", "bos", "eos")] == [0, 1, 2]
    assert "padding_token_id" not in kind
    assert kind["tokens"][3:5] == ["<0x00>", "<0x01>"]
    assert kind["token_type"][:4].tolist() == [2, 3, 3, 6]
    assert CHARSMAP in sentencepiece_metadata(model("unigram"))
    assert sentencepiece_metadata(model("bpe"))["tokenizer.ggml.model"] == "llama"


def test_a_very_long_text_takes_no_quadratic_time(made):
    tokenizer = made(unigram())
    assert len(tokenizer.encode("ab" * 30_000)) == 30_000


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x00",
        b"not a protocol buffer",
        b"\x0a\xff\xff\xff\xff\x0f",  # a piece of 4 GiB
        b"\x0a" + b"\xff" * 12,  # a length that does not end
        b"\x0b",  # a group, which nothing uses
        b"\x0a\x02\x0a\x05",  # a piece whose text is longer than the piece
        b"\x0a\x04\x0a\x02\xff\xfe\x12\x02\x18\x01",  # not UTF-8
        b"\x0a\x03\x0a\x01a",  # no trainer
        b"\x12\x02\x18\x01",  # no pieces
    ],
)
def test_damaged_files_are_refused(content):
    with pytest.raises(ModelFileError):
        sentencepiece_metadata(content)


def test_kinds_that_are_no_subwords_are_not_supported():
    with pytest.raises(UnsupportedModel, match="type 4"):
        sentencepiece_metadata(b"\x0a\x03\x0a\x01a\x12\x02\x18\x04")


def test_random_damage_gives_a_tokenizer_or_a_typed_error(made):
    rng = random.Random(11)
    refused = 0
    for _ in range(60):
        content = bytearray(model(rng.choice(FORMS)))
        for _ in range(rng.randint(1, 30)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        del content[rng.randrange(len(content)) if rng.random() < 0.3 else len(content) :]
        try:
            tokenizer = made(sentencepiece_metadata(bytes(content)))
        except FuretError:
            refused += 1
        else:
            tokenizer.decode(tokenizer.encode("The ferret ﬁ Å ｶﾞ \U0001f600"))
    assert refused > 20


@pytest.mark.parametrize(
    "table",
    [
        b"\x01",
        struct.pack("<I", 0) + b"ab",
        struct.pack("<I", 2**32 - 1) + bytes(16),
        struct.pack("<I", 7) + bytes(16),
        struct.pack("<I", 8) + bytes(4),
        bytes(5 << 20),
    ],
)
def test_damaged_tables_of_normalisation_are_refused(made, table):
    with pytest.raises(ModelFileError) as caught:
        made(unigram(precompiled_charsmap=np.frombuffer(table, np.uint8)))
    assert caught.value.field == CHARSMAP


def test_no_table_leads_outside_or_makes_a_text_of_a_character():
    rng = np.random.default_rng(2)
    for _ in range(300):
        units = rng.integers(0, 2**32, 64, np.uint32) & rng.choice([0xFFFFFFFF, 0x3FF, 0x1FFFF])
        trie = Trie(struct.pack("<I", 256) + units.astype("<u4").tobytes() + b"x" * 3000 + b"\0")
        for text in ("a", "é", "日本", "\U0001f600x", "\x00"):
            end, found = trie.longest(text.encode(), 0)
            assert 0 < end <= len(text.encode())
            assert len(found) <= 256
