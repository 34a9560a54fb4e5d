"""A process that dies costs its answers, each with an error that says so, and is there again for the next request."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import AsyncGenerator, Callable
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from asking import ENDLESS, PROMPTS, Run, greedy, lives, told, until

from furet.errors import Busy, DoesNotFit, FuretError, WorkerDied
from furet.serve import process, supervise, wire
from furet.serve.jobs import Detokenize
from furet.serve.supervise import Worker

Start = Callable[[wire.Load, str], "asyncio.Future[process.Process]"]

ENDLESS_OF_TINY = greedy("x", 250)
WAIT = 20.0  # seconds; on a machine that has nothing else to do it is one


def a_worker(path: Path, **options: int) -> Worker:
    return Worker(wire.Load(str(path), threads=1, slots=options.pop("slots", 4)), path.stem, **options)


def test_what_takes_no_step_does_not_wait_for_answers(run: Run, worker: Worker) -> None:
    """Answers with log-probabilities ask for the texts of tokens while they hold their slots."""

    async def asked() -> list[Any]:
        streams = [worker.run(ENDLESS) for _ in range(worker.load.slots)]
        try:
            for stream in streams:
                await anext(stream)
            return await asyncio.wait_for(told_result(worker.run(Detokenize([40, 41]))), WAIT)
        finally:
            for stream in streams:
                await stream.aclose()

    assert len(run(asked())) == 1


def test_what_takes_no_step_is_not_refused_because_answers_wait(run: Run, tinies: list[Path]) -> None:
    async def asked() -> None:
        made = a_worker(tinies[0], slots=1, most_waiting=2)
        await made.start()
        first = made.run(ENDLESS_OF_TINY)
        await anext(first)
        others = [asyncio.create_task(told(made.run(greedy("x", 1)))) for _ in range(2)]
        await until(lambda: made.waiting == 2)
        quick = [told_result(made.run(Detokenize([1, 2]))) for _ in range(wire.QUICK_SLOTS + 3)]
        *found, refused = await asyncio.gather(*quick, return_exceptions=True)
        assert not any(isinstance(each, Exception) for each in found)
        assert isinstance(refused, Busy) and "4 are waiting" in refused.message
        await first.aclose()
        await asyncio.gather(*others)
        assert made.running == made.waiting == 0
        await made.close()

    run(asked())


async def told_result(replies: AsyncGenerator[Any, None]) -> list[Any]:
    return [reply async for reply in replies]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_a_process_killed_in_mid_answer(
    run: Run, worker: Worker, number: signal.Signals, caplog: pytest.LogCaptureFixture
) -> None:
    wanted = run(told(worker.run(greedy(PROMPTS[0]))))[0]
    worker._deaths = 0

    async def killed() -> tuple[list[BaseException], str, float]:
        streams = [worker.run(ENDLESS) for _ in range(3)]
        for stream in streams:
            await anext(stream)
        pid = worker.pid
        os.kill(pid, number)
        began = monotonic()
        lost = await asyncio.gather(*map(told, streams), return_exceptions=True)
        text, _ = await told(worker.run(greedy(PROMPTS[0])))
        assert worker.pid != pid and not lives(pid)
        return list(lost), text, monotonic() - began

    lost, text, seconds = run(killed())
    assert text == wanted and seconds < WAIT
    for error in lost:
        assert isinstance(error, WorkerDied) and error.exit_code == 1
        assert number.name in error.message and "lost" in error.message and "started again" in error.hint
    assert "started again now" in caplog.text
    if number == signal.SIGSEGV:
        assert "Segmentation fault" in caplog.text
    assert not any(prompt in caplog.text for prompt in PROMPTS)
    assert worker.running == worker.waiting == 0


def test_who_waits_for_a_slot_is_answered_by_the_next_process(run: Run, tinies: list[Path]) -> None:
    async def wait() -> None:
        made = a_worker(tinies[0], slots=1)
        await made.start()
        first = made.run(ENDLESS)
        await anext(first)
        second = asyncio.create_task(told(made.run(greedy("x", 3))))
        await until(lambda: made.waiting == 1)
        os.kill(made.pid, signal.SIGKILL)
        with pytest.raises(WorkerDied):
            await told(first)
        assert (await second)[1].answer_tokens == 3
        await made.close()

    run(wait())


def test_no_more_wait_than_may(run: Run, tinies: list[Path]) -> None:
    async def three() -> None:
        made = a_worker(tinies[0], slots=1, most_waiting=1)
        await made.start()
        first = made.run(greedy("x", 250))
        await anext(first)
        second = asyncio.create_task(told(made.run(greedy("x", 2))))
        await until(lambda: made.waiting == 1)
        with pytest.raises(Busy, match="1 are waiting"):
            await anext(made.run(ENDLESS))
        assert not second.done()
        await first.aclose()
        assert (await second)[1].answer_tokens == 2
        await made.close()

    run(three())


def test_a_process_that_dies_again_and_again_is_given_longer_and_longer_pauses(
    run: Run, tinies: list[Path], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    started: list[float] = []

    async def dies(load: wire.Load, name: str) -> process.Process:
        started.append(monotonic())
        raise WorkerDied(f"{name}: its process was killed")

    async def loop() -> None:
        made = a_worker(tinies[0])
        await made.start()
        monkeypatch.setattr(process, "start", dies)
        monkeypatch.setattr(supervise, "FIRST_PAUSE", 0.1)
        os.kill(made.pid, signal.SIGKILL)
        await until(lambda: len(started) > 0)
        waiting = asyncio.create_task(told(made.run(ENDLESS)))
        await until(lambda: len(started) == 5)
        assert not waiting.done()
        monkeypatch.setattr(supervise, "PATIENCE", 0.0)
        with pytest.raises(WorkerDied, match=r"died 6 times in a row; the next start is in \d+ s"):
            await anext(made.run(ENDLESS))
        await made.close()
        with pytest.raises(WorkerDied):
            await waiting

    run(loop())
    pauses = [after - before for before, after in pairwise(started)]
    assert [round(pause / 0.1) >= wanted for pause, wanted in zip(pauses, (1, 2, 4, 8), strict=True)] == [True] * 4
    assert "after 5 deaths in a row" in caplog.text


def test_a_process_that_answers_between_its_deaths_is_back_at_once(
    run: Run, tinies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervise, "FIRST_PAUSE", 1000.0)

    async def loop() -> None:
        made = a_worker(tinies[0])
        await made.start()
        for _ in range(3):
            assert [reply async for reply in made.run(greedy("x", 4))]
            os.kill(made.pid, signal.SIGKILL)
            await until(lambda: made.pid == 0)
        assert [reply async for reply in made.run(greedy("x", 4))]
        await made.close()

    run(loop())


@pytest.mark.parametrize("error", [OSError(11, "no more processes"), RuntimeError("can't start new thread")])
def test_a_machine_that_gives_no_process_is_asked_again(
    run: Run, tinies: list[Path], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    start = asyncio.create_subprocess_exec
    asked = 0

    async def refused(*arguments: Any, **options: Any) -> asyncio.subprocess.Process:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise error
        return await start(*arguments, **options)

    async def kill() -> None:
        made = a_worker(tinies[0])
        await made.start()
        monkeypatch.setattr(asyncio, "create_subprocess_exec", refused)
        monkeypatch.setattr(supervise, "FIRST_PAUSE", 0.01)
        os.kill(made.pid, signal.SIGKILL)
        await until(lambda: asked > 0)
        assert (await told(made.run(greedy("x", 2))))[1].answer_tokens == 2
        assert asked == 3
        await made.close()

    run(kill())


def test_a_model_that_cannot_be_loaded_again_says_why(
    run: Run, tinies: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    error = DoesNotFit("9 GB, and 1 GB is left")

    async def fails(load: wire.Load, name: str) -> process.Process:
        raise error

    async def once() -> None:
        made = a_worker(tinies[0])
        await made.start()
        monkeypatch.setattr(process, "start", fails)
        os.kill(made.pid, signal.SIGKILL)
        await until(lambda: made.failed is not None)
        for _ in range(2):
            with pytest.raises(DoesNotFit, match=error.message):
                await anext(made.run(ENDLESS))
        assert made.failed is error
        await made.close()

    run(once())


def test_a_file_that_is_no_model(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.gguf").write_bytes(b"GGUF" + bytes(100))
    made = a_worker(tmp_path / "bad.gguf")
    with pytest.raises(FuretError) as raised:
        run(made.start())
    assert raised.value.exit_code == 4 and "bad.gguf" in raised.value.message
    run(made.close())


SAYS = """#!/bin/sh
printf '%b' '{}'
exec sleep 60
"""
PRINTS = """#!/bin/sh
printf 'one\\ntwo\\n' >&2
head -c 100000 /dev/zero >&2
printf '\\nlast' >&2
exit 7
"""
READY = '\\0\\0\\0\\036["Ready","decoder",9,{"a":1},[]]'


@pytest.mark.parametrize(
    "said", ["\\0", "\\0\\0\\0\\05nonsense", "\\377\\377\\377\\377", '\\0\\0\\0\\010["Done",7]', READY + READY]
)
def test_a_process_that_says_what_is_no_message_is_ended(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    program = tmp_path / "python"
    program.write_text(SAYS.format(said + READY if said == "\\0" else said))
    program.chmod(0o700)
    monkeypatch.setattr(process.sys, "executable", str(program))  # type: ignore[attr-defined]

    async def start() -> None:
        try:
            made = await process.start(wire.Load("x"), "model")
        except WorkerDied as error:
            assert "no message" in error.message
        else:
            assert said == READY + READY and "no message" in await asyncio.wait_for(made.ended, 10)

    run(start())


def test_a_process_that_falls_silent_is_ended(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nexec sleep 60 >&-\n")
    program.chmod(0o700)
    monkeypatch.setattr(process.sys, "executable", str(program))  # type: ignore[attr-defined]
    with pytest.raises(WorkerDied, match="killed"):
        run(process.start(wire.Load("x"), "model"))


def test_what_a_process_prints_is_logged_in_lines_of_bounded_length(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    program = tmp_path / "python"
    program.write_text(PRINTS)
    program.chmod(0o700)
    monkeypatch.setattr(process.sys, "executable", str(program))  # type: ignore[attr-defined]
    with caplog.at_level(logging.WARNING), pytest.raises(WorkerDied, match="exit code 7"):
        run(process.start(wire.Load("x"), "model"))
    lines = [record.getMessage().partition("): ")[2] for record in caplog.records if record.name == "furet.worker"]
    assert lines[:2] == ["one", "two"] and lines[-1] == "last"
    assert max(map(len, lines)) <= process.LINE
