"""Conversations for models: who speaks next, and what it sees. Pure functions over records."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from furet.chat.store.records import Chat, Conversation, Member, Message, Turns


def next_speaker(members: Sequence[Member], messages: Sequence[Message], turns: Turns = "in_turn") -> Member | None:
    """The member that answers now, or None when people are to speak.

    After each message of a person every member answers once, in the order of `members`. Where the message calls
    some of them, "@name", only those answer, in the order in which they are called. With turns "mention" nobody
    answers who was not called. An answer that failed or was stopped has been given.
    """
    last = next((place for place in reversed(range(len(messages))) if messages[place].role == "user"), None)
    if last is None:
        return None
    called = mentioned(members, messages[last].content)
    expected = called or (list(members) if turns == "in_turn" else [])
    given = messages[last + 1 :]
    waiting = [given[-1].speaker] if given and given[-1].role == "tool" else []  # what its tool said is for itself
    answered = {message.speaker for message in given} - set(waiting)
    return next((member for member in expected if member.name not in answered), None)


def mentioned(members: Sequence[Member], text: str) -> list[Member]:
    """The members that a text calls by "@name", in the order in which it does; case does not count."""
    by_name = {member.name.casefold(): member for member in members}
    longest_first = sorted(by_name, key=len, reverse=True)
    pattern = "|".join(re.escape(name) for name in longest_first)
    if not pattern:
        return []
    found = re.findall(rf"(?<!\w)@({pattern})(?!\w)", text.casefold())
    return [by_name[name] for name in dict.fromkeys(found)]


def settings_for(chat: Chat, member: Member | None = None) -> dict[str, Any]:
    """The settings under which a member of a chat, or its only model, answers."""
    return {**chat.settings, **(member.settings if member else {})}


def view_for(conversation: Conversation, member: Member | None = None) -> list[dict[str, Any]]:
    """A conversation as one member sees it, or as the only model does; fit for `AnswerChat.messages`.

    What other members said has become messages of the user, with their names in front; their calls of tools are left
    out. Messages of the same side are joined, as most models know only conversations that alternate. Answers that
    gave nothing are left out, those that ended early count as far as they came.
    """
    chat = conversation.chat
    system = member.system if member and member.system is not None else chat.system
    name = member.name if member else None
    found: list[dict[str, Any]] = [{"role": "system", "content": system}] if system else []
    for message in conversation.messages:
        if seen := _seen(message, name):
            _join(found, seen)
    return found


def _seen(message: Message, name: str | None) -> dict[str, Any] | None:
    """A message for the member of a name; None when it is not for its eyes."""
    own = message.role in ("assistant", "tool") and (name is None or message.speaker == name)
    if message.role == "tool":
        return {"role": "tool", "content": message.content, "tool_call_id": message.tool_call_id} if own else None
    if own and message.tool_calls:
        calls = [{"id": call.id, "name": call.name, "arguments": call.arguments} for call in message.tool_calls]
        return {"role": "assistant", "content": message.content, "tool_calls": calls}
    if not message.content:
        return None
    if message.role == "assistant" and not own:
        who = message.speaker or message.model
        return {"role": "user", "content": f"{who}: {message.content}" if who else message.content}
    return {"role": message.role, "content": message.content}


def _join(found: list[dict[str, Any]], seen: dict[str, Any]) -> None:
    """Add a message, or join it with the last one where both are plain words of the same side."""
    last: Mapping[str, Any] = found[-1] if found else {}
    plain = last.keys() == seen.keys() == {"role", "content"}
    if plain and last["role"] == seen["role"] and seen["role"] in ("user", "assistant"):
        found[-1] = {"role": seen["role"], "content": f"{last['content']}\n\n{seen['content']}"}
    else:
        found.append(seen)
