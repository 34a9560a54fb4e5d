"""Conversations as Claude exports them.

A conversation has `chat_messages` in the order of time. Newer exports give each its parent, so that branches can be
told; older ones do not, and then each follows the one before it. Text that people attached is part of what they said.
"""

from __future__ import annotations

from furet.chat.exchange.place import Place
from furet.chat.exchange.trees import linked
from furet.chat.store import Message, Role
from furet.chat.store.insert import ChatTree
from furet.errors import BadRequest

_ROLES: dict[str, Role] = {"human": "user", "assistant": "assistant"}
_ROOT = "00000000-0000-4000-8000-000000000000"
_UNKNOWN = "Claude"


def read_claude(document: Place, now: float) -> ChatTree:
    """A conversation of the export; BadRequest naming the place where it is something else."""
    model = document["model"].line("") or _UNKNOWN
    created = document["created_at"].seconds(now)
    messages: dict[str, Message] = {}
    before: str | None = None
    for number, each in enumerate(document["chat_messages"].items()):
        key = each["uuid"].text(f"message {number}")
        if key in messages:
            raise BadRequest(f"{each.path}: uuid: there are two of {key!r:.60}")
        parent = each["parent_message_uuid"].text(before or _ROOT)
        messages[key] = _message(key, None if parent == _ROOT else parent, each, model, created)
        before = key
    parents = {key: message.parent for key, message in messages.items()}
    kept = {key: message for key, message in messages.items() if message.content.strip()}  # others only called a tool
    leaf = document["current_leaf_message_uuid"].text_or_none()
    found, leaf = linked(parents, kept, leaf if leaf in messages else before, f"{document.path}: chat_messages")
    return ChatTree(
        model=model,
        fields={"title": document["name"].line("")},
        messages=found,
        leaf=leaf,
        created=created,
        updated=document["updated_at"].seconds(created),
    )


def _message(key: str, parent: str | None, message: Place, model: str, created: float) -> Message:
    role = message["sender"].choice(_ROLES)
    when = message["created_at"].seconds(created)
    return Message(key, "", parent, role, _content(message), model=model if role != "user" else None, created=when)


def _content(message: Place) -> str:
    """What was said: blocks of text, or the text of older exports, and what was attached."""
    blocks = [block["text"].text("") for block in message["content"].items() if block["type"].value == "text"]
    said = "\n\n".join(filter(None, blocks)) or message["text"].text("")
    parts = [said, *map(_attached, message["attachments"].items())]
    parts += [f"[{file['file_name'].line('a file')}]" for file in message["files"].items()]
    return "\n\n".join(filter(None, parts))


def _attached(attachment: Place) -> str:
    name = attachment["file_name"].line("") or "attached text"
    content = attachment["extracted_content"].text("")
    return f"[{name}]\n\n{content}" if content else f"[{name}]"
