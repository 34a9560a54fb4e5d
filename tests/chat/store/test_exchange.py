"""Chats out of the store and into it."""

from __future__ import annotations

import io
import json
import sqlite3
import zipfile
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from furet.chat import saved
from furet.chat.exchange import export_json, export_markdown, import_chats
from furet.chat.messages import Message as Turn
from furet.chat.store import Chat, Counts, Member, Message, Store, ToolCall, chats
from furet.chat.store.insert import ChatTree


def brought(store: Store, document: Any, **options: Any) -> list[Chat]:
    """The chats that come of a document."""
    text = document if isinstance(document, str) else json.dumps(document)
    return list(import_chats(store, io.BytesIO(text.encode()), name="file.json", **options).chats)


def tree(store: Store, chat: str) -> list[Message]:
    """A chat's messages, ids replaced by places; the leaf, in front, as well."""
    messages = store.tree(chat)
    places = {message.id: str(place) for place, message in enumerate(messages)}
    numbered = [
        replace(message, id=places[message.id], chat="", parent=places.get(message.parent or ""))
        for message in messages
    ]
    return [message for message in numbered if message.id == places.get(store.chat(chat).leaf or "")] + numbered


def same(one: Chat, two: Chat) -> bool:
    different = {"id": "", "leaf": None}
    return {**vars(one), **different} == {**vars(two), **different}


def test_an_export_imports_as_the_same_chats(store: Store, tmp_path: Path) -> None:
    chat = store.new_chat(
        "smollm2",
        title="Füchse 🦊",
        system="Sei kurz.",
        preset="chatml",
        settings={"logit_bias": {7: -1.0}},
        pinned=True,
    )
    question = store.say(chat.id, "Was ist ein Fuchs?")
    answer = store.begin(chat.id)
    calls = (ToolCall("c1", "look", '{"at": "fox"}'),)
    store.finish(answer.id, tool_calls=calls, counts=Counts(3, 1, 2, 0.5, 0.25, 2**64 - 1, "tool_calls"))
    store.say(chat.id, "red", role="tool", tool_call_id="c1")
    store.finish(store.begin(chat.id, parent=question.id, model="qwen").id, "Rot", state="failed", error="died")
    store.edit(question.id, "Was ist ein Hund?")
    store.select(answer.id)
    group = store.new_chat(
        None, members=[Member("A", "m", "s", "vicuna", {"top_k": 1})], turns="mention", archived=True
    )
    store.say(group.id, "@A hello")
    store.finish(store.begin(group.id, speaker="A").id, "hi")
    exported = "".join(export_json(store))

    with Store(tmp_path / "other.db") as other:
        first, second = brought(other, exported)
        for before, after in ((chat, first), (group, second)):
            assert same(store.chat(before.id), after) and before.id != after.id
            assert tree(store, before.id) == tree(other, after.id)
        assert len(other.search("Hund")) == 1
    assert len(list(brought(store, "".join(export_json(store, [chat.id]))))) == 1


def test_an_export_is_of_one_moment(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = store.new_chat("smollm2").id
    store.say(chat, "one")
    last = store.say(chat, "two").id
    read = chats.read

    def read_before_it_changes(db: sqlite3.Connection, chat: str) -> Chat:
        found = read(db, chat)
        monkeypatch.undo()
        removing = Thread(target=store.remove, args=(last,))
        removing.start()
        removing.join()
        return found

    monkeypatch.setattr(chats, "read", read_before_it_changes)
    (imported,) = brought(store, "".join(export_json(store, [chat])))
    assert [message.content for message in store.open(imported.id).messages] == ["one", "two"]
    assert [message.content for message in store.open(chat).messages] == ["one"]


def test_an_export_has_all_chats_and_every_word(store: Store) -> None:
    said = [Message("1", "", None, "user", "complete")]
    made = store.insert(ChatTree("m", {"title": str(number)}, said, None, 1.0, 1.0 + number) for number in range(203))
    pieces = export_json(store)
    text = next(pieces) + next(pieces)
    store.say(made[0].id, "what moves the last chat to the front")
    store.delete(made[1].id)
    found = json.loads(text + "".join(pieces))
    assert {int(chat["title"]) for chat in found} == {0, *range(2, 203)} and len(found) == 202
    assert all(chat["messages"][0]["content"] == "complete" for chat in found)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
NODES = st.lists(st.tuples(st.integers(0, 30), TEXTS, st.sampled_from(["user", "assistant", "system"])), max_size=20)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nodes=NODES, leaf=st.integers(0, 30))
def test_any_tree_comes_back_as_it_was(store: Store, nodes: list[tuple[int, str, Any]], leaf: int) -> None:
    messages = [
        Message(str(place), "", None if above >= place else str(above), role, text, created=1.0 + place)
        for place, (above, text, role) in enumerate(nodes)
    ]
    at = str(leaf % len(nodes)) if nodes else None
    (chat,) = store.insert([ChatTree("m", {}, messages, at, 5.0, 6.0)])
    (copy,) = brought(store, "".join(export_json(store, [chat.id])))
    assert tree(store, chat.id) == tree(store, copy.id) and same(chat, copy)


def test_markdown_is_the_branch_that_is_shown(store: Store) -> None:
    chat = store.new_chat("smollm2", title="About *foxes*", system="Be brief.\nBe kind.").id
    first = store.say(chat, "What is a fox?")
    store.finish(store.begin(chat).id, "A **dog**.")
    store.edit(first.id, "What is a fox, really?")
    calls = (ToolCall("c", "look", '{"code": "```"}'),)
    store.finish(store.begin(chat).id, "Half an ans", state="stopped", tool_calls=calls)
    when = store.chat(chat).created
    assert export_markdown(store, chat) == (
        "# About \\*foxes\\*\n\n"
        f"With smollm2, begun {datetime.fromtimestamp(when, timezone.utc):%Y-%m-%d %H:%M} UTC.\n\n"
        "> Be brief.\n> Be kind.\n\n"
        "## You\n\nWhat is a fox, really?\n\n"
        '## smollm2\n\nHalf an ans\n\nCalls `look`:\n\n```json\n{"code": "```"}\n```\n\n*(stopped)*\n'
    )


def node(parent: str | None, role: str = "", text: str = "", **more: Any) -> dict[str, Any]:
    """A node as ChatGPT exports it."""
    message = {
        "author": {"role": role, "name": None, "metadata": {}},
        "create_time": 1700000000.5,
        "content": {"content_type": "text", "parts": [text]},
        "status": "finished_successfully",
        "metadata": {},
        "recipient": "all",
    }
    return {"message": {**message, **more} if role else None, "parent": parent, "children": []}


def chatgpt(**nodes: dict[str, Any]) -> dict[str, Any]:
    return {
        "title": "Foxes",
        "create_time": 1700000000.0,
        "update_time": 1700000100.0,
        "mapping": nodes,
        "current_node": list(nodes)[-1],
        "conversation_id": "x",
        "default_model_slug": None,
    }


def test_chatgpt_conversations_with_branches(store: Store) -> None:
    hidden = {"is_visually_hidden_from_conversation": True}
    code = {"content_type": "code", "language": "python", "text": "1 + 1"}
    image = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://x"}
    picture = {"content_type": "multimodal_text", "parts": [image, "What is this?", "half \ud83d"]}
    document = chatgpt(
        root=node(None),
        system=node("root", "system", "", metadata=hidden),
        answer=node("question", "assistant", "A dog.", metadata={"model_slug": "gpt-4o"}),  # before its parent
        question=node("system", "user", "", content=picture),
        again=node("question", "assistant", "A red dog.", metadata={"model_slug": "gpt-4o"}),
        call=node("again", "assistant", "", content=code, recipient="python"),
        result=node("call", "tool", "2"),
        thought=node("result", "assistant", "", content={"content_type": "thoughts", "thoughts": []}),
        last=node("thought", "assistant", "", content=code),
    )
    (chat,) = brought(store, [document])
    assert (chat.title, chat.model, chat.created, chat.updated) == ("Foxes", "gpt-4o", 1700000000.0, 1700000100.0)
    shown = store.open(chat.id)
    assert [(message.role, message.content) for message in shown.messages] == [
        ("user", "[image]\n\nWhat is this?\n\nhalf \ufffd"),
        ("assistant", "A red dog."),
        ("assistant", "```python\n1 + 1\n```"),
    ]
    assert len(store.tree(chat.id)) == 4 and len(shown.siblings[shown.messages[1].id]) == 2
    (other,) = brought(store, [document], model="smollm2")
    assert other.model == "smollm2"


def test_branches_of_chatgpt_are_in_the_order_of_time(store: Store) -> None:
    document = chatgpt(
        question=node(None, "user", "What?"),
        third=node("question", "assistant", "3", create_time=1700000003.0),
        first=node("question", "assistant", "1", create_time=1700000001.0),
        second=node("question", "assistant", "2", create_time=1700000002.0),
    )
    (chat,) = brought(store, [document])
    shown = store.open(chat.id)
    siblings = [store.message(each).content for each in shown.siblings[shown.messages[1].id]]
    assert siblings == ["1", "2", "3"] and shown.messages[1].content == "2"


def test_an_odd_node_does_not_refuse_an_archive(store: Store) -> None:
    document = chatgpt(
        question=node("deleted", "user", "", content={"content_type": "text", "parts": [None, "What?"]}),
        nothing=node("question", "assistant", "", content=None),
        answer=node("nothing", "assistant", "A dog.", create_time=-62135596800.0),
    )
    (chat,) = brought(store, [document])
    question, answer = store.open(chat.id).messages
    assert (question.content, answer.content, answer.created) == ("What?", "A dog.", chat.created)


def claude(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "uuid": "c",
        "name": "Foxes",
        "created_at": "2026-01-15T10:00:00.000000Z",
        "updated_at": "2026-01-15T11:00:00.000000+00:00",
        "account": {"uuid": "a"},
        "chat_messages": list(messages),
        **more,
    }


def test_claude_conversations(store: Store) -> None:
    attached = [{"file_name": "notes.txt", "file_size": 5, "file_type": "txt", "extracted_content": "foxes"}]
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "A dog."},
        {"type": "tool_use", "name": "x"},
        {"type": "text", "text": "Red."},
    ]
    question = {
        "uuid": "1",
        "sender": "human",
        "text": "What?",
        "attachments": attached,
        "files": [{"file_name": "a.png"}],
    }
    answer = {
        "uuid": "2",
        "sender": "assistant",
        "text": "flat",
        "content": blocks,
        "created_at": "2026-01-15T10:00:05Z",
    }
    (chat,) = brought(store, [claude(question, answer)])
    assert (chat.title, chat.model, chat.updated - chat.created) == ("Foxes", "Claude", 3600)
    one, two = store.open(chat.id).messages
    assert one.content == "What?\n\n[notes.txt]\n\nfoxes\n\n[a.png]" and two.content == "A dog.\n\nRed."
    assert two.created - one.created == 5

    root = "00000000-0000-4000-8000-000000000000"
    first = {"uuid": "1", "sender": "human", "text": "a", "parent_message_uuid": root}
    second = {"uuid": "2", "sender": "assistant", "text": "b", "parent_message_uuid": "1"}
    third = {"uuid": "3", "sender": "assistant", "text": "c", "parent_message_uuid": "1"}
    (chat,) = brought(store, [claude(first, second, third, current_leaf_message_uuid="2", model="claude-x")])
    assert [message.content for message in store.open(chat.id).messages] == ["a", "b"]
    assert chat.model == "claude-x" and len(store.tree(chat.id)) == 3


def test_what_claude_did_without_a_word_is_left_out(store: Store) -> None:
    def message(key: str, sender: str, *content: dict[str, Any], parent: str) -> dict[str, Any]:
        return {"uuid": key, "sender": sender, "text": "", "content": content, "parent_message_uuid": parent}

    called = message("2", "assistant", {"type": "tool_use", "name": "look"}, parent="1")
    found = message("3", "assistant", {"type": "text", "text": "Red."}, parent="2")
    last = message("4", "assistant", {"type": "tool_use", "name": "look"}, parent="3")
    (chat,) = brought(
        store, [claude(message("1", "human", {"type": "text", "text": "?"}, parent="0"), called, found, last)]
    )
    assert [message.content for message in store.open(chat.id).messages] == ["?", "Red."]


def test_a_message_of_no_time_is_as_old_as_its_chat(store: Store) -> None:
    chat = {"format": "furet chats", "version": 1, "model": "m", "created": 5.0}
    (made,) = brought(store, [{**chat, "messages": [{"id": "1", "parent": None, "role": "user", "content": "a"}]}])
    assert store.open(made.id).messages[0].created == 5.0


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_zip_archive_of_an_export(store: Store, compression: int) -> None:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        archive.writestr("chat.html", "<html>" * 1000)
        archive.writestr(
            "export/conversations.json", json.dumps([claude({"uuid": "1", "sender": "human", "text": "a"})])
        )
    assert import_chats(store, data).messages == 1


def test_saved_conversations_of_our_own(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "talk.json"
    saved.write(path, saved.Saved("m.gguf", "Be brief.", (Turn("user", "hello\x1b there"), Turn("assistant", "hi"))))
    with path.open("rb") as file:
        (chat,) = import_chats(store, file).chats
    assert (chat.title, chat.model, chat.system) == ("hello there", "m.gguf", "Be brief.")
    assert [message.content for message in store.open(chat.id).messages] == ["hello\x1b there", "hi"]


def test_llmfarm_settings_and_history(store: Store) -> None:
    settings = {
        "title": "Saiga",
        "model": "saiga.gguf",
        "icon": "ava1",
        "prompt_format": "[system](Be\\nbrief.)\nuser {prompt}",
        "temp": 0.9,
        "top_k": 40,
        "tfs_z": 1,
        "mirostat": 0,
        "n_predict": 0,
        "reverse_prompt": "USER:, BOT:",
        "context": 1024,
    }
    (chat,) = brought(store, settings)
    assert (chat.title, chat.model, chat.system) == ("Saiga", "saiga.gguf", "Be\nbrief.")
    expected = {"temperature": 0.9, "top_k": 40, "tail_free": 1.0, "mirostat": 0, "stop": ["USER:", "BOT:"]}
    assert chat.settings == expected
    history = [
        {"id": "1", "sender": "user", "state": "typed", "text": "hello", "tok_sec": "0.0"},
        {"id": "2", "sender": "system", "state": "predicted(totalSecond: 2.5)", "text": "hi", "tok_sec": "4.5"},
    ]
    (chat,) = brought(store, history, model="saiga")
    assert [message.role for message in store.open(chat.id).messages] == ["user", "assistant"] and chat.title == "hello"


def test_an_empty_export(store: Store) -> None:
    assert brought(store, "[]") == [] and brought(store, " [ \n] ") == []
    assert json.loads("".join(export_json(store))) == []
