"""Answers of several jobs at once, and what all shapes of the API have in common."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import cache
from typing import TYPE_CHECKING, Any, cast

import furet
from furet.chat.events import CallArguments, CallBegan, Ended, Event, Text
from furet.sample.token_logprob import TokenLogprob
from furet.serve.jobs import AnswerChat, Continue, Detokenize

if TYPE_CHECKING:
    from furet.serve.models import Models

TOGETHER = 8  # jobs of one request that run at once
Answers = AsyncGenerator[tuple[int, Event], None]


@dataclass
class Answer:
    """One answer, gathered from its events."""

    text: list[str] = field(default_factory=list)
    calls: list[dict[str, str]] = field(default_factory=list)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    ended: Ended = field(default_factory=lambda: Ended("cancelled"))

    def add(self, event: Event) -> None:
        """The next event."""
        if isinstance(event, Text):
            self.text.append(event.text)
            self.logprobs += event.logprobs
        elif isinstance(event, CallBegan):
            self.calls.append({"id": event.id, "name": event.name, "arguments": ""})
        elif isinstance(event, CallArguments):
            self.calls[event.index]["arguments"] += event.text
        elif isinstance(event, Ended):
            self.ended = event


async def events(models: Models, model: str, jobs: Sequence[AnswerChat | Continue]) -> Answers:
    """The events of all answers as they come, each with the place of its job; leaving ends all of them."""
    if len(jobs) == 1:
        async with aclosing(models.run(model, jobs[0])) as replies:
            async for reply in replies:
                yield 0, cast(Event, reply)
        return
    arrived: asyncio.Queue[tuple[int, Event | Exception | None]] = asyncio.Queue(maxsize=64)
    turns = asyncio.Semaphore(TOGETHER)

    async def answer(place: int) -> None:
        try:
            async with turns, aclosing(events(models, model, [jobs[place]])) as replies:
                async for _, event in replies:
                    await arrived.put((place, event))
            await arrived.put((place, None))
        except Exception as error:  # raised where the events are read
            await arrived.put((place, error))

    tasks = [asyncio.ensure_future(answer(place)) for place in range(len(jobs))]
    try:
        left = len(tasks)
        while left:
            place, event = await arrived.get()
            if isinstance(event, Exception):
                raise event
            if event is None:
                left -= 1
            else:
                yield place, event
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def gathered(models: Models, model: str, jobs: Sequence[AnswerChat | Continue]) -> list[Answer]:
    """All answers, whole."""
    answers = [Answer() for _ in jobs]
    async with aclosing(events(models, model, jobs)) as arriving:
        async for place, event in arriving:
            answers[place].add(event)
    return answers


def seeded(job: AnswerChat | Continue, count: int) -> list[AnswerChat | Continue]:
    """The same job so often; a seed counts up, so that the answers differ."""
    seed = job.options.get("seed")
    if seed is None:
        return [job] * count
    return [replace(job, options={**job.options, "seed": (seed + place) % (1 << 64)}) for place in range(count)]


class Spelling:
    """What tokens stand for, asked of the model once for each."""

    def __init__(self, models: Models, model: str) -> None:
        self._models = models
        self._model = model
        self._known: dict[int, list[int]] = {}

    async def learn(self, logprobs: Sequence[TokenLogprob]) -> None:
        """Ask for all tokens that these name."""
        named = {id for each in logprobs for id in (each.token, *(other for other, _ in each.top))}
        if new := sorted(named - self._known.keys()):
            value = await self._models.result(self._model, Detokenize(new, bytes=True))
            self._known.update(zip(new, value["bytes"], strict=True))

    def text(self, token: int) -> str:
        """As far as its bytes are whole characters."""
        return bytes(self._known[token]).decode("utf-8", "replace")

    def entry(self, token: int, logprob: float) -> dict[str, Any]:
        """A token as chats show it."""
        return {"token": self.text(token), "logprob": logprob, "bytes": self._known[token]}

    async def shown(self, logprobs: Sequence[TokenLogprob]) -> list[dict[str, Any]]:
        """Log-probabilities as chats show them."""
        await self.learn(logprobs)
        return [
            {
                **self.entry(each.token, each.logprob),
                "top_logprobs": [self.entry(token, value) for token, value in each.top],
            }
            for each in logprobs
        ]


def usage_of(ended: Sequence[Ended], prompts: Sequence[Ended]) -> dict[str, Any]:
    """What was read and made.

    ended       of every answer
    prompts     of one answer for each prompt: a prompt of several answers counts once
    """
    prompt = sum(each.prompt_tokens for each in prompts)
    answer = sum(each.answer_tokens for each in ended)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": answer,
        "total_tokens": prompt + answer,
        "prompt_tokens_details": {"cached_tokens": sum(each.cached_tokens for each in prompts)},
    }


def new_id(prefix: str) -> str:
    """An id that nobody guesses."""
    return f"{prefix}{secrets.token_hex(16)}"


@cache
def fingerprint() -> str:
    """What computes the answers: with the same, and a seed, the same answer."""
    from furet import _core

    return f"furet-{furet.__version__}-{_core.cpu()['isa']}"
