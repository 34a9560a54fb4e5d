"""How long models stay in memory that nobody asks anything."""

from __future__ import annotations

import asyncio
from time import time

import pytest
from asking import LONG, SHORT, Run, Serving, here, told, until


def test_an_idle_model_is_unloaded_after_a_while_but_no_pinned_one(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving(keep_alive=0.2) as models:
            await told(models.run("tiny0", SHORT))
            await models.pin("tiny1", True)
            await until(lambda: here(models) == ["tiny1"])
            await models.pin("tiny1", False)
            await until(lambda: not models.loaded())

    run(use())


def test_a_model_stays_as_long_as_was_said_last(run: Run, serving: Serving) -> None:
    """Whatever holds for the others; and it tells when it will have gone."""

    async def use() -> None:
        async with serving(keep_alive=0.2) as models:
            await told(models.run("tiny0", SHORT))
            await models.let_stay("tiny0", 60)
            await told(models.run("tiny0", SHORT))
            await told(models.run("tiny1", SHORT))
            first, second = (each.expires for each in models.loaded())
            assert first is not None and second is not None
            assert second < time() + 0.2 < time() + 50 < first < time() + 60
            await until(lambda: here(models) == ["tiny0"])
            await models.let_stay("tiny0", 0.1)
            await until(lambda: not models.loaded())
            await told(models.run("tiny0", SHORT))
            assert models.loaded()[0].expires == pytest.approx(time() + 0.2, abs=0.1)  # it has come anew

    run(use())


def test_with_nothing_to_stay_for_a_model_leaves_at_once_but_no_busy_or_pinned_one(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving() as models:
            await models.let_stay("tiny0", 0)
            await told(models.run("tiny0", SHORT))
            assert models.loaded()[0].expires is None
            await models.let_stay("tiny0", 0)
            assert not models.loaded()
            await models.pin("tiny0", True)
            await models.let_stay("tiny0", 0)
            stream = models.run("tiny1", LONG)
            await anext(stream)
            await models.let_stay("tiny1", 0)
            assert here(models) == ["tiny0", "tiny1"] and models.loaded()[0].expires is None
            assert (await told(stream))[1].answer_tokens == 250
            await until(lambda: here(models) == ["tiny0"])

    run(use())


def test_a_model_that_has_gone_does_not_expire(run: Run, serving: Serving) -> None:
    """Its room would be taken for ever."""

    async def use() -> None:
        async with serving(room=1.5, keep_alive=0.5) as models:
            await told(models.run("tiny0", SHORT))
            await models.unload("tiny0")
            assert not models.loaded()
            await asyncio.sleep(0.6)
            assert not models.loaded()
            await told(models.run("tiny1", SHORT))

    run(use())
