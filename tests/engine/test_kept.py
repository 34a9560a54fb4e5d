"""Keys and values on disk: a conversation goes on where it was, or from its beginning where the file does not fit."""

from __future__ import annotations

import os

import pytest
import tiny
from tiny_prompt import PROMPT

TEXT = (PROMPT * 20)[:200]
OPTIONS = {"max_tokens": 20, "seed": 2, "ignore_eos": True}


@pytest.fixture
def kept(load, tmp_path):
    """A text that one model has answered, what followed, and the file of it."""
    model = load()
    answer = model.generate(TEXT, **OPTIONS)
    text = TEXT + answer.tokens
    assert model.keep(text, tmp_path / "kept") == len(text) - 1
    return text, model.generate(text, **OPTIONS).tokens, tmp_path / "kept"


def test_another_process_goes_on_without_reading(load, kept):
    text, wanted, path = kept
    model = load()
    assert model.recall(path) == len(text) - 1
    again = model.generate(text, **OPTIONS)
    assert (again.tokens, again.timings.prefill_tokens) == (wanted, 1)
    assert path.stat().st_mode & 0o777 == 0o600 and [each.name for each in path.parent.iterdir()] == ["kept"]


def test_what_is_recalled_gives_way_like_all_else(load, kept):
    text, wanted, path = kept
    model = load()
    model.recall(path)
    model.generate([9] * 250, max_tokens=2)
    assert model.generate(text, **OPTIONS).tokens == wanted


def test_as_much_as_there_is_room_for(load, kept):
    text, _, path = kept
    model = load(context=128)
    assert model.recall(path) == 128
    assert model.generate(text[:100], max_tokens=1).timings.cached_tokens == 99


@pytest.mark.parametrize("options", [{"kv": "q8_0"}, {"backend": "reference"}], ids=str)
def test_another_kind_of_cache_takes_nothing(load, kept, tmp_path, options):
    wide = tiny.write(tmp_path / "wide.gguf", tiny.model(tokenizer=True, C=128, H=4, K=2, D=32))
    assert load(wide).recall(kept[2]) == 0
    assert load(**options).recall(kept[2]) == 0


def test_another_file_of_the_same_name_takes_nothing(load, path, kept, tmp_path):
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(path.read_bytes())
    os.utime(copy, ns=(1, 1))
    assert load(copy).recall(kept[2]) == 0


def test_nothing_is_kept_of_what_is_not_known(load, tmp_path):
    model = load()
    assert model.keep([5, 6, 7], tmp_path / "none") == 0 and not list(tmp_path.iterdir())
    assert load(backend="reference").keep(PROMPT, tmp_path / "none") == 0
    assert model.recall(tmp_path / "none") == 0


def test_a_damaged_file_gives_what_is_sound_of_it(load, kept):
    text, wanted, path = kept
    whole = path.read_bytes()
    for cut in (0, 5, 24, 27, 40, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        model = load()
        assert model.recall(path) < len(text) - 1
        assert model.generate(text, **OPTIONS).tokens == wanted
    for place in range(0, len(whole), len(whole) // 40):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        model = load()
        model.recall(path)
        assert model.generate(text, **OPTIONS).tokens == wanted


BAD = [b"[]", b"{}", b'{"model": 1}', b"[" * 100_000, b'{"model":"","tokens":[1.5],"bytes":1,"sums":[0]}', b"\xff"]


@pytest.mark.parametrize("header", BAD)
def test_a_header_that_is_none(load, tmp_path, header):
    from furet.engine.kept import MAGIC

    (tmp_path / "bad").write_bytes(MAGIC + len(header).to_bytes(4, "little") + header)
    assert load().recall(tmp_path / "bad") == 0
