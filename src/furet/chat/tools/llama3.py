"""Llama 3.1 to 3.3: the whole answer is {"name": "...", "parameters": {...}}, after <|python_tag|> or not.

Source: the chat templates of meta-llama/Llama-3.1-8B-Instruct and Llama-3.2-3B-Instruct.
"""

from __future__ import annotations

import json

from furet.chat.tools.cursor import Steps
from furet.chat.tools.family import Family
from furet.chat.tools.reading import Reading

TAG = "<|python_tag|>"


def _asked_by(template: str) -> bool:
    """Functionary has the same tag, and calls of its own."""
    asked = TAG in template or ("<|start_header_id|>" in template and '"parameters"' in template)
    return "tools" in template and asked and "<function=" not in template


def _read(answer: Reading) -> Steps[None]:
    while mark := (yield from answer.text_until([TAG], bare=True)):
        begin = answer.at
        if not (yield from answer.call(opened=mark == "{")):
            yield from answer.as_text(mark, begin)
            continue
        while (yield from answer.passes(";")):  # several calls, as some of its tunes write them
            begin = answer.at
            if not (yield from answer.call()):
                yield from answer.as_text(";", begin)
                break


LLAMA3 = Family(
    "llama3",
    _asked_by,
    _read,
    head=lambda name: f'{{"name": {json.dumps(name)}, "parameters": ',
    marks=(TAG,),
    bare=True,
    single=True,
)
