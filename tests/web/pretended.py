"""A whole server over models that are pretended: they say what a test wants, in pieces, and wait where it wants."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from furet.chat.events import Began, Ended, Text
from furet.chat.store import Store
from furet.engine.memory import Budget
from furet.errors import FuretError, NotFound
from furet.serve.app import ServerSettings, create_app
from furet.serve.jobs import AnswerChat, CountTokens, Job, Reply, Result


@dataclass(frozen=True)
class Listed:
    """A model on this machine."""

    ref: str
    alias: str | None
    bytes: int = 98_000_000


@dataclass(frozen=True)
class Loaded:
    """A model in memory."""

    name: str
    pid: int = 1
    bytes: int = 350_000_000
    context: int = 2048
    running: int = 0


class Pretended:
    """Models by name.

    answer      what is said next; None: what the person said last
    pause       seconds between two pieces
    held        while set, an answer waits before its fourth piece
    failure     raised at that place
    jobs        all that was asked for
    """

    def __init__(self, *names: str) -> None:
        self.names = list(names)
        self.budget = Budget(8_000_000_000, "the test")
        self.answer: str | None = None
        self.pause = 0.0
        self.held = threading.Event()
        self.failure: FuretError | None = None
        self.jobs: list[tuple[str, AnswerChat]] = []
        self.memory: dict[str, Loaded] = {}
        self.random = random.Random(5)

    def installed(self) -> list[Listed]:
        return [Listed(f"hf:test/{name}", name) for name in self.names]

    def loaded(self) -> list[Loaded]:
        return list(self.memory.values())

    async def load(self, model: str) -> None:
        self.memory[model] = Loaded(model)

    async def unload(self, model: str) -> None:
        self.memory.pop(model, None)

    async def delete(self, ref: str) -> None:
        self.names.remove(ref)

    async def plan(self, ref: str, context: int | None = None) -> dict[str, Any]:
        if "nothing" in ref:
            raise NotFound(f"there is no model {ref!r:.100}", "`furet ls` lists what is here")
        rows = {"weights": 98_000_000, "KV cache": 190_000_000}
        memory = {"rows": rows, "total": 288_000_000, "budget": self.budget.bytes, "fits": True}
        return {"model": ref, "context": 4096, **memory}

    async def pull(self, ref: str) -> AsyncIterator[dict[str, Any]]:
        for done in range(0, 101, 20):
            yield {"label": ref, "done": done * 1_000_000, "total": 100_000_000}
            await asyncio.sleep(self.pause)
            while self.held.is_set():
                await asyncio.sleep(0.01)
        self.names.append(ref)

    async def result(self, model: str, job: Job) -> Any:
        assert isinstance(job, CountTokens)
        return {"tokens": sum(len(message["content"].split()) for message in job.messages)}

    async def run(self, model: str, job: Job) -> AsyncIterator[Reply]:
        assert isinstance(job, AnswerChat) and not isinstance(job, Result)
        self.jobs.append((model, job))
        if model not in self.names:
            raise NotFound(f"there is no model {model!r:.100} here", "`furet ls` lists what is")
        await self.load(model)
        said = self.answer if self.answer is not None else f"You said: {job.messages[-1]['content']}"
        yield Began(12)
        for count, piece in enumerate(self.pieces(said)):
            if count == 3:
                while self.held.is_set():
                    await asyncio.sleep(0.01)
                if self.failure is not None:
                    failure, self.failure = self.failure, None
                    raise failure
            await asyncio.sleep(self.pause)
            yield Text(piece, (count,))
        yield Ended("stop", None, 12, 0, count + 1, 7, 0.01, 0.01 * (count + 1))

    def pieces(self, text: str) -> Iterator[str]:
        """The text in pieces of one to nine characters."""
        at = 0
        while at < len(text) or at == 0:
            size = self.random.randint(1, 9)
            yield text[at : at + size]
            at += size


@dataclass(frozen=True)
class Server:
    """A server that runs, and what lies behind it."""

    address: str
    models: Pretended
    store: Store


@contextmanager
def serving(folder: Path, *names: str, token: str | None = None) -> Iterator[Server]:
    """A server on a free port, in a thread."""
    import uvicorn

    from furet.serve.running import listen

    models = Pretended(*names)
    listening = listen("127.0.0.1", 0)
    port = listening.getsockname()[1]
    with Store(folder / "chats.sqlite") as store:
        app = create_app(models, ServerSettings(port=port, token=token), store)  # type: ignore[arg-type]
        config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        end = time.monotonic() + 10
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield Server(f"http://127.0.0.1:{port}", models, store)
        finally:
            models.held.clear()
            server.should_exit = True
            thread.join(10)
