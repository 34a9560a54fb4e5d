"""Our chat prompts against apply_chat_template's, to the byte, on every template of a folder.

    PEER/python benchmarks/template_parity.py FOLDER      # *.jinja; needs transformers, and furet on the path

llama.cpp's source keeps some seventy published templates in models/templates. Each is rendered for every
conversation and set of options below, by both sides at the same frozen time. Where one side refuses, so must
the other. Then each is put where models keep theirs, together with the next one as the template for tools,
and both sides must find the same. Prints the first difference of each template; the last line is JSON; exits
with 1 if there was one.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
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


def called(*arguments: Any) -> list[dict[str, Any]]:
    """Calls of the tool with these arguments; their ids have the nine letters that some templates ask for."""
    return [
        {"id": f"abcdefgh{n}", "type": "function", "function": {"name": "weather", "arguments": each}}
        for n, each in enumerate(arguments)
    ]


ASK, ANSWER, SYSTEM = said("user", "What now?"), said("assistant", "This."), said("system", "Be brief.")
RESULT = said("tool", '{"degrees": 21}', name="weather", tool_call_id="abcdefgh0")
PARIS = {"city": "Paris", "days": 2}
TEXT, IMAGE = {"type": "text", "text": "a part"}, {"type": "image", "image": "cat.png"}
CONVERSATIONS = [
    [],
    [ASK],
    [SYSTEM, ASK],
    [ASK, ANSWER, said("user", "  two\n\nlines \n")],
    [SYSTEM, ASK, ANSWER, ASK, ANSWER, ASK],
    [SYSTEM, *[ASK, ANSWER] * 20, ASK],
    [ASK, said("assistant", "<think>\nwell\n</think>\n\nyes"), ASK],
    [ASK, said("assistant", "yes", reasoning_content="well"), ASK],
    [ASK, said("assistant", "yes", thinking="well"), ASK],
    [ASK, said("assistant", "", reasoning="well", tool_calls=called(PARIS)), RESULT],
    [SYSTEM, ASK, said("assistant", "", tool_calls=called(PARIS)), RESULT, ANSWER, ASK],
    [ASK, said("assistant", None, tool_calls=called('{"city": "Paris"}')), RESULT],
    [ASK, said("assistant", "I look.", tool_calls=called(PARIS, {})), RESULT, RESULT, ASK],
    [ASK, said("assistant", "", tool_calls=called({"city": {"é": [1, None, True, 0.5, "<&'\""]}})), RESULT],
    [ASK, said("assistant", "", tool_calls=None, name=None), ASK],
    [ASK, said("assistant", "", tool_calls=[]), ASK],
    [said("user", [TEXT])],
    [said("user", [TEXT, IMAGE, TEXT]), said("assistant", [TEXT]), said("user", [])],
    [said("user", "é日本 😀 \u200b\u0301 </s> <|im_end|> [INST] <b>\"'&")],
    [said("user", ""), said("system", "")],
    [said("user", " \n"), said("assistant", ""), said("user", "\t")],
    [SYSTEM, SYSTEM, ASK],
    [SYSTEM],
    [ANSWER, ASK],
    [ASK, ASK],
    [ASK, ANSWER],
    [ASK, ANSWER, ANSWER],
    [said("developer", "Be exact."), ASK],
    [said("nobody", "What?")],
    [{"role": "user"}],
]
OPTIONS: list[dict[str, Any]] = [
    {},
    {"tools": TOOLS},
    {"tools": TOOLS * 2, "enable_thinking": False},
    {"enable_thinking": True},
    {"documents": [{"title": "A title", "text": "A text"}]},
]


SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
LISTED = ("default", "tool_use")
# What is where, by file: "tokenizer_config.json" holds a text or a list, the others a text.
PLACES: list[dict[str, tuple[str, ...]]] = [
    {"tokenizer_config.json": ("default",)},
    {"tokenizer_config.json": LISTED},
    {"chat_template.jinja": ("default",)},
    {"chat_template.jinja": ("default",), "additional_chat_templates/tool_use.jinja": ("tool_use",)},
    {"chat_template.jinja": ("tool_use",), "tokenizer_config.json": LISTED},
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


def rendered(tokenizer: Any, source: str, counts: Counter[str]) -> str:
    """The first difference on one template, or nothing."""
    from furet.text.template import ChatTemplate

    names = {name: text for name, text in SPECIAL.items() if name not in ("bos_token", "eos_token")}
    ours = ChatTemplate(source, SPECIAL["bos_token"], SPECIAL["eos_token"], names=names, now=lambda: NOW)
    first = ""
    for messages, options, prompting in product(CONVERSATIONS, OPTIONS, (True, False)):
        given = {**options, "add_generation_prompt": prompting}
        wanted = outcome(
            tokenizer.apply_chat_template, messages, chat_template=source, tokenize=False, **given
        )
        got = outcome(ours.render, messages, **given)
        counts.update(cases=1, refused=wanted is None)
        if got != wanted:
            counts["differences"] += 1
            first = first or f"{messages} {given}\n  ours    {got!r}\n  theirs  {wanted!r}"
    return first


def placed(tokenizer: Any, sources: dict[str, str], counts: Counter[str]) -> str:
    """The first place in which the two sides do not find the same templates, or nothing."""
    from transformers import PreTrainedTokenizerFast

    from furet.text.template_files import pick_template, templates_in_folder

    for place in PLACES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            tokenizer.save_pretrained(folder)
            for file, held in place.items():
                path = folder / file
                path.parent.mkdir(exist_ok=True)
                if path.suffix == ".jinja":
                    path.write_text(sources[held[0]], encoding="utf-8")
                    continue
                listed = [{"name": each, "template": sources[each]} for each in held]
                config = json.loads(path.read_text())
                config["chat_template"] = listed if len(listed) > 1 else sources[held[0]]
                path.write_text(json.dumps(config))
            theirs = PreTrainedTokenizerFast.from_pretrained(folder)
            ours = templates_in_folder(folder)
            for tools in (None, TOOLS):
                counts["places"] += 1
                if pick_template(ours, tools=tools is not None) != theirs.get_chat_template(tools=tools):
                    return f"found something else in {place}"
    return ""


def main() -> int:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast
    from transformers.utils import chat_template_utils

    chat_template_utils.datetime = Frozen
    words = {text: number for number, text in enumerate(SPECIAL.values())}
    model = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=model, **SPECIAL)
    paths = sorted(Path(sys.argv[1]).glob("*.jinja"))
    sources = [path.read_text(encoding="utf-8") for path in paths]
    counts: Counter[str] = Counter(cases=0, refused=0, differences=0, places=0)
    different: list[str] = []
    for path, source, other in zip(paths, sources, sources[1:] + sources[:1], strict=True):
        both = {"default": source, "tool_use": other}
        first = rendered(tokenizer, source, counts) or placed(tokenizer, both, counts)
        if first:
            different.append(path.name)
            print(f"{path.name}: {first}")
    said_of = {"templates": len(paths), "conversations": len(CONVERSATIONS)}
    print(json.dumps({**said_of, **counts, "different": different}))
    return 1 if different or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
