"""Messages of a conversation and the calls in them, checked: they come from people, programs and the net."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from furet.errors import BadRequest

MAX_MESSAGES = 20_000
MAX_CALLS = 128  # of one message
MAX_ID = 256  # characters of a call's id
MAX_DEPTH = 24  # of arguments and schemas; templates take 32 levels, of which some are their own
FIELDS = {
    "system": {"role", "content"},
    "user": {"role", "content"},
    "assistant": {"role", "content", "tool_calls"},
    "tool": {"role", "content", "tool_call_id"},
}


@dataclass(frozen=True)
class Call:
    """A tool that the model called: `arguments` is the text of a JSON object, or what the model took for one."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True)
class Message:
    """One message.

    role        system, user, assistant, or tool: what a call gave
    tokens      those that it was made of, where they are known
    calls       of the assistant's
    call_id     the call that a tool's message answers
    name        of the tool that it is from
    """

    role: str
    content: str
    tokens: tuple[int, ...] = ()
    calls: tuple[Call, ...] = ()
    call_id: str = ""
    name: str = ""


def read_messages(given: Sequence[Mapping[str, Any]]) -> list[Message]:
    """Messages as `furet.serve.jobs.AnswerChat` describes them; BadRequest names the one at fault, and its field."""
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise BadRequest(f"messages: got {given!r:.60}, wanted a list")
    if not 0 < len(given) <= MAX_MESSAGES:
        raise BadRequest(f"messages: got {len(given)}, wanted 1 to {MAX_MESSAGES}")
    found: list[Message] = []
    called: dict[str, str] = {}  # names of tools by the ids of their calls
    for place, message in enumerate(given):
        found.append(_message(message, f"messages[{place}]", called))
        called |= {call.id: call.name for call in found[-1].calls}
    return found


def _message(given: object, where: str, called: Mapping[str, str]) -> Message:
    """One message after calls of these ids."""
    if not isinstance(given, Mapping):
        raise BadRequest(f"{where}: got {given!r:.60}, wanted an object with role and content")
    role, content = given.get("role"), given.get("content")
    if not isinstance(role, str) or role not in FIELDS:
        raise BadRequest(f"{where}.role: got {role!r:.60}, wanted one of {', '.join(FIELDS)}")
    for key in given:
        if key not in FIELDS[role]:
            raise BadRequest(f"{where}.{key!s:.60}: no field of a message of the role {role}")
    if content is None and given.get("tool_calls"):
        content = ""
    if not isinstance(content, str):
        raise BadRequest(f"{where}.content: got {content!r:.60}, wanted a text")
    calls = given.get("tool_calls") or ()
    if isinstance(calls, str | Mapping) or not isinstance(calls, Sequence) or len(calls) > MAX_CALLS:
        raise BadRequest(f"{where}.tool_calls: got {calls!r:.60}, wanted a list of at most {MAX_CALLS}")
    read = tuple(_call(call, f"{where}.tool_calls[{place}]") for place, call in enumerate(calls))
    answered = given.get("tool_call_id") or ""
    if not isinstance(answered, str) or (answered and answered not in called):
        raise BadRequest(
            f"{where}.tool_call_id: got {answered!r:.80}, which is no call of a message before it",
            "send the assistant's message with its tool_calls as well",
        )
    return Message(role, content, calls=read, call_id=answered, name=called.get(answered, ""))


def _call(given: object, where: str) -> Call:
    if not isinstance(given, Mapping) or set(given) != {"id", "name", "arguments"}:
        raise BadRequest(f"{where}: got {given!r:.80}, wanted an object with id, name and arguments")
    for key, value in given.items():
        if not isinstance(value, str):
            raise BadRequest(f"{where}.{key}: got {value!r:.60}, wanted a text")
    if not 0 < len(given["id"]) <= MAX_ID or not 0 < len(given["name"]) <= MAX_ID:
        raise BadRequest(f"{where}: wanted an id and a name of 1 to {MAX_ID} characters")
    return Call(given["id"], given["name"], given["arguments"])


def arguments_of(call: Call) -> Any:
    """A call's arguments as the object that they are; their text when they are none."""
    try:
        value = json.loads(call.arguments or "{}", parse_constant=_refuse)
    except (ValueError, RecursionError):
        return call.arguments
    return value if isinstance(value, dict) and not deeper(value, MAX_DEPTH) else call.arguments


def deeper(value: Any, levels: int) -> bool:
    """Whether objects and lists are nested in more than so many levels."""
    if not isinstance(value, dict | list):
        return False
    inside = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(deeper(item, levels - 1) for item in inside)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no number in JSON")
