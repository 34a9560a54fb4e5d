"""Tools that tests offer, and answers in which they are called, as each family writes them."""

from __future__ import annotations

from typing import Any

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "The weather of a city",
    "parameters": {
        "type": "object",
        "properties": {
            "city": {"type": "string", "maxLength": 20},
            "unit": {"enum": ["C", "F"]},
            "days": {"type": "array", "items": {"$ref": "#/$defs/day"}, "maxItems": 2},
        },
        "required": ["city", "unit"],
        "$defs": {"day": {"type": "integer", "minimum": 0, "maximum": 9}},
    },
}
NOW: dict[str, Any] = {"name": "now"}
TOOLS = [WEATHER, NOW]

PARIS = '{"city": "Par\\"}is", "unit": "C"}'  # with what could be taken for its end
ANSWERS = {  # Sure, the weather in Paris, then the time
    "hermes": "Sure.\n<tool_call>\n{'w'}\n</tool_call>\n<tool_call>\n{'n'}\n</tool_call>",
    "mistral": "Sure.[TOOL_CALLS] [{'w'}, {'n'}]",
    "mistral-named": "Sure.[TOOL_CALLS]get_weather[ARGS]PARIS[TOOL_CALLS]now[CALL_ID]abcDEF123[ARGS]{}",
    "llama3": "Sure.\n{'w'}; {'n'}",
    "plain": "Sure.\n```json\n{'w'}\n```\n{'n'}",
}
ANSWERS = {
    family: text.replace("{'w'}", f'{{"name": "get_weather", "arguments": {PARIS}}}')
    .replace("{'n'}", '{"type": "function", "arguments": {}, "name": "now"}')
    .replace("PARIS", PARIS)
    for family, text in ANSWERS.items()
}

_TURN = "<|im_start|>{{ m.role }}\n{{ m.content }}{CALLS}<|im_end|>\n"
_CALLS = "{% for c in m.tool_calls or [] %}{CALL}{% endfor %}"
_CHATML = (
    "{% if tools %}<|im_start|>system\nTools: {% for t in tools %}{{ t | tojson }}\n{% endfor %}{ABOUT}<|im_end|>\n"
    "{% endif %}{% for m in messages %}"
    + _TURN.replace("{CALLS}", _CALLS)
    + "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _chatml(about: str, call: str) -> str:
    return _CHATML.replace("{ABOUT}", about).replace("{CALL}", call)


TEMPLATES = {  # what each family's have in common, around ChatML
    "hermes": _chatml(
        """Write <tool_call>\n{{ '{"name": ..., "arguments": ...}' }}\n</tool_call>""",
        '\n<tool_call>\n{"name": "{{ c.function.name }}", "arguments": {{ c.function.arguments | tojson }}}'
        "\n</tool_call>",
    ),
    "mistral": _chatml(
        "",
        "{% if c.id | length != 9 %}{{ raise_exception('ids have nine characters') }}{% endif %}"
        "[TOOL_CALLS][{{ c.function | tojson }}]",
    ),
    "mistral-named": _chatml("", "[TOOL_CALLS]{{ c.function.name }}[ARGS]{{ c.function.arguments | tojson }}"),
    "llama3": _chatml(
        "<|python_tag|>",
        """{{ '{"name": "' ~ c.function.name ~ '", "parameters": ' ~ (c.function.arguments | tojson) ~ '}' }}""",
    ),
    "plain": (
        "{% for m in messages %}{% if m.role not in ['system', 'user', 'assistant'] or m.tool_calls %}"
        "{{ raise_exception('what is ' ~ m.role) }}{% endif %}"
        "<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    ),
}
