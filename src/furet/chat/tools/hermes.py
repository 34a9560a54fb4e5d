"""Hermes 2 Pro and 3, Qwen 2.5 and 3, and others: <tool_call>{"name": "...", "arguments": {...}}</tool_call>.

Source: the chat templates of NousResearch/Hermes-3-Llama-3.1-8B and Qwen/Qwen2.5-7B-Instruct.
"""

from __future__ import annotations

import json
import re

from furet.chat.tools.cursor import Steps
from furet.chat.tools.family import Family
from furet.chat.tools.reading import Reading

OPENING, CLOSING = "<tool_call>", "</tool_call>"
# Others have the same tag around XML (Qwen3 Coder, GLM 4.5), or around a list.
_SHOWN = re.compile(OPENING + r"""[\s\\n"'{}-]{0,40}"name""")  # across the borders of Jinja's texts


def _asked_by(template: str) -> bool:
    return "tools" in template and _SHOWN.search(template) is not None


def _read(answer: Reading) -> Steps[None]:
    while mark := (yield from answer.text_until([OPENING])):
        begin = answer.at
        if (yield from answer.call()):
            yield from answer.passes(CLOSING)
        else:
            yield from answer.as_text(mark, begin)


HERMES = Family(
    "hermes",
    _asked_by,
    _read,
    head=lambda name: f'\n{{"name": {json.dumps(name)}, "arguments": ',
    tail=f"}}\n{CLOSING}",
    opening=OPENING,
    between=f"\n{OPENING}",
    marks=(OPENING, CLOSING),
)
