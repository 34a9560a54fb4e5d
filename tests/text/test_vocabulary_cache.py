"""The cache of built vocabularies: it changes nothing but the time, whatever is in it."""

from __future__ import annotations

import hashlib
import json
import os
import random
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from vocabularies import BYTE, CONTROL, CORPUS, NORMAL, UNKNOWN, byte_level, named, sentencepiece

from furet.text import cache
from furet.text.build import build_vocabulary
from furet.text.from_gguf import tokenizer_from_metadata
from furet.text.vocabulary import is_sound

METADATA = {
    "byte-level": byte_level(add_bos_token=True),
    "words": byte_level("llama-bpe"),
    "sentencepiece": sentencepiece(),
}


def stored(folder: Path) -> Path:
    (path,) = folder.glob("*.vocabulary")
    return path


@pytest.mark.parametrize("name", METADATA)
def test_what_is_loaded_is_what_was_built(tmp_path, name):
    built = build_vocabulary(METADATA[name])
    cache.save(tmp_path, "key", built)
    loaded = cache.load(tmp_path, "key")
    assert loaded.rules == built.rules
    assert loaded.text == built.text
    for part, twin in ((loaded, built), (loaded.merges, built.merges)):
        for field, value in vars(part).items():
            if isinstance(value, np.ndarray):
                np.testing.assert_array_equal(value, getattr(twin, field))
                assert value.dtype == getattr(twin, field).dtype


def test_the_second_time_nothing_is_built(tmp_path, monkeypatch):
    first = tokenizer_from_metadata(METADATA["byte-level"], cache_dir=tmp_path)
    monkeypatch.setattr("furet.text.from_gguf.build_vocabulary", lambda _: pytest.fail("built again"))
    second = tokenizer_from_metadata(METADATA["byte-level"], cache_dir=tmp_path)
    for text in CORPUS:
        assert second.encode(text) == first.encode(text)
    assert second.stop_ids == first.stop_ids


def test_every_key_of_the_tokenizer_counts_and_no_other(tmp_path):
    metadata = METADATA["byte-level"]
    key = cache.vocabulary_key(metadata)
    assert key == cache.vocabulary_key(
        {**metadata, "general.name": "another", "tokenizer.chat_template": "x"}
    )
    changed = {
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.bos_token_id": 0,
        "tokenizer.ggml.merges": metadata["tokenizer.ggml.merges"][:-1],
        "tokenizer.ggml.tokens": [*metadata["tokenizer.ggml.tokens"][:-1], "other"],
        "tokenizer.ggml.add_eos_token": True,
    }
    keys = {cache.vocabulary_key({**metadata, name: value}) for name, value in changed.items()}
    assert len(keys | {key}) == len(changed) + 1


def test_strings_that_join_to_the_same_text_have_different_keys():
    def key(*tokens):
        return cache.vocabulary_key({"tokenizer.ggml.tokens": list(tokens)})

    assert len({key("a', 'b"), key("a", "b"), key("ab"), key("a\0b"), key(b"a", b"b")}) == 5


@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "empty", "folder", "other key", "text"])
def test_a_damaged_file_is_built_again(tmp_path, damage):
    metadata, rng = METADATA["byte-level"], random.Random(11)
    wanted = tokenizer_from_metadata(metadata, cache_dir=tmp_path).encode(CORPUS[0])
    path = stored(tmp_path)
    data = path.read_bytes()
    for _ in range(40 if damage in ("flip", "cut") else 1):
        place = rng.randrange(len(data))
        if damage == "flip":
            path.write_bytes(
                data[:place] + bytes([data[place] ^ (1 << rng.randrange(8))]) + data[place + 1 :]
            )
        elif damage == "cut":
            path.write_bytes(data[:place])
        elif damage == "grow":
            path.write_bytes(data + b"\0")
        elif damage == "empty":
            path.write_bytes(b"")
        elif damage == "folder":
            path.unlink()
            path.mkdir()
        elif damage == "other key":
            (tmp_path / ("0" * 64 + ".vocabulary")).write_bytes(data)
            assert cache.load(tmp_path, "0" * 64) is None
        else:
            path.write_text("this is no vocabulary" * 10)
        if damage != "other key":
            assert cache.load(tmp_path, path.stem) is None
        assert tokenizer_from_metadata(metadata, cache_dir=tmp_path).encode(CORPUS[0]) == wanted


def forged(folder: Path, change) -> None:
    """Rewrite a cache file with a changed header or body and a checksum that fits."""
    path = stored(folder)
    magic, _, length = cache._PREAMBLE.unpack_from(path.read_bytes())
    body = bytearray(path.read_bytes()[cache._PREAMBLE.size :])
    header = json.loads(body[:length])
    header, rest = change(header, body[length:])
    text = json.dumps(header).encode()
    text = text.ljust(-(-len(text) // 8) * 8)
    path.write_bytes(cache._PREAMBLE.pack(magic, zlib.crc32(text + rest), len(text)) + text + rest)


def with_count(name: str, count: object):
    def change(header, rest):
        header["counts"][name] = count
        return header, rest

    return change


def with_rule(name: str, value: object):
    def change(header, rest):
        header["rules"][name] = value
        return header, rest

    return change


def with_index(offset: int):
    def change(header, rest):
        rest[offset : offset + 4] = b"\xfe\xff\xff\xff"
        return header, rest

    return change


FORGERIES = {
    "a count too large": with_count("starts", 10**9),
    "a count too small": with_count("starts", 3),
    "a count below zero": with_count("codes", -5),
    "a count that is none": with_count("merges.rights", "many"),
    "a count missing": lambda header, rest: ({**header, "counts": {}}, rest),
    "rules missing": lambda header, rest: ({"key": header["key"]}, rest),
    "a rule too many": with_rule("shell", "rm"),
    "a kind unheard of": with_rule("kind", "sorcery"),
    "a stop outside": with_rule("stop_ids", [10**6]),
    "a stop that is none": with_rule("stop_ids", ["x"]),
    "a BOS outside": with_rule("bos_id", -1),
    "a BOS missing that is to be added": with_rule("bos_id", None),
    "a flag that is none": with_rule("add_eos", "yes"),
    "a start outside": with_index(8),
    "no body": lambda header, rest: (header, b""),
    "a header of nothing": lambda header, rest: ([], rest),
    "a header too deep": lambda header, rest: ({"key": header["key"], "rules": {}, "counts": {}}, rest),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_file_is_built_again(tmp_path, forgery):
    metadata = METADATA["byte-level"]
    wanted = tokenizer_from_metadata(metadata, cache_dir=tmp_path).encode(CORPUS[0])
    forged(tmp_path, FORGERIES[forgery])
    assert cache.load(tmp_path, stored(tmp_path).stem) is None
    assert tokenizer_from_metadata(metadata, cache_dir=tmp_path).encode(CORPUS[0]) == wanted


def test_no_index_leads_outside_after_random_forgery(tmp_path):
    """A file with any bytes at all in its arrays is refused, or gives some tokens; it never fails."""
    metadata, rng = METADATA["sentencepiece"], random.Random(5)
    tokenizer_from_metadata(metadata, cache_dir=tmp_path)
    path = stored(tmp_path)
    data = path.read_bytes()
    accepted = 0
    for _ in range(150):
        path.write_bytes(data)

        def change(header, rest):
            for _ in range(3):
                rest[rng.randrange(len(rest))] = rng.randrange(256)
            return header, rest

        forged(tmp_path, change)
        tokenizer = tokenizer_from_metadata(metadata, cache_dir=tmp_path)
        assert is_sound(tokenizer.vocabulary)
        accepted += path.read_bytes() != data
        tokenizer.decode(tokenizer.encode("The ferret's <s> \U0001f600 aaaa"))
    assert accepted > 5


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    tokenizer = tokenizer_from_metadata(METADATA["byte-level"], cache_dir=blocked / "below")
    assert tokenizer.decode(tokenizer.encode("still")) == "still"


def test_a_full_disk_leaves_nothing_behind(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    tokenizer_from_metadata(METADATA["byte-level"], cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_oldest_go_when_the_folder_is_full(tmp_path, monkeypatch):
    vocabulary = build_vocabulary(METADATA["byte-level"])
    cache.save(tmp_path, "a", vocabulary)
    monkeypatch.setattr(cache, "MAX_FOLDER", int(2.5 * (tmp_path / "a.vocabulary").stat().st_size))
    for age, name in enumerate("bcd"):
        cache.save(tmp_path, name, vocabulary)
        for path in tmp_path.iterdir():
            os.utime(path, (1000 + ord(path.stem) * 10 + age, 1000 + ord(path.stem) * 10 + age))
    assert sorted(path.stem for path in tmp_path.iterdir()) == ["c", "d"]


def test_the_default_folder_is_the_users(monkeypatch, tmp_path):
    monkeypatch.setenv("FURET_CACHE", str(tmp_path))
    assert cache.default_folder() == tmp_path / "vocabularies"
    monkeypatch.delenv("FURET_CACHE")
    assert "furet" in cache.default_folder().parts


@pytest.mark.skipif(sys.byteorder != "little", reason="the digest is that of little-endian arrays")
def test_other_tables_need_another_version():
    """A stale cache is the one error that nothing else would find: who changes the tables raises VERSION."""
    merging = {"tokens": ["<|im_end|>", *"abcé", "ab", "abc", "</s>"], "merges": ["a b", "ab c"]}
    scored = {"tokens": ["<unk>", "<s>", "</s>", "<0x41>", *"▁abc", "ab", "▁ab", "x▁"], "scores": range(11)}
    types = [UNKNOWN, CONTROL, CONTROL, BYTE, *[NORMAL] * 7]
    digest = hashlib.sha256()
    for metadata in (
        named({"model": "gpt2", "pre": "llama-bpe", "bos_token_id": 1, **merging}),
        named({"model": "llama", "token_type": types, **scored}),
    ):
        vocabulary = build_vocabulary(metadata)
        digest.update(repr(vocabulary.rules).encode() + vocabulary.text)
        for array in cache._arrays(vocabulary).values():
            digest.update(array.tobytes())
    assert (cache.VERSION, digest.hexdigest()[:16]) == (3, "1b027738b5eea5b4")
