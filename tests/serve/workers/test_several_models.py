"""Several models in one budget: who comes, who goes, who waits, and what is refused."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from asking import ENDLESS, LONG, SHORT, Run, Serving, greedy, here, lives, told, until

from furet import plan
from furet.engine.memory import readable
from furet.errors import Busy, DoesNotFit, FuretError, ModelFileError, WorkerDied
from furet.serve import process, tenants
from furet.serve.jobs import Detokenize, Tokenize


def started(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the models whose processes are started, as they are."""
    names: list[str] = []
    start = process.start

    async def noted(load: Any, name: str) -> process.Process:
        names.append(name)
        return await start(load, name)

    monkeypatch.setattr(process, "start", noted)
    return names


def test_the_longest_unused_makes_room(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving() as models:
            for name in ("tiny0", "tiny1", "tiny0"):
                await told(models.run(name, SHORT))
            assert here(models) == ["tiny0", "tiny1"]
            gone = models.loaded()[1].pid
            await told(models.run("tiny2", SHORT))
            assert here(models) == ["tiny0", "tiny2"] and not lives(gone)
            assert sum(loaded.bytes for loaded in models.loaded()) <= models.budget.bytes

    run(use())


def test_a_pinned_model_stays_and_who_does_not_fit_beside_is_told_by_how_much(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving() as models:
            await models.pin("tiny0", True)
            await models.pin("tiny1", True)
            with pytest.raises(DoesNotFit) as raised:
                await models.load("tiny2")
            first = models.loaded()[0]
            budget = readable(models.budget.bytes)
            for figure in ("tiny2 needs", budget, f"tiny0 {readable(first.bytes)}, tiny1", "leave"):
                assert figure in raised.value.message
            assert here(models) == ["tiny0", "tiny1"]
            await models.pin("tiny0", False)
            await models.load("tiny2")
            assert here(models) == ["tiny1", "tiny2"]

    run(use())


def test_a_model_larger_than_the_budget_is_refused_with_figures(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving(room=0.9) as models:
            with pytest.raises(DoesNotFit, match=r"tiny0 needs .* MB .* for the server is .* MB \(weights"):
                await told(models.run("tiny0", SHORT))
            assert not models.loaded()

    run(use())


def test_a_busy_model_ends_its_answers_before_it_makes_room(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving(room=1.5) as models:
            first = models.run("tiny0", LONG)
            await anext(first)
            second = asyncio.create_task(told(models.run("tiny1", SHORT)))
            await until(lambda: here(models) == ["tiny1", "tiny0"])
            third = asyncio.create_task(told(models.run("tiny0", SHORT)))  # its turn is after the second's
            await asyncio.sleep(0.3)
            assert not second.done() and not third.done()
            assert [loaded.pid > 0 for loaded in models.loaded()] == [False, False, True]
            assert (await told(first))[1].answer_tokens == 250
            assert (await second)[1].answer_tokens == 2 and not third.done()
            assert (await third)[1].answer_tokens == 2
            assert here(models) == ["tiny0"]

    run(use())


def test_an_answer_may_ask_the_model_that_makes_it_while_others_want_its_room(run: Run, serving: Serving) -> None:
    """Asked of a new one, which waits for the room of this one, neither would ever end."""
    spell = Detokenize([5], bytes=True)

    async def use() -> None:
        async with serving(room=1.5) as models:
            first = models.run("tiny0", LONG)
            await anext(first)
            second = asyncio.create_task(told(models.run("tiny1", SHORT)))
            await until(lambda: here(models) == ["tiny1", "tiny0"])
            assert await asyncio.wait_for(models.result("tiny0", spell), 10)
            third = asyncio.create_task(told(models.run("tiny0", SHORT)))
            await until(lambda: here(models) == ["tiny1", "tiny0", "tiny0"])
            assert await asyncio.wait_for(models.result("tiny0", spell), 10)
            assert here(models) == ["tiny1", "tiny0", "tiny0"] and not second.done()
            for answering in (told(first), second, third):
                assert (await answering)[1].answer_tokens

    run(use())


def test_quick_jobs_alone_keep_no_model_that_is_to_go(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving(room=1.5) as models:
            first = models.run("tiny0", LONG)
            await anext(first)
            leaving = models._tenants.here[models._given["tiny0"].path]
            second = asyncio.create_task(told(models.run("tiny1", SHORT)))
            await until(lambda: here(models) == ["tiny1", "tiny0"])
            async with models._tenants.using(leaving.model, quick=True):
                await first.aclose()
                assert leaving.users == leaving.guests == 1
                again = asyncio.create_task(models.result("tiny0", Tokenize("ab")))
                await until(lambda: here(models) == ["tiny1", "tiny0", "tiny0"])
                assert leaving.users == 1 and not second.done()
            await second
            assert await again and here(models) == ["tiny0"]

    run(use())


def test_many_who_ask_at_once_have_it_loaded_once(
    run: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch, tinies: list[Path]
) -> None:
    names = started(monkeypatch)

    async def use() -> None:
        async with serving() as models:
            asked = ["tiny0", "tiny0:latest", str(tinies[0])] * 3
            texts = await asyncio.gather(*(told(models.run(name, SHORT)) for name in asked))
            assert len({text for text, _ in texts}) == 1 and names == ["tiny0"]
            assert models.loaded()[0].running == models.loaded()[0].waiting == 0

    run(use())


def test_who_no_longer_waits_leaves_nothing_behind(run: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    names = started(monkeypatch)

    async def use() -> None:
        async with serving(room=1.5) as models:
            first = models.run("tiny0", LONG)
            await anext(first)
            leaving = [asyncio.create_task(told(models.run("tiny1", SHORT))) for _ in range(3)]
            await until(lambda: here(models) == ["tiny1", "tiny0"])
            for task in leaving:
                task.cancel()
            await asyncio.gather(*leaving, return_exceptions=True)
            await until(lambda: here(models) == ["tiny0"])
            await first.aclose()
            await told(models.run("tiny2", SHORT))
            assert here(models) == ["tiny2"] and names == ["tiny0", "tiny2"]

    run(use())


def test_what_is_kept_is_loaded_at_the_start(run: Run, serving: Serving, tinies: list[Path]) -> None:
    async def use() -> None:
        async with serving(keep=[str(path) for path in tinies[:2]]) as models:
            await models.start()
            assert [(loaded.name, loaded.pinned) for loaded in models.loaded()] == [("tiny0", True), ("tiny1", True)]
            assert [listed.path for listed in models.installed()][-2:] == [str(path) for path in tinies[:2]]
        async with serving() as models:
            with pytest.raises(DoesNotFit, match="tiny2 needs"):
                await models.start()

    run(use())


def test_as_many_wait_for_a_model_to_be_loaded_as_may(
    run: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tenants, "MOST_SLOTS", 2)
    monkeypatch.setattr(tenants, "WAITING", 0)

    async def use() -> None:
        async with serving() as models:
            many = [models.run("tiny0", LONG) for _ in range(3)]
            *first, refused = await asyncio.gather(*map(anext, many), return_exceptions=True)
            assert isinstance(refused, Busy) and not any(isinstance(each, Exception) for each in first)
            assert len(await models.result("tiny0", Tokenize("ab"))) == 1  # of answers, who may wait for it
            for each in many:
                await each.aclose()

    run(use())


def test_unloading_waits_for_the_answers(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving() as models:
            await models.unload("tiny0")
            stream = models.run("tiny0", LONG)
            await anext(stream)
            unloading = asyncio.create_task(models.unload("tiny0"))
            assert (await told(stream))[1].answer_tokens == 250
            await unloading
            assert not models.loaded()

    run(use())


def test_a_file_that_is_no_model_costs_no_room(run: Run, serving: Serving, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))

    async def use() -> None:
        async with serving(keep=[str(tmp_path / "bad.gguf")]) as models:
            for _ in range(2):
                with pytest.raises(ModelFileError):
                    await told(models.run("bad", SHORT))
            assert not models.loaded()

    run(use())


def test_the_end_of_the_server_ends_what_runs_and_what_waits(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving(room=1.5) as models:
            first = models.run("tiny0", ENDLESS)
            await anext(first)
            second = asyncio.create_task(told(models.run("tiny1", SHORT)))
            await until(lambda: here(models) == ["tiny1", "tiny0"])
            await models.close()
            with pytest.raises(WorkerDied, match="unloaded"):
                await told(first)
            for waits in (second, told(models.run("tiny2", SHORT))):
                with pytest.raises(Busy, match="ending"):
                    await waits

    run(use())


def test_a_model_that_could_not_be_started_again_is_loaded_anew_and_stays(
    run: Run, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    import os
    import signal

    start = process.start

    failures = 0

    async def fails(load: Any, name: str) -> process.Process:
        nonlocal failures
        failures += 1
        raise DoesNotFit("for a moment")

    async def use() -> None:
        async with serving() as models:
            await models.pin("tiny0", True)
            monkeypatch.setattr(process, "start", fails)
            os.kill(models.loaded()[0].pid, signal.SIGKILL)
            await until(lambda: failures == 1)
            with pytest.raises(DoesNotFit):
                await told(models.run("tiny0", SHORT))
            assert failures == 2
            await until(lambda: not models.loaded())
            monkeypatch.setattr(process, "start", start)
            assert (await told(models.run("tiny0", SHORT)))[1].answer_tokens == 2
            assert models.loaded()[0].pinned
            await models.unload("tiny0")
            await told(models.run("tiny0", SHORT))
            assert not models.loaded()[0].pinned

    run(use())


def test_the_plan_is_that_of_the_library(run: Run, serving: Serving, tinies: list[Path]) -> None:
    async def use() -> None:
        async with serving() as models:
            found = await models.plan("tiny0", 128)
            wanted = plan(tinies[0], context=128, threads=1, memory=models.budget.bytes)
            assert found["rows"] == dict(wanted.rows) and found["total"] == wanted.total and found["fits"]
            await models.load("tiny0")
            assert models.loaded()[0].bytes == (await models.plan("tiny0"))["total"]

    run(use())


def test_a_result(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving() as models:
            assert (await models.result("tiny0", Tokenize("ab")))["tokens"]
            with pytest.raises(FuretError, match="no single result"):
                await models.result("tiny0", partial(greedy, "x", 2)())

    run(use())


def test_a_context_is_what_models_may_have_not_what_they_must(run: Run, serving: Serving) -> None:
    async def use() -> None:
        async with serving(room=40, context=100_000) as models:
            await told(models.run("tiny0", SHORT))
            assert models.loaded()[0].context == 256  # what it was trained for

    run(use())
