"""Many requests in one step: the same answers, room for each in its turn, and nothing left over."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
from tiny_prompt import PROMPT

from furet.engine import scheduler as scheduling
from furet.engine.backend import NativeBackend
from furet.errors import BadRequest, Busy, ModelFileError

ALONE = {"temperature": 1.0, "ignore_eos": True}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """How many tokens of each sequence every step had."""
    counts: list[list[int]] = []
    step = NativeBackend.step

    def counted(self: NativeBackend, runs: list, out: np.ndarray) -> None:
        counts.append([len(run.tokens) for run in runs])
        step(self, runs, out)

    monkeypatch.setattr(NativeBackend, "step", counted)
    return counts


def together(model, prompts, **options):
    """Answers to all prompts at once, each on a thread of its own."""
    with ThreadPoolExecutor(len(prompts)) as threads:
        jobs = [threads.submit(model.generate, prompt, seed=n, **options) for n, prompt in enumerate(prompts)]
        try:
            return [job.result(timeout=60) for job in jobs]
        finally:  # where one waits for ever, the others end and the test does
            if not all(job.done() for job in jobs):
                model.close()


def idle(model) -> bool:
    """Whether nothing is held once the scheduler has seen that all is over."""
    deadline = time.monotonic() + 10
    while model._scheduler.counts != (0, 0) and time.monotonic() < deadline:
        time.sleep(0.005)
    return model._scheduler.counts == (0, 0)


def stand_until(model, waiting: int) -> None:
    """Have no step made until so many requests wait: threads begin when they please."""
    stands = threading.Event()

    def stand() -> None:
        stands.set()
        deadline = time.monotonic() + 10
        while model._scheduler.counts[1] < waiting and time.monotonic() < deadline:
            time.sleep(0.001)

    threading.Thread(target=model._scheduler.call, args=(stand,)).start()
    assert stands.wait(10)


def test_answers_are_computed_in_one_step(load, steps):
    model = load(sequences=8)
    stand_until(model, waiting=8)
    answers = together(model, [[n, *PROMPT] for n in range(8)], max_tokens=60, speculate=False, **ALONE)
    assert max(map(len, steps)) == 8 and len(steps) < 8 * 60
    alone = load()
    assert [alone.generate([n, *PROMPT], seed=n, max_tokens=60, **ALONE).tokens for n in range(8)] == [
        answer.tokens for answer in answers
    ]


def test_a_prompt_beside_answers_goes_in_by_few_tokens(load, steps):
    model = load(sequences=2)
    stream = model.stream(PROMPT, max_tokens=200, speculate=False, **ALONE)
    next(stream)
    stand_until(model, waiting=1)
    with ThreadPoolExecutor(1) as other:
        job = other.submit(model.generate, PROMPT * 15, max_tokens=2, **ALONE)
        rest = list(stream)
        job.result(timeout=60)
    assert len(rest) == 199
    beside = [step for step in steps if len(step) == 2 and max(step) > 1]
    assert beside and all(max(step) <= scheduling.BESIDE for step in beside)


def test_requests_with_one_beginning_compute_it_once(load, steps):
    model = load(sequences=8)
    prompt = (PROMPT * 16)[:190]
    answers = together(model, [[*prompt, n] for n in range(8)], max_tokens=4, **ALONE)
    assert sum(answer.timings.cached_tokens >= 128 for answer in answers) == 7
    fresh = load()
    for n, answer in enumerate(answers):
        assert answer.tokens == fresh.generate([*prompt, n], seed=n, max_tokens=4, **ALONE).tokens


@pytest.mark.parametrize("context", [64, 70, 128])
def test_a_prompt_that_fills_the_context(load, context):
    model = load(context=context)
    assert len(model.generate([3] * context, max_tokens=None, **ALONE).tokens) == 1


def test_the_second_turn_computes_only_what_is_new(model):
    first = model.generate(PROMPT * 9, max_tokens=40, seed=1, **ALONE)
    again = model.generate([*PROMPT * 9, *first.tokens, 5, 6, 7], max_tokens=1, **ALONE)
    assert again.timings.prefill_tokens == 4  # the last token of the answer was never computed
    assert again.timings.cached_tokens == 108 + 39


@pytest.mark.parametrize("seed", range(3))
def test_more_requests_than_there_is_room_for(load, seed):
    """Ten that together want four times the blocks; some are cancelled, some left unread."""
    rng = random.Random(seed)
    model, alone = load(sequences=2), load()
    prompts = [[n, *(PROMPT * 20)[: rng.randrange(5, 200)]] for n in range(10)]
    options = [{"max_tokens": rng.randrange(1, 256 - len(prompt)), "seed": 3, **ALONE} for prompt in prompts]

    def ask(n: int) -> list[int] | None:
        stream = model.stream(prompts[n], **options[n])
        tokens = []
        for piece in stream:
            tokens.append(piece.token)
            if n % 5 == 4 and len(tokens) == 3:
                stream.cancel()
            if n % 3 == 0:
                time.sleep(0.0005)
        return None if n % 5 == 4 and len(tokens) >= 3 else tokens

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(ask, range(10)))
    for n, answer in enumerate(answers):
        assert answer is None or answer == alone.generate(prompts[n], **options[n]).tokens
    assert idle(model)


def test_room_that_unread_answers_hold_goes_to_who_wants_it(load):
    model = load(sequences=2)
    unread = [model.stream([n, *PROMPT * 4], max_tokens=200, seed=n, **ALONE) for n in range(6)]
    begun = [[next(stream).token] for stream in unread]
    assert len(model.generate([9, *PROMPT * 15], max_tokens=60, **ALONE).tokens) == 60
    for tokens, stream in zip(begun, unread, strict=True):
        tokens += [piece.token for piece in stream]
    alone = load()
    for n, tokens in enumerate(begun):
        assert tokens == alone.generate([n, *PROMPT * 4], max_tokens=200, seed=n, **ALONE).tokens


def test_logits_beside_answers(load):
    model, alone = load(sequences=2), load()
    wanted = alone.logits(PROMPT * 8)
    stream = model.stream(PROMPT, max_tokens=150, seed=1, **ALONE)
    tokens = [next(stream).token]
    np.testing.assert_array_equal(model.logits(PROMPT * 8), wanted)
    tokens += [piece.token for piece in stream]
    assert tokens == alone.generate(PROMPT, max_tokens=150, seed=1, **ALONE).tokens


def test_disconnects_leave_nothing_behind(load):
    model = load(sequences=3)
    rng = random.Random(5)

    def ask(n: int) -> None:
        stream = model.stream([n % 250, *PROMPT * 3], max_tokens=100, **ALONE)
        for _ in range(rng.randrange(12)):
            next(stream)
        if n % 2:
            stream.close()
        else:
            del stream

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(ask, range(200)))
    assert idle(model)
    assert len(model.generate(PROMPT * 16, max_tokens=60, **ALONE).tokens) == 60


def test_a_full_queue_says_so(load, monkeypatch):
    monkeypatch.setattr(scheduling, "MOST_WAITING", 0)
    with pytest.raises(Busy, match="0 requests"):
        load().generate(PROMPT)


def test_a_guide_that_fails_ends_one_answer_and_no_other(load, monkeypatch):
    model = load(sequences=2)
    stream = model.stream(PROMPT, max_tokens=100, seed=1, **ALONE)
    tokens = [next(stream).token]
    from furet.sample.constraint import Guide

    def fails(self: Guide) -> None:
        raise BadRequest("the answer cannot go on")

    monkeypatch.setattr(Guide, "allowed", fails)
    with pytest.raises(BadRequest, match="cannot go on"):
        model.generate(PROMPT, regex="a+")
    tokens += [piece.token for piece in stream]
    assert tokens == load().generate(PROMPT, max_tokens=100, seed=1, **ALONE).tokens and idle(model)


def test_the_thread_ends_when_nothing_is_left(load):
    model = load()
    model.generate(PROMPT, max_tokens=2)
    deadline = time.monotonic() + 10
    while any(thread.name == "furet steps" for thread in threading.enumerate()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(thread.name == "furet steps" for thread in threading.enumerate())
    assert model.generate(PROMPT, max_tokens=2, ignore_eos=True).tokens


def test_logits_that_are_no_numbers_leave_the_cache_as_it_was(load, tmp_path):
    """One token of the vocabulary is damaged; requests without it go on as ever."""
    source = tiny.model(tokenizer=True)
    embedding = source.blocks["token_embd.weight"]
    row = len(embedding) // 261
    embedding[7 * row : 7 * row + 4] = [0, 0, 0xC0, 0x7F]
    model = load(tiny.write(tmp_path / "nan.gguf", source), sequences=2)
    options = {"max_tokens": 20, "temperature": 0, "ignore_eos": True, "logit_bias": {7: -100}}
    long = [9, *PROMPT * 10]
    for _ in range(3):
        with pytest.raises(ModelFileError, match="not finite"):
            model.generate([9, *PROMPT * 5, *[7] * 70], max_tokens=1)
        answers = [answer.tokens for answer in together(model, [long, long[:-1], PROMPT], **options)]
    assert len({len(tokens) for tokens in answers}) == 1 and idle(model)


def test_a_thread_that_cannot_begin_costs_one_request(load, monkeypatch):
    model = load()
    with monkeypatch.context() as patch, pytest.raises(Busy, match="no more threads"):
        patch.setattr(threading.Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start")))
        model.generate(PROMPT, max_tokens=2)
    assert model.generate(PROMPT, max_tokens=2, **ALONE).tokens


def test_one_thread_steps_whatever_happens_while_it_is_begun(load, monkeypatch):
    """A stream that is collected meanwhile wakes as well; Ctrl-C comes before the thread runs, or when it does."""
    monkeypatch.setattr(scheduling, "IDLE", 2)
    start = threading.Thread.start

    def twice(self):
        monkeypatch.setattr(threading.Thread, "start", start)
        model._scheduler.wake()
        start(self)

    def interrupted(self):
        start(self)
        raise KeyboardInterrupt

    def too_early(self):
        raise KeyboardInterrupt

    def stepping():
        return [each for each in threading.enumerate() if getattr(each, "_target", None) == model._scheduler._work]

    for meanwhile in (twice, interrupted, too_early):
        model = load()
        monkeypatch.setattr(threading.Thread, "start", meanwhile)
        try:
            model._scheduler.wake()
        except KeyboardInterrupt:
            monkeypatch.setattr(threading.Thread, "start", start)
            model._scheduler.wake()
        assert model.generate(PROMPT, max_tokens=2, temperature=0).tokens
        deadline = time.monotonic() + 1
        while len(stepping()) > 1 and time.monotonic() < deadline:
            time.sleep(0.005)
        assert stepping() == [model._scheduler._thread]


def test_steps_of_one_token_keep_no_prompt_out(load):
    model = load(sequences=2, chunk=1)
    stream = model.stream(PROMPT, max_tokens=150, speculate=False, **ALONE)
    next(stream)
    with ThreadPoolExecutor(1) as other:
        job = other.submit(model.generate, PROMPT, max_tokens=2, **ALONE)
        for _ in stream:
            if job.done():
                break
        assert job.done(), "the other one waited for the whole answer"
    stream.close()


def test_steps_of_one_token_go_on_where_a_prompt_has_no_room(load):
    model = load(sequences=1, chunk=1, context=64)
    answers = together(model, [[1] * 30, [2] * 30], max_tokens=30, speculate=False, **ALONE)
    assert [len(answer.tokens) for answer in answers] == [30, 30]
