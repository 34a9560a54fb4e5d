"""What tests of workers ask, and how they look at processes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from furet.chat.events import Ended, Text
from furet.serve.jobs import Continue, Reply
from furet.serve.models import Models

CONTEXT = 512
SLOTS = 16

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Serving = Callable[..., AbstractAsyncContextManager[Models]]

PROMPTS = [
    "The capital of France is",
    "Once upon a time there was a ferret who",
    "def fibonacci(n):",
    "The three laws of thermodynamics are",
    "A recipe for bread: first,",
    "In the year 1969,",
    "Dear Sir or Madam,",
    "1, 2, 3, 4,",
]


def greedy(prompt: str, tokens: int = 24, **options: Any) -> Continue:
    """A job whose answer is the same every time."""
    return Continue(prompt, {"max_tokens": tokens, "temperature": 0, "ignore_eos": True, **options})


ENDLESS = greedy(PROMPTS[1], 400)
LONG = greedy("x", 250)  # about a second of a tiny model
SHORT = greedy("x", 2)


def here(models: Models) -> list[str]:
    """The names of the models in memory."""
    return [loaded.name for loaded in models.loaded()]


async def told(replies: AsyncGenerator[Reply, None]) -> tuple[str, Ended]:
    """The text of an answer, and how it ended."""
    events = [reply async for reply in replies]
    assert isinstance(events[-1], Ended)
    return "".join(event.text for event in events if isinstance(event, Text)), events[-1]


async def value(replies: AsyncGenerator[Reply, None]) -> Any:
    """The result of a job that makes no answer."""
    (result,) = [reply async for reply in replies]
    return result.value  # type: ignore[union-attr]


async def until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that happens by itself."""

    async def look() -> None:
        while not holds():
            await asyncio.sleep(0.01)

    await asyncio.wait_for(look(), seconds)


def lives(pid: int) -> bool:
    """Whether there is such a process, and it is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descriptors(pid: int) -> int:
    """Open files of a process."""
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def threads(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/task").iterdir()))


def resident(pid: int) -> int:
    """Bytes of a process in memory."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
