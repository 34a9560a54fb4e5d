"""Models whose template knows no tools, or none of the known ways: calls in JSON, asked for in our own words.

The tools are told in the system message; a call is a line of its own. What calls gave comes back as the user's words.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from furet.chat.messages import Call, Message, arguments_of
from furet.chat.tools.cursor import Steps
from furet.chat.tools.family import Family
from furet.chat.tools.reading import Reading
from furet.chat.tools.tool import Tool

FENCE = "```"  # around JSON, as small models like it
_WORDS = """\
You can use these tools. For each there is a line of JSON, with a JSON schema of its arguments:

{tools}

To use a tool, answer with a line of JSON and nothing else:
{{"tool": "the name of the tool", "arguments": {{...}}}}
Then you are told what it gave. When no tool helps, answer in plain words."""


def _read(answer: Reading) -> Steps[None]:
    while mark := (yield from answer.text_until([FENCE], bare=True)):
        begin = answer.at
        if mark == FENCE:
            yield from answer.passes("json")
        if not (yield from answer.call(opened=mark == "{")):
            yield from answer.as_text(mark, begin)
        elif mark == FENCE:
            yield from answer.passes(FENCE)


PLAIN = Family(
    "plain",
    lambda template: True,
    _read,
    head=lambda name: f'{{"tool": {json.dumps(name)}, "arguments": ',
    bare=True,
)


def in_words(messages: Sequence[Message], tools: Sequence[Tool], *, system: bool = True) -> list[Message]:
    """A conversation for a template that knows neither tools nor calls.

    system  the template knows system messages; otherwise the first message of the user tells of the tools
    """
    told = [_told(message) for message in messages]
    if tools:
        lines = "\n".join(json.dumps(tool.function["function"], ensure_ascii=False) for tool in tools)
        role = "system" if system else "user"
        told = [Message(role, _WORDS.format(tools=lines)), *told]
    joined: list[Message] = []
    for message in told:
        last = joined[-1] if joined else None
        if last is not None and last.role == message.role != "assistant":  # templates want roles by turns
            texts = [message.content, last.content] if message.role == "system" else [last.content, message.content]
            joined[-1] = replace(last, content="\n\n".join(texts))
        else:
            joined.append(message)
    return joined


def _told(message: Message) -> Message:
    """A message without calls, and from no tool."""
    if message.role == "tool":
        of = f" of {message.name}" if message.name else ""
        return Message("user", f"Result{of}:\n{message.content}")
    if message.calls:
        lines = [message.content] if message.content else []
        return Message("assistant", "\n".join([*lines, *map(_line, message.calls)]))
    return message


def _line(call: Call) -> str:
    return PLAIN.head(call.name) + json.dumps(arguments_of(call), ensure_ascii=False) + PLAIN.tail
