"""From events to a message: as server-sent events one after the other, or as a whole."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import aclosing
from secrets import token_hex
from typing import TYPE_CHECKING, Any

from furet.chat.events import Began, CallArguments, CallBegan, Ended, Text

if TYPE_CHECKING:
    from furet.serve.jobs import AnswerChat
    from furet.serve.models import Models

Event = dict[str, Any]
"""One event; its name is its "type"."""


async def events(name: str, models: Models, job: AnswerChat, max_tokens: int) -> AsyncGenerator[Event, None]:
    """The events of a message. Blocks follow each other: a new one begins where the kind of reply changes."""
    index, kind = -1, ""
    async with aclosing(models.run(name, job)) as replies:
        async for reply in replies:
            match reply:
                case Began():
                    yield {"type": "message_start", "message": _message(name, reply)}
                case Text(text=text) if text:
                    if kind != "text":
                        if kind:
                            yield _stop(index)
                        index, kind = index + 1, "text"
                        yield _start(index, {"type": "text", "text": ""})
                    yield _delta(index, {"type": "text_delta", "text": text})
                case CallBegan():
                    if kind:
                        yield _stop(index)
                    index, kind = index + 1, "tool_use"
                    yield _start(index, {"type": "tool_use", "id": reply.id, "name": reply.name, "input": {}})
                case CallArguments(text=text) if text:
                    yield _delta(index, {"type": "input_json_delta", "partial_json": text})
                case Ended():
                    if kind:
                        yield _stop(index)
                    yield {"type": "message_delta", "delta": _reason(reply, max_tokens), "usage": _usage(reply)}
                    yield {"type": "message_stop"}


async def message(found: AsyncGenerator[Event, None]) -> dict[str, Any]:
    """All events of a message as one object."""
    whole: dict[str, Any] = {}
    texts: list[str] = []  # of the block that is open
    async with aclosing(found):
        async for event in found:
            match event["type"]:
                case "message_start":
                    whole = event["message"]
                case "content_block_start":
                    whole["content"].append(event["content_block"])
                    texts = []
                case "content_block_delta":
                    texts.append(event["delta"].get("text") or event["delta"].get("partial_json") or "")
                case "content_block_stop":
                    _fill(whole["content"][-1], "".join(texts))
                case "message_delta":
                    whole = {**whole, **event["delta"], "usage": {**whole["usage"], **event["usage"]}}
    return whole


def _fill(block: dict[str, Any], text: str) -> None:
    """Give a block what its deltas held; a call that max_tokens cut off has no input as yet."""
    if block["type"] == "text":
        block["text"] = text
        return
    try:
        found = json.loads(text or "{}")
    except ValueError:
        found = None
    block["input"] = found if isinstance(found, dict) else {}


def _message(model: str, began: Began) -> dict[str, Any]:
    return {
        "id": f"msg_{token_hex(12)}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {**_input(began), "output_tokens": 0, "service_tier": "standard"},
    }


def _reason(ended: Ended, max_tokens: int) -> dict[str, Any]:
    """Why it ended. A stop string that is not the client's belongs to the model's format, and ends a turn."""
    if ended.reason == "tool_calls":
        reason = "tool_use"
    elif ended.reason == "length":
        reason = "max_tokens" if ended.answer_tokens >= max_tokens else "model_context_window_exceeded"
    else:
        reason = "stop_sequence" if ended.stop is not None else "end_turn"
    return {"stop_reason": reason, "stop_sequence": ended.stop}


def _usage(ended: Ended) -> dict[str, Any]:
    return {**_input(ended), "output_tokens": ended.answer_tokens}


def _input(at: Began | Ended) -> dict[str, Any]:
    """The prompt's tokens: those computed, and those that were held already."""
    return {
        "input_tokens": at.prompt_tokens - at.cached_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": at.cached_tokens,
    }


def _start(index: int, block: dict[str, Any]) -> Event:
    return {"type": "content_block_start", "index": index, "content_block": block}


def _delta(index: int, delta: dict[str, Any]) -> Event:
    return {"type": "content_block_delta", "index": index, "delta": delta}


def _stop(index: int) -> Event:
    return {"type": "content_block_stop", "index": index}
