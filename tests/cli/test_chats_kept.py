"""`furet chat` keeps what was said, lists it, and goes on with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commandline import Furet

from furet import load
from furet.chat.store import Conversation, Member, Store, default_path

Talked = Callable[..., Conversation]


@pytest.fixture
def talked(furet: Furet, model: Path) -> Talked:
    """Talks through a pipe, and gives the chat that was kept."""

    def talked(said: str, *arguments: object) -> Conversation:
        result = furet("chat", model, "-n", 4, "--seed", 1, *arguments, stdin=said.encode())
        assert result.code == 0, result.err
        with Store() as store:
            return store.open(max(store.chats().chats, key=lambda chat: chat.updated).id)

    return talked


def roles(conversation: Conversation) -> str:
    return "".join(message.role[0] for message in conversation.messages)


def test_what_was_said_is_kept_for_its_owner(talked: Talked, home: Path, model: Path) -> None:
    kept = talked("the\nthen\n", "--system", "Be brief.", "--temperature", 0.5, "--preset", "vicuna")
    assert [message.content for message in kept.messages[::2]] == ["the", "then"] and roles(kept) == "uaua"
    assert (kept.chat.title, kept.chat.model, kept.chat.system) == ("the", str(model), "Be brief.")
    assert kept.chat.preset == "vicuna"
    assert kept.chat.settings == {"temperature": 0.5, "seed": 1, "max_tokens": 4}
    answer = kept.messages[-1]
    assert (answer.state, answer.model) == ("complete", str(model))
    assert answer.counts.answer_tokens > 0 and answer.counts.prompt_tokens > 0 and answer.counts.seed is not None
    assert default_path().is_relative_to(home) and default_path().stat().st_mode & 0o777 == 0o600


def test_no_save_leaves_no_trace(furet: Furet, model: Path) -> None:
    assert furet("chat", model, "-n", 2, "--no-save", stdin=b"the\n").code == 0
    assert not default_path().exists()


def test_resuming_gives_what_would_have_been_said(furet: Furet, talked: Talked, model: Path) -> None:
    kept = talked("the\n", "--temperature", 0, "--system", "Be brief.")
    resumed = furet("chat", "--resume", stdin=b"then\nof\n")  # model, system message and settings are the chat's
    with load(model) as loaded:
        chat = loaded.chat("Be brief.", temperature=0, max_tokens=4)
        chat.restore([("the", kept.messages[1].content)])
        expected = ["".join(piece.text for piece in chat.say(text)) for text in ("then", "of")]
    assert resumed.out == "".join(f"{text}\n" for text in expected)
    assert "the · 2 messages" in resumed.err
    with Store() as store:
        conversation = store.open(kept.chat.id)
    assert roles(conversation) == "uauaua"
    assert [message.content for message in conversation.messages[3::2]] == expected


def test_resuming_without_saving_leaves_the_chat_as_it_is(furet: Furet, talked: Talked, model: Path) -> None:
    before = talked("the\n")
    assert furet("chat", model, "--resume", "--no-save", stdin=b"then\n").code == 0
    with Store() as store:
        assert store.open(before.chat.id) == before


def test_a_chat_is_chosen_by_id_or_title(furet: Furet, talked: Talked) -> None:
    fox, foxtrot = talked("fox\n").chat, talked("foxtrot\n").chat
    for wanted, chosen in ((fox.id, fox), (fox.id[:6], fox), ("fox", fox), ("FOXT", foxtrot)):
        assert furet("chat", "--resume", wanted, stdin=b"on\n").code == 0
        with Store() as store:
            assert max(store.chats().chats, key=lambda chat: chat.updated).id == chosen.id
    result = furet("chat", "--resume", "fo")
    assert result.code == 2 and "2 chats begin with 'fo'" in result.err and fox.id in result.err
    result = furet("chat", "--resume", "cat")
    assert result.code == 3 and "begins with 'cat'" in result.err and "--list" in result.err


def test_chats_that_do_not_go_on_here(furet: Furet) -> None:
    assert furet("chat", "--resume").code == 3
    with Store() as store:
        store.new_chat(None, title="group", members=[Member("a", "m")])
        imported = store.new_chat("no-such-model", title="imported")
        streaming = store.new_chat("m", title="streaming").id
        store.say(streaming, "the")
        store.begin(streaming)
        assert "is a group chat" in furet("chat", "--resume", "group").err
        assert "another process is making an answer" in furet("chat", "--resume", "streaming").err
    result = furet("chat", "--resume", "imported")
    assert result.code == 3 and f"furet chat MODEL --resume {imported.id}" in result.err


def test_the_list(furet: Furet, talked: Talked, model: Path) -> None:
    assert "no chats yet" in furet("chat", "--list").err
    chats = [talked(f"{said}\n").chat for said in ("one", "two")]
    listed = furet("chat", "--list")
    assert [line.split()[0] for line in listed.out.splitlines()] == ["id", chats[1].id, chats[0].id]
    document = json.loads(furet("chat", "--list", "--json").out)
    assert [(row["id"], row["title"], row["model"]) for row in document] == [
        (chats[1].id, "two", str(model)),
        (chats[0].id, "one", str(model)),
    ]


def test_commands_are_kept_as_branches_and_chats(talked: Talked, tmp_path: Path) -> None:
    kept = talked(f"the\n/regenerate\n/system be brief\nthen\n/save {tmp_path / 'talk.json'}\n")
    assert roles(kept) == "uaua" and kept.chat.system == "be brief"
    answer = kept.messages[1]
    assert len(kept.siblings[answer.id]) == 2 and kept.siblings[answer.id][-1] == answer.id

    cleared = talked("the\n/clear\nof\n")
    assert [message.content for message in cleared.messages[:1]] == ["of"] and roles(cleared) == "ua"
    loaded = talked(f"/load {tmp_path / 'talk.json'}\nof\n")
    assert roles(loaded) == "uauaua" and loaded.chat.system == "be brief"
    assert [message.content for message in loaded.messages[:4]] == [message.content for message in kept.messages]
    with Store() as store:
        assert len(store.chats().chats) == 4


def test_a_question_that_fails_is_kept_beside(furet: Furet, model: Path) -> None:
    assert furet("chat", model, stdin=b"x" * 300 + b"\n").code == 2
    with Store() as store:
        (chat,) = store.chats().chats
        question, answer = store.open(chat.id).messages
        assert question.content == "x" * 300
        assert answer.state == "failed" and "the context holds 256" in (answer.error or "")
    assert furet("chat", "--resume", "-n", 2, stdin=b"the\n").code == 0
    with Store() as store:
        assert [message.content for message in store.open(chat.id).messages[:1]] == ["the"]


def test_a_store_that_cannot_be_opened_does_not_keep_from_talking(furet: Furet, model: Path) -> None:
    default_path().parent.mkdir(parents=True)
    default_path().write_bytes(b"not a database, and longer than its header" * 100)
    result = furet("chat", model, "-n", 2, stdin=b"the\n")
    assert result.code == 0 and result.out and "not saved" in result.err and str(default_path()) in result.err
    for arguments in (("--resume",), ("--list",)):
        result = furet("chat", *arguments)
        assert result.code == 1 and "damaged" in result.err
    assert default_path().read_bytes().startswith(b"not a database")


def test_a_store_that_fails_on_the_way_does_not_stop_the_answer(
    furet: Furet, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from furet.errors import FuretError

    def full(*arguments: object, **options: object) -> None:
        raise FuretError("the disk is full")

    monkeypatch.setattr(Store, "finish", full)
    result = furet("chat", model, "-n", 2, stdin=b"the\nthen\n")
    assert result.code == 0 and len(result.out.splitlines()) >= 2
    assert result.err.count("no longer saved: the disk is full") == 1


def test_chats_go_out_and_come_in(furet: Furet, talked: Talked, tmp_path: Path) -> None:
    talked("the\nthen 🦦\n", "--system", "Be brief.")
    talked("of\n")
    file = tmp_path / "chats.json"
    file.write_text(furet("chat", "--export").out, encoding="utf-8")
    exported = json.loads(file.read_text(encoding="utf-8"))
    assert sorted(len(chat["messages"]) for chat in exported) == [2, 4]
    result = furet("chat", "--import", file)
    assert (result.code, result.out) == (0, "") and "2 chats with 6 messages imported" in result.err
    assert len(json.loads(furet("chat", "--list", "--json").out)) == 4

    def told(chats: list[dict[str, Any]]) -> list[list[str]]:
        return sorted([str(chat["system"]), *(message["content"] for message in chat["messages"])] for chat in chats)

    assert told(json.loads(furet("chat", "--export").out)) == told(2 * exported)
    one = tmp_path / "one.json"
    one.write_text(json.dumps([exported[0] | {"messages": exported[0]["messages"][:1], "leaf": None}]))
    result = furet("chat", "--import", one, "--json")
    assert [chat["title"] for chat in json.loads(result.out)] == [exported[0]["title"]]
    assert "1 chat with 1 message imported" in result.err


def test_what_cannot_be_imported_changes_nothing(furet: Furet, talked: Talked, tmp_path: Path) -> None:
    talked("the\n")
    other = tmp_path / "notes.txt"
    assert furet("chat", "--import", other).code == 3
    other.write_text("the old ferret")
    result = furet("chat", "--import", other)
    assert result.code == 2 and "notes.txt: not JSON" in result.err
    assert "cannot be read" in furet("chat", "--import", tmp_path).err
    assert len(json.loads(furet("chat", "--list", "--json").out)) == 1
