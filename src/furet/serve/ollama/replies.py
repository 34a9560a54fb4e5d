"""From events to the lines of an answer: pieces, then one that says how it ended and where the time went."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timezone
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from furet.chat.events import CallArguments, CallBegan, Ended, Text
from furet.serve.jobs import Job
from furet.serve.openai.answers import Spelling

if TYPE_CHECKING:
    from furet.serve.errors import Failure
    from furet.serve.models import Models

NDJSON = "application/x-ndjson"
Line = dict[str, Any]
Part = Callable[[str, Sequence[Line]], Line]
"""How a piece of text and the calls that are complete with it are written."""


@dataclass(frozen=True)
class Clock:
    """When a request came, and how much of the time since went into loading its model; nanoseconds."""

    began: int = field(default_factory=perf_counter_ns)
    loading: int = 0

    def loaded(self) -> Clock:
        """The same, the model being loaded now."""
        return Clock(self.began, self.passed())

    def passed(self) -> int:
        """Nanoseconds since the request came."""
        return perf_counter_ns() - self.began


def chat_part(text: str, calls: Sequence[Line] = ()) -> Line:
    """A piece of an answer of /api/chat."""
    return {"message": {"role": "assistant", "content": text, **({"tool_calls": list(calls)} if calls else {})}}


def generate_part(text: str, calls: Sequence[Line] = ()) -> Line:
    """A piece of an answer of /api/generate, which knows no tools."""
    return {"response": text}


def head(model: str) -> Line:
    """What every line begins with."""
    return {"model": model, "created_at": datetime.now(timezone.utc).isoformat()}


async def lines(models: Models, name: str, job: Job, part: Part, clock: Clock) -> AsyncGenerator[Line, None]:
    """The lines of an answer. A call's arguments are an object, so it is given when they are complete."""
    spelling = Spelling(models, name)
    call: CallBegan | None = None
    arguments = ""
    async with aclosing(models.run(name, job)) as replies:
        async for reply in replies:
            if call and not isinstance(reply, CallArguments):
                yield {**head(name), **part(*_called(call, arguments)), "done": False}
                call, arguments = None, ""
            match reply:
                case Text(text=text) if text or reply.logprobs:
                    logprobs = {"logprobs": await spelling.shown(reply.logprobs)} if reply.logprobs else {}
                    yield {**head(name), **part(text, ()), "done": False, **logprobs}
                case CallBegan():
                    call = reply
                case CallArguments():
                    arguments += reply.text
                case Ended():
                    yield {**head(name), **part("", ()), **_end(reply, clock)}


async def all_of(found: AsyncGenerator[Line, None]) -> list[Line]:
    """All lines of an answer."""
    async with aclosing(found):
        return [line async for line in found]


def joined(found: Sequence[Line], part: Part) -> Line:
    """All lines of an answer as one."""
    texts = [line["response"] if "response" in line else line["message"]["content"] for line in found]
    calls = [call for line in found for call in line.get("message", {}).get("tool_calls", ())]
    logprobs = [each for line in found for each in line.get("logprobs", ())]
    return {**found[-1], **part("".join(texts), calls), **({"logprobs": logprobs} if logprobs else {})}


def written(line: Line) -> bytes:
    """A line as it is sent."""
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace") + b"\n"


async def all_written(found: AsyncGenerator[Line, None]) -> AsyncGenerator[bytes, None]:
    """All lines as they are sent, one by one."""
    async with aclosing(found):
        async for line in found:
            yield written(line)


def failed(failure: Failure) -> bytes:
    """The last line of a stream that fails on the way."""
    return written({"error": failure.message})


def _called(call: CallBegan, arguments: str) -> tuple[str, Sequence[Line]]:
    """A call with its arguments, or what there is of them as text when max_tokens cut them off."""
    try:
        found = json.loads(arguments or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict):
        return arguments, ()
    return "", [{"id": call.id, "function": {"index": call.index, "name": call.name, "arguments": found}}]


def _end(ended: Ended, clock: Clock) -> Line:
    return {
        "done": True,
        "done_reason": "stop" if ended.reason == "tool_calls" else ended.reason,
        "total_duration": clock.passed(),
        "load_duration": clock.loading,
        "prompt_eval_count": ended.prompt_tokens,
        "prompt_eval_duration": int(1e9 * ended.prefill_seconds),
        "eval_count": ended.answer_tokens,
        "eval_duration": int(1e9 * ended.decode_seconds),
    }
