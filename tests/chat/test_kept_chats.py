"""Conversations that are taken up again: not read anew, within bounds, and gone with the conversation."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import tiny

from furet.chat import kept
from furet.chat.model import Model
from furet.chat.model import load as load_model
from furet.chat.store import Store
from furet.chat.store.recorder import Recorder

LONG = "the world is all that is the case " * 12
SHORT = {"max_tokens": 6, "temperature": 0, "ignore_eos": True}


@pytest.fixture(autouse=True)
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FURET_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(kept, "LEAST_TOKENS", 16)
    return tmp_path / "data"


@pytest.fixture
def load(tmp_path: Path) -> Iterator[Callable[[], Model]]:
    """Loads one tiny model, as often as wanted."""
    path = tiny.write(tmp_path / "tiny.gguf", tiny.model(tokenizer=True, keys={"context_length": 512}))
    with ExitStack() as stack:
        yield lambda: stack.enter_context(load_model(path, threads=1))


def talked(model, store: Store, resumed=None) -> Recorder:
    recorder = Recorder(model.chat(**SHORT), store, "tiny", {}, resumed)
    list(recorder.say("More of the same." if resumed else LONG[: model.context // 2]))
    recorder.close()
    return recorder


def test_a_chat_that_is_resumed_is_not_read_anew(load, data):
    with Store(data / "chats.db") as store:
        first = load()
        talked(first, store)
        (chat,) = store.chats().chats
        assert (data / "kept" / f"{chat.id}.kv").stat().st_mode & 0o077 == 0
        again, without = load(), load()
        recorder = talked(again, store, store.open(chat.id))
        last = recorder._talk.last
        assert last.timings.cached_tokens >= 64
        (data / "kept" / f"{chat.id}.kv").unlink()
        talk = without.chat(**SHORT)
        talk.restore([(LONG[: without.context // 2], store.open(chat.id).messages[1].content)])
        list(talk.say("More of the same."))
        assert talk.last.text == last.text and talk.last.timings.cached_tokens == 0


def test_what_was_kept_goes_with_the_chat(load, data):
    with Store(data / "chats.db") as store:
        talked(load(), store)
        (chat,) = store.chats().chats
        assert list((data / "kept").iterdir())
        store.delete(chat.id)
        assert not list((data / "kept").iterdir())


def test_a_chat_that_is_deleted_before_it_is_kept_leaves_nothing(load, data):
    model = load()
    prompt = model.tokens(LONG)[:200]
    model.generate(prompt, **SHORT)
    assert kept.put_away(model, "one", prompt, expected=True) == 0
    kept.expect("one")
    assert kept.put_away(model, "one", prompt, expected=True) > 100
    (data / "kept" / ".one.kv.99").write_text("of a process that died")
    kept.forget("one")
    assert kept.put_away(model, "one", prompt, expected=True) == 0 and not list((data / "kept").iterdir())


def test_what_a_dead_process_left_goes(load, data, monkeypatch):
    model = load()
    prompt = model.tokens(LONG)[:200]
    model.generate(prompt, **SHORT)
    (data / "kept").mkdir(parents=True)
    (data / "kept" / ".two.kv.99").write_text("of a process that died")
    kept.put_away(model, "one", prompt)
    assert len(list((data / "kept").iterdir())) == 2
    monkeypatch.setattr(kept, "STALE", -1.0)
    kept.put_away(model, "one", prompt)
    assert [path.name for path in (data / "kept").iterdir()] == ["one.kv"]


@pytest.mark.parametrize("id", ["", ".", "../../etc/passwd", "a/b", "a" * 65, "a\0", "ä"])
def test_an_id_that_is_none_names_no_file(load, data, id):
    model = load()
    assert kept.take_up(model, id) == 0 and kept.put_away(model, id, range(100)) == 0
    kept.forget(id)
    assert not data.exists()


def test_the_oldest_give_way(load, data, monkeypatch):
    model = load()
    prompt = model.tokens(LONG)[:200]
    for name in ("one", "two", "three"):
        model.generate(prompt, **SHORT)
        assert kept.put_away(model, name, prompt) > 100
        if name == "one":
            size = (data / "kept" / "one.kv").stat().st_size
            monkeypatch.setattr(kept, "MOST_BYTES", int(2.5 * size))
        for path in (data / "kept").iterdir():  # a clock of files may stand still for some milliseconds
            os.utime(path, ns=(0, path.stat().st_mtime_ns - 10**9))
        if name == "two":
            assert kept.take_up(model, "one") > 100
    assert sorted(path.stem for path in (data / "kept").iterdir()) == ["one", "three"]


def test_a_folder_that_cannot_be_written_keeps_nothing(load, data):
    data.mkdir()
    (data / "kept").write_text("a file")
    model = load()
    prompt = model.tokens(LONG)[:200]
    model.generate(prompt, **SHORT)
    assert kept.put_away(model, "one", prompt) == 0
