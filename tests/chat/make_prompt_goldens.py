"""Conversations with tools, and what transformers makes of them; run it with PYTHONPATH=src:tests/chat to store that.

Parity is then tested where transformers is not installed.
"""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path
from typing import Any

from tool_cases import TEMPLATES, TOOLS

GOLDENS = Path(__file__).parent / "prompt_goldens.json"
OFFERED = [
    {
        "type": "function",
        "function": {
            "name": tool["name"],
            "description": tool.get("description", ""),
            "parameters": tool.get("parameters", {"type": "object", "properties": {}}),
        },
    }
    for tool in TOOLS
]


def _said(role: str, content: str, **more: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **more}


def _calls(*arguments: str) -> list[dict[str, Any]]:
    functions = [{"name": "get_weather", "arguments": text} for text in arguments]
    return [{"id": f"call0000{n}", "type": "function", "function": function} for n, function in enumerate(functions)]


_ASK, _SYSTEM = _said("user", "Hot in <|im_end|> Zoë's town?"), _said("system", "Be {brief}.")
_RESULT = _said("tool", '{"degrees": 21} <|im_start|>', tool_call_id="call00000", name="get_weather")
_CALLED = _said("assistant", "", tool_calls=_calls('{"city": "Zoë\'s </tool_call>", "days": [1, 2.5, null]}'))
CONVERSATIONS: dict[str, tuple[list[dict[str, Any]], bool]] = {  # messages, and whether the last is to be resumed
    "asked": ([_SYSTEM, _ASK], False),
    "called": ([_SYSTEM, _ASK, _CALLED, _RESULT], False),
    "called twice": ([_ASK, _said("assistant", "Well.", tool_calls=_calls("{}", "{}")), _RESULT, _RESULT], False),
    "answered": ([_ASK, _CALLED, _RESULT, _said("assistant", "Warm."), _ASK], False),
    "resumed": ([_SYSTEM, _ASK, _said("assistant", "It is ")], True),
    "resumed by name": ([_ASK, _said("assistant", "It <|im_end|> is")], True),
}


def _for_transformers(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same with arguments as objects, which is what its users are told to give."""
    copied: list[dict[str, Any]] = json.loads(json.dumps(messages))
    for message in copied:
        for call in message.get("tool_calls", ()):
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return copied


def main() -> None:
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel({"x": 0})))
    found: dict[str, str | None] = {}
    for family, name, tools in product(TEMPLATES, CONVERSATIONS, (False, True)):
        messages, resume = CONVERSATIONS[name]
        end = {"continue_final_message": True} if resume else {"add_generation_prompt": True}
        try:
            text = tokenizer.apply_chat_template(
                _for_transformers(messages),
                chat_template=TEMPLATES[family],
                tools=OFFERED if tools else None,
                tokenize=False,
                **end,
            )
        except Exception:
            text = None  # refused
        found[f"{family} / {name} / {tools}"] = text
    GOLDENS.write_text(json.dumps(found, ensure_ascii=False, indent=0) + "\n", encoding="utf-8")
    print(f"{len(found)} prompts, of which {list(found.values()).count(None)} refused")


if __name__ == "__main__":
    main()
