"""Conversations in files."""

from __future__ import annotations

import json
import os
import stat

import pytest

from furet.errors import BadRequest, NotFound

SHORT = {"max_tokens": 4, "ignore_eos": True}


@pytest.fixture
def chat(model):
    chat = model.chat(system="Être bref.", **SHORT)
    for text in ("A", "B 😀"):
        for _ in chat.say(text):
            pass
    return chat


def test_a_saved_conversation_is_read_back_whole_and_goes_on(model, chat, tmp_path):
    chat.save(tmp_path / "talk.json")
    other = model.chat(**SHORT)
    other.load(tmp_path / "talk.json")
    assert other.messages == chat.messages and other.system == "Être bref."
    for _ in other.say("C"):
        pass
    assert [message["content"] for message in other.messages[-4:-1:2]] == ["B 😀", "C"]


def test_only_the_owner_may_read_it_and_an_old_one_is_replaced(chat, tmp_path):
    path = tmp_path / "talk.json"
    path.write_text("old")
    path.chmod(0o644)
    chat.save(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not list(tmp_path.glob(".talk*"))


def test_a_file_that_cannot_be_written_leaves_the_old_one(chat, tmp_path, monkeypatch):
    path = tmp_path / "talk.json"
    path.write_text("old")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BadRequest, match=r"talk\.json: cannot be written: No space left"):
        chat.save(path)
    assert path.read_text() == "old" and not list(tmp_path.glob(".talk*"))
    with pytest.raises(BadRequest, match="cannot be written"):
        chat.save(tmp_path / "nowhere" / "talk.json")


TURN = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
SOUND = {"format": "furet chat", "version": 1, "model": "m", "system": None, "messages": TURN}


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b"null",
        {},
        {**SOUND, "format": "other"},
        {**SOUND, "version": 2},
        {**SOUND, "system": 5},
        {**SOUND, "messages": {}},
        {**SOUND, "messages": TURN[:1]},
        {**SOUND, "messages": TURN[::-1]},
        {**SOUND, "messages": [*TURN, "text", "text"]},
        {**SOUND, "messages": [TURN[0], {"role": "assistant", "content": None}]},
    ],
    ids=lambda document: str(document)[:60],
)
def test_what_is_no_conversation_is_refused_and_nothing_changes(chat, tmp_path, document):
    path = tmp_path / "talk.json"
    path.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
    before = chat.messages
    with pytest.raises(BadRequest, match=r"talk\.json"):
        chat.load(path)
    assert chat.messages == before


def test_files_that_are_not_there_or_no_files(chat, tmp_path):
    with pytest.raises(NotFound):
        chat.load(tmp_path / "none.json")
    with pytest.raises(BadRequest):
        chat.load(tmp_path)
