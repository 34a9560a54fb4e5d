"""furet's own JSON: a list of chats, each with all its messages and branches; and its older files of one chat.

    [{"format": "furet chats", "version": 1, "title": ..., "model": ..., "members": [...],
      "messages": [{"id": ..., "parent": ... or null, "role": ..., "content": ...}], "leaf": ...}]

Fields are those of `Chat`, `Member` and `Message`; of a message those that have their usual value are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict, fields
from typing import Any, cast, get_args

from furet.chat import saved
from furet.chat.exchange.place import Place
from furet.chat.exchange.trees import ordered
from furet.chat.store import Chat, ChatFields, Counts, Member, Message, Role, State, Store, ToolCall, chats, checks
from furet.chat.store.insert import ChatTree
from furet.errors import BadRequest, NotFound

FORMAT = "furet chats"
VERSION = 1
MAX_MESSAGES = 200_000

_CHAT = ("title", "system", "preset", "settings", "icon", "colour", "pinned", "archived", "turns")
_MESSAGE = ("content", "speaker", "model", "tool_call_id", "state", "error")


def export_json(store: Store, chats: Iterable[str] | None = None) -> Iterator[str]:
    """The text of an export, piece by piece, of some chats or all of them; `import_chats` reads it.

    Chats that are deleted meanwhile are left out.
    """
    yield "["
    between = "\n"
    for chat in store.ids() if chats is None else chats:
        with suppress(NotFound):
            yield between + json.dumps(_document(*store.whole(chat)), ensure_ascii=False, indent=1)
            between = ",\n"
    yield "\n]\n"


def _document(chat: Chat, messages: Iterable[Message]) -> dict[str, Any]:
    named = {name: getattr(chat, name) for name in (*_CHAT, "model", "leaf", "created", "updated")}
    members = [asdict(member) for member in chat.members]
    return {"format": FORMAT, "version": VERSION, **named, "members": members, "messages": list(map(_row, messages))}


def _row(message: Message) -> dict[str, Any]:
    row: dict[str, Any] = {"id": message.id, "parent": message.parent, "role": message.role, "created": message.created}
    row |= {field.name: getattr(message, field.name) for field in fields(Message) if field.name in _MESSAGE}
    row["tool_calls"] = [asdict(call) for call in message.tool_calls]
    row["counts"] = {name: value for name, value in asdict(message.counts).items() if value}
    if row["state"] == "streaming":
        row["state"] = "stopped"
    if row["state"] == "complete":
        del row["state"]
    return {name: value for name, value in row.items() if name == "parent" or value not in (None, [], {})}


def is_native(document: Place) -> bool:
    """Whether it is a chat of an export."""
    return "format" in document and document["format"].value == FORMAT


def read_native(document: Place, now: float) -> ChatTree:
    """A chat of an export; BadRequest naming the place where it is something else."""
    if document["version"].value != VERSION:
        raise BadRequest(f"{document['version'].wrong(str(VERSION)).message}", "a newer furet wrote it")
    created = document["created"].seconds(now)
    messages: dict[str, Message] = {}
    for each in document["messages"].items():
        message = _message(each, created)
        if message.id in messages:
            raise BadRequest(f"{each.path}: id: there are two of {message.id!r:.60}")
        if len(messages) == MAX_MESSAGES:
            raise BadRequest(f"{each.path}: wanted at most {MAX_MESSAGES} messages")
        messages[message.id] = message
    order = ordered({key: message.parent for key, message in messages.items()}, f"{document.path}: messages")
    leaf = document["leaf"].text_or_none()
    if leaf is not None and leaf not in messages:
        raise document["leaf"].wrong("the id of a message")
    values = {name: document.value[name] for name in _CHAT if name in document}
    return ChatTree(
        model=document["model"].text_or_none(),
        # What these are is checked where they are written.
        fields=cast("ChatFields", {**values, "members": [_member(each) for each in document["members"].items()]}),
        messages=[messages[key] for key in order],
        leaf=leaf,
        created=created,
        updated=document["updated"].seconds(created),
    )


def _member(member: Place) -> Member:
    system, preset = member["system"].text_or_none(), member["preset"].text_or_none()
    return Member(member["name"].text(), member["model"].text(), system, preset, member["settings"].value or {})


def _message(message: Place, created: float) -> Message:
    role, state = message["role"], message["state"]
    if role.value not in get_args(Role):
        raise role.wrong(", ".join(get_args(Role)))
    if state.value not in (None, *get_args(State)) or state.value == "streaming":
        raise state.wrong("complete, stopped or failed")
    return Message(
        id=message["id"].text(),
        chat="",
        parent=message["parent"].text_or_none(),
        role=role.value,
        content=message["content"].text(""),
        speaker=message["speaker"].text_or_none(),
        model=message["model"].text_or_none(),
        tool_calls=tuple(_call(each) for each in message["tool_calls"].items()),
        tool_call_id=message["tool_call_id"].text_or_none(),
        state=state.value or "complete",
        error=message["error"].text_or_none(),
        counts=_counts(message["counts"]),
        created=message["created"].seconds(created),
    )


def _call(call: Place) -> ToolCall:
    arguments = call["arguments"].text(most=checks.MAX_ARGUMENTS)
    return ToolCall(call["id"].line(), call["name"].line(), arguments)


def _counts(counts: Place) -> Counts:
    if counts.value is None:
        return Counts()
    return Counts(
        prompt_tokens=counts["prompt_tokens"].whole(0),
        cached_tokens=counts["cached_tokens"].whole(0),
        answer_tokens=counts["answer_tokens"].whole(0),
        prefill_seconds=counts["prefill_seconds"].number(0),
        decode_seconds=counts["decode_seconds"].number(0),
        seed=None if counts["seed"].value is None else counts["seed"].whole(),
        reason=counts["reason"].text_or_none(),
    )


def is_saved(document: Place) -> bool:
    """Whether it is a file of one conversation, as `/save` writes it in the terminal."""
    return "format" in document and document["format"].value == saved.FORMAT


def read_saved(document: Place, now: float) -> ChatTree:
    """The chat of such a file."""
    found = saved.parsed(document.value, document.path)
    messages = [
        Message(str(number), "", str(number - 1) if number else None, role, each.content, created=now)
        for number, each in enumerate(found.messages)
        for role in get_args(Role)
        if role == each.role
    ]
    title = checks.shortened(found.messages[0].content, chats.TITLE) if found.messages else ""
    model = checks.shortened(found.model)
    return ChatTree(model, {"title": title, "system": found.system}, messages, None, now, now)
