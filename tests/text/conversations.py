"""Conversations that chat templates are rendered for, here and by transformers; see make_chat_goldens.py."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
TEMPLATES = {path.stem: path.read_text(encoding="utf-8") for path in (FOLDER / "chat_templates").glob("*.jinja")}
GOLDENS = FOLDER / "chat_goldens.json"
NOW = datetime(2026, 1, 2, 3, 4, 5)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}

SCHEMA = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": 'a <city> & "more"'},
        "days": {"type": ["integer", "null"]},
        "unit": {"type": "string", "enum": ["C", "F"]},
        "at": {"type": "array", "items": {"type": "number"}},
    },
    "required": ["city"],
}
TOOL = {"type": "function", "function": {"name": "weather", "description": "It's é", "parameters": SCHEMA}}


def said(role: str, content: Any, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def call(arguments: Any) -> list[dict[str, Any]]:
    return [{"id": "call00001", "type": "function", "function": {"name": "weather", "arguments": arguments}}]


ASK, ANSWER, SYSTEM = said("user", "What now?"), said("assistant", "This."), said("system", "Be brief.")
RESULT = said("tool", '{"degrees": 21}', name="weather", tool_call_id="call00001")
CONVERSATIONS: dict[str, list[dict[str, Any]]] = {
    "one turn": [ASK],
    "system": [SYSTEM, ASK],
    "many turns": [SYSTEM, ASK, ANSWER, ASK, ANSWER, ASK],
    "spaces": [said("user", "  two\n\nlines \n"), said("assistant", "\tyes "), ASK],
    "thoughts in the answer": [ASK, said("assistant", "<think>\nwell\n</think>\n\nyes"), ASK],
    "thoughts beside it": [ASK, said("assistant", "yes", reasoning="well"), RESULT],
    "a call": [SYSTEM, ASK, said("assistant", "", tool_calls=call({"city": "Paris", "at": [1, 2.5]})), RESULT, ANSWER],
    "a call in text": [ASK, said("assistant", None, tool_calls=call('{"city": "é"}')), RESULT, RESULT],
    "parts": [said("user", [{"type": "text", "text": "Look: "}, {"type": "image", "url": "cat.png"}])],
    "unicode": [said("user", "é日本 😀 \u200b </s> <|im_end|> [INST] <b>\"'&{{ x }}")],
    "empty": [said("user", ""), said("assistant", ""), said("user", "")],
    "out of turn": [ANSWER, ASK, ASK, said("nobody", "What?")],
}
OPTIONS: dict[str, dict[str, Any]] = {
    "prompt": {"add_generation_prompt": True},
    "tools": {"add_generation_prompt": True, "tools": [TOOL], "enable_thinking": False},
    "documents": {"add_generation_prompt": False, "documents": [{"title": "T", "text": "a\nb"}, {"text": "c"}]},
}
