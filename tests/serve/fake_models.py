"""A stand-in for `furet.serve.models.Models`: the same methods, deterministic answers, failures on demand.

    "fake"          answers a conversation with what the user said last, a prompt with itself; offered tools, it calls
                    the first (or the one demanded) when the user's words hold "call", or when a call is required
    "fake-embed"    gives vectors of four numbers, and answers nothing

What a test may set: `before`, raised instead of the first event; `after`, raised after `after_events` events;
`gate`, an asyncio.Event for which every answer waits before its second event. What it may read: `jobs`, all that
was asked for; `running`, answers that have begun and not ended; `closed`, answers that were left early.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

from furet.chat.events import Began, CallArguments, CallBegan, Ended, Event, Text
from furet.engine.memory import Budget
from furet.errors import BadRequest, NotFound
from furet.sample.token_logprob import TokenLogprob
from furet.serve.jobs import (
    AnswerChat,
    Continue,
    CountTokens,
    Detokenize,
    Embed,
    Job,
    Reply,
    Result,
    Tokenize,
)
from furet.serve.models import Loaded
from furet.serve.names import LATEST, Listed
from furet.serve.pulling import PullProgress

NAMES = ("fake", "fake-embed")


def listed(ref: str, alias: str | None = None) -> Listed:
    """A model on this machine."""
    return Listed(ref, alias, 98_000_000, 1_750_000_000.0, "/models/fake.gguf")


def loaded(name: str, pinned: bool = False) -> Loaded:
    """A model in memory."""
    return Loaded(name, 4242, 120_000_000, 2048, 1_750_000_000.0, 1_750_000_100.0, 0, 0, pinned)


class FakeModels:
    """Every method of `Models`, without a model."""

    def __init__(self) -> None:
        self.budget = Budget(1 << 33, "what tests have")
        self.before: Exception | None = None
        self.after: Exception | None = None
        self.after_events = 2
        self.gate: asyncio.Event | None = None
        self.jobs: list[tuple[str, Job]] = []
        self.running = 0
        self.closed = 0
        self.deleted: list[str] = []
        self.stays: dict[str, float] = {}
        self._loaded: dict[str, Loaded] = {}
        self._words: list[str] = []

    async def run(self, model: str, job: Job) -> AsyncIterator[Reply]:
        """The events of an answer, or the one result of another job."""
        self.jobs.append((model, job))
        if self.before is not None:
            raise self.before
        if model not in NAMES:
            raise NotFound(f"{model:.80}: no such model", "`furet ls` lists those on this machine")
        self._loaded.setdefault(model, loaded(model))
        if not isinstance(job, AnswerChat | Continue):
            yield Result(self._value(model, job))
            return
        if model == "fake-embed":
            raise BadRequest("this model embeds texts: use `embed`")
        self.running += 1
        ended = False
        try:
            for count, event in enumerate(self._events(job)):
                if self.after is not None and count == self.after_events:
                    raise self.after
                if self.gate is not None and count == 1:
                    await self.gate.wait()
                await asyncio.sleep(0)
                yield event
            ended = True
        finally:
            self.running -= 1
            self.closed += not ended

    async def result(self, model: str, job: Job) -> Any:
        """The value of a job that gives one result."""
        async for reply in self.run(model, job):
            assert isinstance(reply, Result)
            return reply.value
        raise AssertionError("a job without a result")

    def installed(self) -> list[Listed]:
        """Models on this machine."""
        return [listed("hf:test/fake:Q4_1", "fake"), listed("hf:test/fake-embed", "fake-embed")]

    async def find(self, name: str) -> Listed:
        """The model of a name."""
        for each in self.installed():
            if name.lower().removesuffix(LATEST) in (each.ref.lower(), each.alias):
                return each
        raise NotFound(f"there is no model {name!r:.100} here")

    def loaded(self) -> list[Loaded]:
        """Models in memory."""
        return list(self._loaded.values())

    async def load(self, model: str) -> None:
        """Into memory."""
        if model not in NAMES:
            raise NotFound(f"{model:.80}: no such model")
        self._loaded.setdefault(model, loaded(model))

    async def unload(self, model: str) -> None:
        """Out of memory."""
        self._loaded.pop(model, None)

    async def let_stay(self, model: str, seconds: float) -> None:
        """In memory for so long without a request."""
        self.stays[model] = seconds
        if not seconds:
            await self.unload(model)

    async def pin(self, model: str, on: bool) -> None:
        """Keep it in memory, or not."""
        await self.load(model)
        self._loaded[model] = loaded(model, on)

    async def pull(self, ref: str) -> AsyncIterator[PullProgress]:
        """A download of three steps."""
        if self.before is not None:
            raise self.before
        for done in (0, 50, 100):
            await asyncio.sleep(0)
            yield PullProgress(f"{ref}.gguf", done, 100)

    async def delete(self, ref: str) -> None:
        """From the disk."""
        if ref not in NAMES:
            raise NotFound(f"{ref:.80}: no such model")
        self.deleted.append(ref)

    async def plan(self, ref: str, context: int | None) -> dict[str, Any]:
        """The memory it would take."""
        return {"ref": ref, "context": context or 2048, "total": 120_000_000, "rows": {"weights": 98_000_000}}

    async def close(self) -> None:
        """End everything."""
        self._loaded.clear()

    def ids(self, text: str) -> list[int]:
        """A token for each word with the space before it."""
        words = re.findall(r"\s*\S+|\s+$", text)
        for word in words:
            if word not in self._words:
                self._words.append(word)
        return [self._words.index(word) for word in words]

    def text(self, tokens: Any) -> str:
        """What tokens stand for."""
        for token in tokens:
            if not 0 <= token < len(self._words):
                raise BadRequest(f"token {token}: wanted 0 to {len(self._words) - 1}")
        return "".join(self._words[token] for token in tokens)

    def _value(self, model: str, job: Job) -> dict[str, Any]:
        """What the job gives."""
        if isinstance(job, Embed):
            if model != "fake-embed":
                raise BadRequest("this model continues texts: use `generate`")
            counts = [len(self.ids(text)) if isinstance(text, str) else len(text) for text in job.texts]
            return {"vectors": [[0.5, -0.5, 0.5, count / 8] for count in counts], "tokens": sum(counts)}
        if isinstance(job, Tokenize):
            ids = self.ids(job.text)
            return {"tokens": ids, **({"pieces": [self.text([id]) for id in ids]} if job.pieces else {})}
        if isinstance(job, Detokenize):
            value: dict[str, Any] = {"text": self.text(job.tokens)}
            if job.bytes:
                value["bytes"] = [list(self.text([token]).encode()) for token in job.tokens]
            return value
        assert isinstance(job, CountTokens)
        return {"tokens": self._count(job.messages)}

    def _count(self, messages: Any) -> int:
        return sum(len(self.ids(message.get("content") or "")) + 1 for message in messages)

    def _events(self, job: AnswerChat | Continue) -> Iterator[Event]:
        options = dict(job.options)
        seed = 7 if options.get("seed") is None else options["seed"]
        if isinstance(job, AnswerChat):
            prompt = self._count(job.messages)
            said = next((m["content"] for m in reversed(job.messages) if m["role"] in ("user", "tool")), "")
        else:
            said = job.prompt if isinstance(job.prompt, str) else self.text(job.prompt)
            prompt = len(self.ids(said))
        yield Began(prompt, cached_tokens=prompt // 2, seed=seed)
        if isinstance(job, AnswerChat) and (name := _called(job, said)):
            yield CallBegan(0, "call_0", name)
            text = json.dumps({"city": "Paris", "said": said})
            for start in range(0, len(text), 7):
                yield CallArguments(0, text[start : start + 7])
            yield Ended("tool_calls", None, prompt, prompt // 2, 9, seed)
            return
        yield from self._spoken(said or "nothing", options, Ended("stop", None, prompt, prompt // 2, 0, seed))

    def _spoken(self, said: str, options: dict[str, Any], ended: Ended) -> Iterator[Event]:
        """The text, word by word, within max_tokens and up to a stop string."""
        stops = options.get("stop") or ()
        stops = (stops,) if isinstance(stops, str) else stops
        found = min((stop for stop in stops if stop in said), key=said.index, default=None)
        ids = self.ids(said if found is None else said[: said.index(found)])
        most = options.get("max_tokens")
        spoken = ids if most is None else ids[:most]
        for token in spoken:
            logprobs: tuple[TokenLogprob, ...] = ()
            if (top := options.get("logprobs")) is not None:
                others = tuple((other, -0.25 - other) for other in range(min(top, len(self._words))))
                logprobs = (TokenLogprob(token, -0.25, others),)
            yield Text(self.text([token]), (token,), logprobs)
        cut = len(spoken) < len(ids)
        reason, stop = ("length", None) if cut else ("stop", found)
        yield Ended(
            reason, stop, ended.prompt_tokens, ended.cached_tokens, len(spoken), ended.seed, 0.01, 0.001 * len(spoken)
        )  # type: ignore[arg-type]


def _called(job: AnswerChat, said: str) -> str | None:
    """The name of the tool that is called, if one is."""
    names = [tool["name"] for tool in job.tools]
    if not names or job.tool_choice == "none":
        return None
    if not isinstance(job.tool_choice, str):
        return job.tool_choice["name"]
    asked = "call" in said and job.messages[-1]["role"] == "user"
    return names[0] if asked or job.tool_choice == "required" else None
