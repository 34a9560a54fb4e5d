"""Messages of blocks in the words of `furet.serve.jobs`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from furet.chat.tools.tool import read_offer
from furet.errors import BadRequest
from furet.serve.anthropic.bodies import Create, Message, NamedChoice, Prompt, TextBlock, ToolResult, ToolUse

BLOCKS = {"user": ("text", "tool_result"), "assistant": ("text", "tool_use"), "system": ("text",)}

Turn = dict[str, Any]


def conversation(body: Prompt) -> list[Turn]:
    """The messages of a job: the system's, then turns. Messages of one role that follow each other become one.

    raises  BadRequest naming the message or block that stands where it has no meaning
    """
    turns: list[Turn] = [{"role": "system", "content": _text(body.system)}] if body.system else []
    asked: set[str] = set()  # calls without a result as yet
    for place, message in enumerate(body.messages):
        for turn in _turns(message, asked, f"messages[{place}].content"):
            last = turns[-1] if turns else {"role": ""}
            if last["role"] == turn["role"] and turn["role"] != "tool":
                _merge(last, turn)
            else:
                turns.append(turn)
    return turns


@dataclass(frozen=True)
class Offered:
    """The tools of a job, which of them are called, and whether several in one answer."""

    tools: list[dict[str, Any]]
    choice: str | dict[str, str] = "auto"
    parallel: bool = True


def offered(body: Prompt) -> Offered:
    """What the model may call; BadRequest naming the tool or the choice at fault."""
    tools = [
        {
            "name": tool.name,
            "description": tool.description or "",
            "parameters": tool.input_schema,
            "strict": bool(tool.strict),
        }
        for tool in body.tools or ()
    ]
    found = Offered(tools)
    if chosen := body.tool_choice:
        choices: Mapping[str, str] = {"auto": "auto", "any": "required", "none": "none"}
        choice = {"name": chosen.name} if isinstance(chosen, NamedChoice) else choices[chosen.type]
        found = Offered(tools, choice, not chosen.disable_parallel_tool_use)
    read_offer(found.tools, found.choice, found.parallel)
    return found


def resumes(turns: Sequence[Turn]) -> bool:
    """Whether the answer goes on with the last message; BadRequest when that one cannot be gone on with."""
    last = turns[-1]
    if last["role"] == "system":
        raise BadRequest("messages: wanted one of the user, or of the assistant to go on with, at the end")
    if last.get("tool_calls"):
        raise BadRequest("messages: the last message calls tools, and there are no results", "add tool_result blocks")
    return unfinished(turns)


def unfinished(turns: Sequence[Turn]) -> bool:
    """Whether the last message is one that an answer goes on with."""
    return bool(turns[-1]["role"] == "assistant" and not turns[-1].get("tool_calls"))


def request_options(body: Create) -> dict[str, Any]:
    """The options of an answer as fields of `furet.engine.Request`."""
    options: dict[str, Any] = {"max_tokens": body.max_tokens}
    for name in ("temperature", "top_k", "top_p"):
        if (value := getattr(body, name)) is not None:
            options[name] = value
    if body.stop_sequences:
        options["stop"] = body.stop_sequences
    if body.output_config and body.output_config.format:
        options["json_schema"] = body.output_config.format.schema_
    return options


def _turns(message: Message, asked: set[str], where: str) -> list[Turn]:
    """What one message stands for: results of tools each for itself, then text; or text with calls."""
    results: list[Turn] = []
    texts: list[str] = []
    calls: list[Mapping[str, str]] = []
    for place, block in enumerate(message.content):
        if block.type not in BLOCKS[message.role]:
            wanted = " or ".join(BLOCKS[message.role])
            got = f"{block.type!r} in a message of the {message.role}"
            raise BadRequest(f"{where}[{place}].type: got {got}, wanted {wanted}")
        match block:
            case TextBlock():
                texts.append(block.text)
            case ToolUse():
                asked.add(block.id)
                arguments = json.dumps(block.input, ensure_ascii=False)
                calls.append({"id": block.id, "name": block.name, "arguments": arguments})
            case ToolResult():
                if texts:
                    raise BadRequest(f"{where}[{place}]: tool_result blocks come before all text of a message")
                if block.tool_use_id not in asked:
                    wanted = "the id of a call that has no result yet"
                    raise BadRequest(f"{where}[{place}].tool_use_id: got {block.tool_use_id!r:.80}, wanted {wanted}")
                asked.discard(block.tool_use_id)
                results.append(_result(block))
    if results and not texts:
        return results
    between = "" if message.role == "assistant" else "\n"
    turn: Turn = {"role": message.role, "content": between.join(texts)}
    return [*results, {**turn, "tool_calls": calls} if calls else turn]


def _result(block: ToolResult) -> Turn:
    text = _text(block.content)
    return {"role": "tool", "content": f"Error: {text}" if block.is_error else text, "tool_call_id": block.tool_use_id}


def _merge(last: Turn, turn: Turn) -> None:
    """Add a message to the one of the same role before it."""
    last["content"] = "\n".join(text for text in (last["content"], turn["content"]) if text)
    if calls := [*last.get("tool_calls", ()), *turn.get("tool_calls", ())]:
        last["tool_calls"] = calls


def _text(blocks: Sequence[TextBlock]) -> str:
    return "\n".join(block.text for block in blocks)
