"""How long models stay in memory after Ollama's clients have used them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from math import inf
from time import time
from typing import Any

from furet.serve.models import Loaded
from furet.serve.ollama.keep import Departures


class OneModel:
    """What `Departures` asks of models: one of them, used as the test says."""

    def __init__(self) -> None:
        self.model = Loaded("m", 1, 1, 1, time(), time(), 0, 0, False)
        self.gone = asyncio.Event()
        self.looked = 0
        self.looked_again = asyncio.Event()

    def loaded(self) -> list[Loaded]:
        self.looked += 1
        if self.looked == 2:
            self.looked_again.set()
        return [] if self.gone.is_set() else [self.model]

    async def unload(self, name: str) -> None:
        assert name == "m"
        self.gone.set()

    async def pin(self, name: str, on: bool) -> None:
        self.model = replace(self.model, pinned=on)


def run(work: Any) -> None:
    async def main() -> None:
        models = OneModel()
        await asyncio.wait_for(work(models, Departures(models)), 20)  # type: ignore[arg-type]

    asyncio.run(main())


def test_an_idle_model_leaves_in_time() -> None:
    async def work(models: OneModel, departures: Departures) -> None:
        await departures.set("m", 0.05)
        assert 0 < (departures.at("m").timestamp() - time()) < 0.1
        await models.gone.wait()
        assert time() - models.model.last_used >= 0.05

    run(work)


def test_with_nothing_it_leaves_at_once() -> None:
    async def work(models: OneModel, departures: Departures) -> None:
        await departures.set("m", 0)
        assert models.gone.is_set()

    run(work)


def test_one_that_was_used_since_stays_as_long_again() -> None:
    async def work(models: OneModel, departures: Departures) -> None:
        models.model = replace(models.model, last_used=time() + 0.1)
        await departures.set("m", 0.05)
        await models.gone.wait()
        assert models.looked == 2 and time() - models.model.last_used >= 0.05

    run(work)


def test_one_that_answers_is_left_to_it() -> None:
    async def work(models: OneModel, departures: Departures) -> None:
        models.model = replace(models.model, running=1)
        await departures.set("m", 0)
        await models.looked_again.wait()
        assert not models.gone.is_set()
        models.model = replace(models.model, running=0)
        await models.gone.wait()

    run(work)


def test_the_last_word_counts() -> None:
    async def work(models: OneModel, departures: Departures) -> None:
        await departures.set("m", inf)
        assert models.model.pinned
        await departures.set("m", 300)
        assert not models.model.pinned
        await departures.set("m", 0.01)
        await models.gone.wait()

    run(work)


def test_what_the_operator_pinned_stays() -> None:
    async def work(models: OneModel, departures: Departures) -> None:
        models.model = replace(models.model, pinned=True)
        await departures.set("m", inf)
        await departures.set("m", 0)
        assert models.model.pinned and not models.gone.is_set()

    run(work)
