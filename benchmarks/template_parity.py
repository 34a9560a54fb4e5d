"""Our chat prompts against apply_chat_template's, to the byte, on every template of a folder.

    PEER/python benchmarks/template_parity.py FOLDER      # *.jinja; needs transformers, and furet on the path

llama.cpp's source keeps some seventy published templates in models/templates. Each is rendered for every
conversation and set of options below, by both sides at the same frozen time. Where one side refuses, so must
the other. Prints the first difference of each template; the last line is JSON; exits with 1 if there was one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

NOW = datetime(2026, 1, 2, 3, 4, 5)
CITY = {"type": "string", "description": 'a <city> & "more"'}
TOOL = {"name": "weather", "description": "The weather's state", "parameters": {"type": "object"}}
TOOL["parameters"] |= {
    "properties": {"city": CITY, "days": {"type": "integer", "enum": [1, 2]}},
    "required": ["city"],
}  # type: ignore[operator]
TOOLS = [{"type": "function", "function": TOOL}]


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def called(arguments: Any) -> list[dict[str, Any]]:
    return [{"id": "abcdefghi", "type": "function", "function": {"name": "weather", "arguments": arguments}}]


ASK, ANSWER, SYSTEM = said("user", "What now?"), said("assistant", "This."), said("system", "Be brief.")
RESULT = said("tool", '{"degrees": 21}', name="weather", tool_call_id="abcdefghi")
CONVERSATIONS = [
    [],
    [ASK],
    [SYSTEM, ASK],
    [ASK, ANSWER, said("user", "  two\n\nlines \n")],
    [SYSTEM, ASK, ANSWER, ASK, ANSWER, ASK],
    [ASK, said("assistant", "<think>\nwell\n</think>\n\nyes"), ASK],
    [ASK, said("assistant", "yes", reasoning_content="well"), ASK],
    [
        SYSTEM,
        ASK,
        said("assistant", "", tool_calls=called({"city": "Paris", "days": 2})),
        RESULT,
        ANSWER,
        ASK,
    ],
    [ASK, said("assistant", None, tool_calls=called('{"city": "Paris"}')), RESULT],
    [said("user", [{"type": "text", "text": "a part"}])],
    [said("user", "é日本 😀 </s> <|im_end|> <b>\"'&")],
    [said("user", ""), said("system", "")],
    [ANSWER, ASK],
    [ASK, ASK],
    [said("developer", "Be exact."), ASK],
    [said("nobody", "What?")],
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"tools": TOOLS},
    {"tools": TOOLS * 2, "enable_thinking": False},
    {"enable_thinking": True},
    {"documents": [{"title": "A title", "text": "A text"}]},
]


class Frozen(datetime):
    """A clock that stands still."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:
        return NOW


def outcome(render: Callable[..., str], *args: Any, **options: Any) -> str | None:
    """What `render` gives, or None where it refuses."""
    try:
        return render(*args, **options)
    except Exception:
        return None


def main() -> int:
    from transformers.utils import chat_template_utils

    from furet.text.template import ChatTemplate

    chat_template_utils.datetime = Frozen
    paths = sorted(Path(sys.argv[1]).glob("*.jinja"))
    cases = refused = 0
    different: list[str] = []
    for path in paths:
        source = path.read_text(encoding="utf-8")
        theirs = chat_template_utils._compile_jinja_template(source)
        ours = ChatTemplate(source, "<s>", "</s>", now=lambda: NOW)
        for messages, options, prompting in product(CONVERSATIONS, OPTIONS, (True, False)):
            given = {"messages": messages, "tools": None, "documents": None, **options}
            given |= {"add_generation_prompt": prompting, "bos_token": "<s>", "eos_token": "</s>"}
            wanted = outcome(theirs.render, **given)
            got = outcome(ours.render, messages, add_generation_prompt=prompting, **options)
            cases += 1
            refused += wanted is None
            if got != wanted and path.name not in different:
                different.append(path.name)
                print(f"{path.name}: {messages} {options}\n  ours    {got!r}\n  theirs  {wanted!r}")
    print(json.dumps({"templates": len(paths), "cases": cases, "refused": refused, "different": different}))
    return 1 if different or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
