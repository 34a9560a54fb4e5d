"""One real model in one real process, shared by all tests here, and an asyncio loop to ask it in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import tiny
from asking import CONTEXT, SLOTS, Run, Serving, lives

from furet import plan
from furet.chat.model import Model, load
from furet.files import store
from furet.serve.limits import OWN
from furet.serve.models import Models
from furet.serve.supervise import Worker
from furet.serve.wire import Load


@pytest.fixture(scope="session")
def smollm2() -> str:
    """The file of the default model."""
    return str(store.resolve("smollm2"))


@pytest.fixture(scope="session")
def run() -> Iterator[Run]:
    """Runs a coroutine in the loop that all tests here share; none may take a minute."""
    loop = asyncio.new_event_loop()
    yield lambda coroutine: loop.run_until_complete(asyncio.wait_for(coroutine, 60))
    left = asyncio.all_tasks(loop)
    loop.run_until_complete(loop.shutdown_default_executor())
    loop.close()
    assert not left, left


@pytest.fixture(scope="session")
def worker(run: Run, smollm2: str) -> Iterator[Worker]:
    """smollm2 in a process."""
    made = Worker(Load(smollm2, threads=1, context=CONTEXT, sequences=2, slots=SLOTS), "smollm2")
    run(made.start())
    yield made
    run(made.close())


@pytest.fixture(scope="session")
def model(smollm2: str) -> Iterator[Model]:
    """smollm2 in this process, to compare with."""
    with load(smollm2, threads=1, context=CONTEXT) as loaded:
        yield loaded


@pytest.fixture(scope="session")
def tinies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Four models of almost no bytes."""
    folder = tmp_path_factory.mktemp("tinies")
    return [tiny.write(folder / f"tiny{i}.gguf", tiny.model(tokenizer=True, seed=i)) for i in range(4)]


@pytest.fixture
def serving(tinies: list[Path]) -> Serving:
    """Models of which `room` fit; the tiny ones go by the names tiny0 to tiny3."""
    each = plan(tinies[0], threads=1).total

    @asynccontextmanager
    async def serve(room: float = 2.5, **options: Any) -> AsyncIterator[Models]:
        files = [str(path) for path in tinies]
        models = Models(memory=OWN + int(each * room), **{"threads": 1, "sequences": 1, "keep": files, **options})
        try:
            yield models
        finally:
            pids = [loaded.pid for loaded in models.loaded()]
            await models.close()
            assert not any(map(lives, filter(None, pids))) and not models.loaded()

    return serve
