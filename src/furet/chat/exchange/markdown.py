"""A chat as people read it."""

from __future__ import annotations

import re
from datetime import datetime, timezone

from furet.chat.store import Chat, Message, Store

_FENCE = re.compile(r"^(`{3,})", re.MULTILINE)


def export_markdown(store: Store, chat: str) -> str:
    """A chat as Markdown: the branch that it has come to, what each said under a heading of its own."""
    conversation = store.open(chat)
    parts = [_heading(conversation.chat), *(_said(message) for message in conversation.messages)]
    return "\n\n".join(parts) + "\n"


def _heading(chat: Chat) -> str:
    who = ", ".join(f"{member.name} ({member.model})" for member in chat.members) or chat.model or ""
    when = datetime.fromtimestamp(chat.created, timezone.utc)
    heading = f"# {_plain(chat.title) or 'Chat'}\n\nWith {_plain(who)}, begun {when:%Y-%m-%d %H:%M} UTC."
    if not chat.system:
        return heading
    return heading + "\n\n" + "\n".join(f"> {line}".rstrip() for line in chat.system.splitlines())


def _said(message: Message) -> str:
    names = {"user": "You", "system": "System", "tool": "Tool"}
    who = names.get(message.role) or message.speaker or message.model or "Assistant"
    parts = [f"## {_plain(who)}", message.content.strip()]
    parts += [f"Calls `{_plain(call.name)}`:\n\n{_fenced(call.arguments, 'json')}" for call in message.tool_calls]
    if message.state == "failed":
        parts.append(f"*(failed: {_plain(message.error or '')})*")
    elif message.state != "complete":
        parts.append("*(stopped)*")
    return "\n\n".join(filter(None, parts))


def _fenced(text: str, language: str) -> str:
    """A block of code; its fence is longer than any inside of it."""
    fence = "`" * max(3, 1 + max((len(found) for found in _FENCE.findall(text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _plain(text: str) -> str:
    """A text on one line in which nothing is a mark of Markdown's."""
    return re.sub(r"([\\`*_\[\]<>#])", r"\\\1", " ".join(text.split()))
