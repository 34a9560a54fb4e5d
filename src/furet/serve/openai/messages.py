"""Messages of a conversation, and what becomes of them: the messages of `furet.serve.jobs.AnswerChat`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from furet.errors import BadRequest
from furet.serve.fields import Name, Strict, Words
from furet.serve.limits import MAX_MESSAGES, MAX_TOOLS

MAX_PARTS = 1024


class TextPart(Strict):
    """A part of a message; models of this kind read no others."""

    type: Literal["text"]
    text: Words


Content = Words | Annotated[list[TextPart], Field(min_length=1, max_length=MAX_PARTS)]


class SystemMessage(Strict):
    """What the model is told before all else."""

    role: Literal["system", "developer"]
    content: Content
    name: Name | None = None


class UserMessage(Strict):
    """What a user said."""

    role: Literal["user"]
    content: Content
    name: Name | None = None


class CalledFunction(Strict):
    """A function and its arguments, JSON text as the model wrote it; clients add what they have read in it."""

    name: Name
    arguments: Words
    parsed_arguments: Any = None


class ToolCall(Strict):
    """A call that the model made; clients that read it from a stream leave its index in it."""

    id: Name
    index: int | None = None
    type: Literal["function"] = "function"
    function: CalledFunction


class AssistantMessage(Strict):
    """What the model said or called; what else clients send back with it may be there: what they have read in it
    themselves, and fields that are empty."""

    role: Literal["assistant"]
    content: Content | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=MAX_TOOLS)] | None = None
    parsed: Any = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None


class ToolMessage(Strict):
    """What a call gave."""

    role: Literal["tool"]
    content: Content
    tool_call_id: Name


Message = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Field(discriminator="role")]
Messages = Annotated[list[Message], Field(min_length=1, max_length=MAX_MESSAGES)]


def plain_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """The messages as a job has them; raises BadRequest for one of the assistant's that says and calls nothing.

    Templates know no names of participants, so a name is written before what its bearer says.
    """
    return [_plain(message, place) for place, message in enumerate(messages)]


def _plain(message: Message, place: int) -> dict[str, Any]:
    text = text_of(message.content)
    if isinstance(message, ToolMessage):
        return {"role": "tool", "content": text, "tool_call_id": message.tool_call_id}
    if isinstance(message, AssistantMessage):
        if message.content is None and not message.tool_calls:
            raise BadRequest(f"messages[{place}].content: missing; only a message with tool_calls may have none")
        calls = [
            {"id": call.id, "name": call.function.name, "arguments": call.function.arguments}
            for call in message.tool_calls or ()
        ]
        return {"role": "assistant", "content": text, **({"tool_calls": calls} if calls else {})}
    named = text if message.name is None else f"{message.name}: {text}"
    return {"role": "user" if message.role == "user" else "system", "content": named}


def text_of(content: Content | None) -> str:
    """A content as one text."""
    if content is None or isinstance(content, str):
        return content or ""
    return "".join(part.text for part in content)
