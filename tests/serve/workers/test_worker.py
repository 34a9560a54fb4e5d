"""A model in a process: the same answers as in this one, many at once, slow readers, cancelling, and nothing left."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import Any

import pytest
from asking import (
    CONTEXT,
    ENDLESS,
    PROMPTS,
    SLOTS,
    Run,
    descriptors,
    greedy,
    lives,
    resident,
    threads,
    told,
    until,
    value,
)

from furet.chat.events import Began, Ended, Text
from furet.chat.model import Model
from furet.errors import BadRequest, ContextOverflow, FuretError
from furet.serve import wire
from furet.serve.jobs import AnswerChat, Continue, CountTokens, Detokenize, Embed, Result, Tokenize
from furet.serve.supervise import Worker
from furet.serve.worker import BAD_MESSAGE, Jobs, Window

COMMAND = [sys.executable, "-m", "furet.serve.worker"]


def test_answers_are_those_of_the_model(run: Run, worker: Worker, model: Model) -> None:
    for options in ({"temperature": 0}, {"temperature": 1.0, "seed": 5, "logit_bias": {7042: 5.0}}):
        wanted = model.generate(PROMPTS[0], max_tokens=16, logprobs=2, **options)

        async def events(options: dict[str, Any] = options) -> list[Any]:
            job = Continue(PROMPTS[0], {"max_tokens": 16, "logprobs": 2, **options})
            return [reply async for reply in worker.run(job)]

        began, *pieces, ended = run(events())
        assert isinstance(began, Began) and isinstance(ended, Ended)
        assert began.prompt_tokens == ended.prompt_tokens == wanted.prompt_tokens
        assert began.seed == ended.seed and began.cached_tokens == ended.cached_tokens
        assert "".join(piece.text for piece in pieces) == wanted.text
        assert [token for piece in pieces for token in piece.tokens] == wanted.tokens
        assert [each for piece in pieces for each in piece.logprobs] == wanted.logprobs
        assert (ended.reason, ended.answer_tokens) == (wanted.finish_reason, len(wanted.tokens))


def test_eight_at_once_answer_as_each_does_alone(run: Run, worker: Worker, model: Model) -> None:
    wanted = [model.generate(prompt, **greedy(prompt, 16).options).text for prompt in PROMPTS]

    async def all_at_once() -> list[tuple[str, Ended]]:
        return await asyncio.gather(*(told(worker.run(greedy(prompt, 16))) for prompt in PROMPTS))

    assert [text for text, _ in run(all_at_once())] == wanted


def test_a_conversation(run: Run, worker: Worker, model: Model) -> None:
    chat = model.chat()
    for _ in (stream := chat.say("Say hello.", max_tokens=8, temperature=0)):
        pass
    said = [{"role": "user", "content": "Say hello."}]
    text, ended = run(told(worker.run(AnswerChat(said, options={"max_tokens": 8, "temperature": 0}))))
    assert (text, ended.prompt_tokens) == (stream.completion.text, stream.completion.prompt_tokens)
    assert run(value(worker.run(CountTokens(said)))) == {"tokens": ended.prompt_tokens}


def test_a_stop_string_is_told(run: Run, worker: Worker) -> None:
    text, ended = run(told(worker.run(greedy("1, 2, 3, 4,", stop=["7"]))))
    assert (text, ended.reason, ended.stop) == (" 5, 6, ", "stop", "7")


def test_tokens_and_texts(run: Run, worker: Worker, model: Model) -> None:
    text = "Grüße, 世界!<|im_end|>"
    found = run(value(worker.run(Tokenize(text, pieces=True))))
    assert found["tokens"] == model.tokenizer.encode(text) and len(found["pieces"]) == len(found["tokens"])
    assert run(value(worker.run(Tokenize(text, parse_special=False))))["tokens"] != found["tokens"]
    back = run(value(worker.run(Detokenize(found["tokens"], bytes=True))))
    assert back["text"] == text and b"".join(map(bytes, back["bytes"])) == text.encode()


@pytest.mark.parametrize(
    ("job", "kind", "says"),
    [
        (Continue("x", {"temperature": -1}), BadRequest, "temperature"),
        (Continue("x", {"nonsense": 1}), BadRequest, "nonsense"),
        (Continue("x" * 10_000), ContextOverflow, str(CONTEXT)),
        (Continue([10**9]), BadRequest, "vocab|place 0"),
        (Continue("x\ud800"), BadRequest, "surrogate"),
        (Detokenize([-1]), BadRequest, "token -1"),
        (Embed(["x"]), BadRequest, "continues texts"),
        (AnswerChat([{"role": "user", "content": "x"}], preset="none such"), BadRequest, "none such"),
    ],
)
def test_what_cannot_be_is_refused_as_in_this_process(
    run: Run, worker: Worker, job: Any, kind: type[FuretError], says: str
) -> None:
    with pytest.raises(kind, match=says) as raised:
        run(told(worker.run(job)))
    assert type(raised.value) is kind


def test_an_answer_that_nobody_wants_ends(run: Run, worker: Worker) -> None:
    async def leave() -> None:
        streams = [worker.run(ENDLESS) for _ in range(SLOTS)]
        assert isinstance(await anext(streams[0]), Began)
        begun = [asyncio.create_task(anext(stream)) for stream in streams[1:]]
        await until(lambda: worker.running == SLOTS)
        for task in begun:
            task.cancel()
        await asyncio.gather(*begun, return_exceptions=True)
        await streams[0].aclose()
        await until(lambda: worker.running == 0)

    run(leave())
    assert run(told(worker.run(greedy(PROMPTS[0], 2))))[1].answer_tokens == 2


def test_cancelling_takes_effect_within_a_step(run: Run, worker: Worker) -> None:
    async def leave() -> float:
        stream = worker.run(ENDLESS)
        for _ in range(3):
            await anext(stream)
        before = asyncio.get_running_loop().time()
        await stream.aclose()
        await until(lambda: worker.running == 0)
        return asyncio.get_running_loop().time() - before

    assert run(leave()) < 2.0  # the answer would take ten


def test_a_reader_who_takes_nothing_costs_no_memory_and_nobody_else_an_answer(
    run: Run, worker: Worker, model: Model
) -> None:
    wanted = model.generate(PROMPTS[1], **greedy(PROMPTS[1], 120).options).text

    async def slow() -> tuple[str, int]:
        stream = worker.run(greedy(PROMPTS[1], 120))
        text = [await anext(stream), await anext(stream)]
        before = resident(worker.pid)
        for _ in range(2):
            assert (await told(worker.run(greedy(PROMPTS[0], 24))))[1].answer_tokens == 24
        (inbox,) = worker._process._answers.values()
        assert 0 < inbox.qsize() <= wire.WINDOW
        grown = resident(worker.pid) - before
        text += [reply async for reply in stream]
        return "".join(each.text for each in text if isinstance(each, Text)), grown

    text, grown = run(slow())
    assert text == wanted
    assert grown < 8 << 20


def test_a_reader_who_never_comes_back_is_given_up() -> None:
    window = Window(2)
    assert window.take(0.01) and window.take(0.01)
    with pytest.raises(FuretError, match="nobody has read"):
        window.take(0.01)
    window.more(1)
    assert window.take(0.01)


def test_a_job_cancelled_before_it_has_begun_is_cancelled_when_it_has() -> None:
    window, cancelled = Window(1), []
    window.cancel()
    window.begun(lambda: cancelled.append(1))
    assert cancelled == [1] and not window.take(0.01)


def test_nothing_is_left_of_200_jobs(run: Run, worker: Worker) -> None:
    async def some(count: int) -> None:
        async def one(number: int) -> None:
            if number % 4 == 0:
                stream = worker.run(ENDLESS)
                await anext(stream)
                await stream.aclose()
            elif number % 4 == 1:
                with pytest.raises(BadRequest):
                    await told(worker.run(Continue("x", {"top_p": 7})))
            elif number % 4 == 2:
                await value(worker.run(Tokenize("some text")))
            else:
                await told(worker.run(greedy(PROMPTS[number % 8], 2)))

        for at in range(0, count, 20):
            await asyncio.gather(*(one(at + each) for each in range(20)))
        await until(lambda: worker.running == 0)

    run(some(20))
    pid, here = worker.pid, os.getpid()
    run(until(lambda: threads(pid) <= 4))
    before = descriptors(pid), descriptors(here), threads(pid), resident(pid)
    run(some(200))
    run(until(lambda: threads(pid) <= before[2]))
    assert (descriptors(pid), descriptors(here)) == before[:2]
    assert resident(pid) - before[3] < 16 << 20
    assert worker.pid == pid and worker.waiting == 0 and not worker._process._answers


def test_what_cannot_be_sent_takes_no_slot(run: Run, tinies: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask for it, and whoever waits behind them."""

    async def ask() -> None:
        made = Worker(wire.Load(str(tinies[0]), threads=1, slots=1), "tiny")
        await made.start()
        bad = [Continue("x", {"stop": object()}), Continue("x" * 5000), Tokenize("x" * 5000)]
        monkeypatch.setattr(wire, "MAX_FRAME", 5000)
        for _ in range(wire.QUICK_SLOTS + 1):
            first = made.run(greedy("x", 250))
            await anext(first)
            waiting = [asyncio.create_task(told(made.run(job))) for job in (*bad, greedy("x", 1))]
            await until(lambda: made.waiting == 3)
            await first.aclose()
            *refused, answered = await asyncio.gather(*waiting, return_exceptions=True)
            assert all(isinstance(each, BadRequest) for each in refused) and answered[1].answer_tokens == 1
        assert made.running == made.waiting == 0 and not made._process._answers
        await made.close()

    run(ask())


def test_a_thread_that_the_system_does_not_give_takes_no_slot(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: SimpleQueue[bytes] = SimpleQueue()
    jobs = Jobs(FakeModel(), 1, sent.put)

    def refuses(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(Thread, "start", refuses)
        for id in range(1, 20):
            jobs.handle(wire.Start(id, Detokenize([1])))
            news = wire.decode_news(sent.get(timeout=10)[wire.HEADER :])
            assert isinstance(news, wire.Failed) and (news.id, news.kind) == (id, "Busy")
    jobs.handle(wire.Start(20, Detokenize([1])))
    said = [wire.decode_news(sent.get(timeout=10)[wire.HEADER :]) for _ in range(2)]
    assert said == [wire.Gave(20, Result({"text": "[1]"})), wire.Done(20)] and not jobs._windows


class FakeModel:
    """What a job needs that takes no step."""

    class tokenizer:
        @staticmethod
        def decode(tokens: list[int], skip_special: bool) -> str:
            return str(tokens)


def test_the_process_does_not_mind_ctrl_c(run: Run, worker: Worker) -> None:
    pid = worker.pid
    os.kill(pid, signal.SIGINT)
    assert run(told(worker.run(greedy(PROMPTS[0], 2))))[1].answer_tokens == 2
    assert worker.pid == pid and lives(pid)


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x00\x00\x00\x05{",
        b"\x00\x00\x00\x02{}",
        wire.encode(wire.Cancel(1)),
    ],
)
def test_a_process_that_hears_no_message_ends(sent: bytes) -> None:
    done = subprocess.run(COMMAND, input=sent, capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (BAD_MESSAGE, b"") and b"Traceback" not in done.stderr


def test_what_cannot_be_loaded_is_told() -> None:
    with subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.write(wire.encode(wire.Load("/there/is/none.gguf")))
        process.stdin.flush()
        news = wire.decode_news(process.stdout.read()[4:])
        assert process.wait(30) == 3
    assert isinstance(news, wire.Failed) and (news.id, news.kind) == (0, "NotFound")


STARTS_ONE = """
import asyncio, sys
from furet.serve import process, wire
from furet.serve.jobs import Continue

async def main():
    started = await process.start(wire.Load(sys.argv[1], threads=1, context=256, slots=4), "model")
    print(started.pid, flush=True)
    async for _ in started.run(Continue("Once", {"max_tokens": None}), print):
        print("running", flush=True)
        await asyncio.sleep(3600)

asyncio.run(main())
"""


def test_it_does_not_outlive_the_server(run: Run, smollm2: str) -> None:
    parent = subprocess.Popen([sys.executable, "-c", STARTS_ONE, smollm2], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert parent.stdout.readline() == "running\n" and lives(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    run(until(lambda: not lives(pid)))
