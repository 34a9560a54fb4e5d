"""Ollama's messages and tools in the words of `furet.serve.jobs`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from furet.chat.tools.tool import read_offer
from furet.errors import BadRequest
from furet.serve.ollama.bodies import Call, Message, Tool, refuse


@dataclass(frozen=True)
class Asked:
    """A call that a tool has yet to answer."""

    id: str
    name: str


def conversation(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages of a job.

    Calls without an id are numbered through the conversation; a tool's message answers the call of its id, else the
    first open call of its tool, else the first open call.

    raises  BadRequest naming the message that has what models of text cannot take, or answers no call
    """
    found: list[dict[str, Any]] = []
    asked: list[Asked] = []
    calls = 0
    for place, message in enumerate(messages):
        where = f"messages[{place}]."
        refuse(message, where, images="models of text see no images", thinking="thoughts are not shown to models again")
        _check_role(message, where)
        turn: dict[str, Any] = {"role": message.role, "content": message.content or ""}
        if message.tool_calls:
            turn["tool_calls"] = [_call(call, calls + number) for number, call in enumerate(message.tool_calls)]
            asked += [Asked(call["id"], call["name"]) for call in turn["tool_calls"]]
            calls += len(message.tool_calls)
        elif message.role == "tool":
            answered = _answered(message, asked, where)
            asked.remove(answered)
            turn["tool_call_id"] = answered.id
        found.append(turn)
    return found


def offered(tools: Sequence[Tool] | None) -> list[dict[str, Any]]:
    """The tools of a job; one without parameters takes an empty object. BadRequest names the one at fault."""
    found = [
        {
            "name": tool.function.name,
            "description": tool.function.description or "",
            "parameters": tool.function.parameters or {"type": "object", "properties": {}},
        }
        for tool in tools or ()
    ]
    read_offer(found, "auto", True)
    return found


def _call(call: Call, number: int) -> dict[str, str]:
    arguments = json.dumps(call.function.arguments or {}, ensure_ascii=False)
    return {"id": call.id or f"call_{number}", "name": call.function.name, "arguments": arguments}


def _answered(message: Message, asked: Sequence[Asked], where: str) -> Asked:
    """The open call that a tool's message answers."""
    for call in asked:
        if message.tool_call_id is not None:
            if call.id == message.tool_call_id:
                return call
        elif message.tool_name in (None, call.name):
            return call
    field = "tool_call_id" if message.tool_call_id else "tool_name" if message.tool_name else "role"
    raise BadRequest(
        f"{where}{field}: the tool's message answers no call", "the assistant's message before it has to call the tool"
    )


def _check_role(message: Message, where: str) -> None:
    """Raise BadRequest for a field that the role of its message has no use for."""
    for field, role in (("tool_calls", "assistant"), ("tool_name", "tool"), ("tool_call_id", "tool")):
        if getattr(message, field) and message.role != role:
            raise BadRequest(f"{where}{field}: only for messages of the role {role!r}, got {message.role!r}")
