"""Mistral, in two ways: [TOOL_CALLS][{"name": "...", "arguments": {...}}], and since 2025 [TOOL_CALLS]name[ARGS]{...}.

Source: the chat templates of mistralai/Mistral-Nemo-Instruct-2407 and Mistral-Small-3.2-24B-Instruct-2506, and
mistral-common's tokenizers of version 3 and 11.
"""

from __future__ import annotations

import json
import re

from furet.chat.tools.cursor import Steps
from furet.chat.tools.family import Family
from furet.chat.tools.reading import Reading

OPENING, ID, ARGUMENTS = "[TOOL_CALLS]", "[CALL_ID]", "[ARGS]"
_NAME = re.compile(r"[\w.-]")
_LETTER = re.compile("[A-Za-z0-9]")


def _read(answer: Reading) -> Steps[None]:
    """Both ways: they begin alike, and differ in the next character."""
    while mark := (yield from answer.text_until([OPENING])):
        begin = answer.at
        listed = yield from answer.passes("[")
        if not (yield from (answer.call() if listed else _named(answer))):
            yield from answer.as_text(mark, begin)
        elif listed:
            while (yield from answer.passes(",")) and (yield from answer.call()):
                pass
            yield from answer.passes("]")


def _named(answer: Reading) -> Steps[bool]:
    """Read a call written as name[ARGS]{...}; some have an id in between."""
    yield from answer.spaces()
    name = yield from answer.matching(_NAME)
    if name not in answer.tools:
        return False
    if (yield from answer.passes(ID)):
        yield from answer.matching(_LETTER)
    return (yield from answer.passes(ARGUMENTS)) and (yield from answer.arguments(name))


LISTED = Family(
    "mistral",
    lambda template: "tools" in template and OPENING in template,
    _read,
    head=lambda name: f'{{"name": {json.dumps(name)}, "arguments": ',
    opening=f"{OPENING}[",
    between=", ",
    closing="]",
    marks=(OPENING,),
    short_ids=True,
)
NAMED = Family(
    "mistral-named",
    lambda template: "tools" in template and OPENING in template and ARGUMENTS in template,
    _read,
    head=lambda name: f"{name}{ARGUMENTS}",
    tail="",
    opening=OPENING,
    between=OPENING,
    marks=(OPENING, ID, ARGUMENTS),
    short_ids=True,
)
