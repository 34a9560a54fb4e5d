"""Several threads and one model: each gets what it would get alone, and nobody waits for ever."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Thread

import pytest
from tiny_prompt import PROMPT

from furet.errors import BadRequest

ALONE = {"max_tokens": 25, "temperature": 1.0, "ignore_eos": True}


@pytest.mark.parametrize("sequences", [1, 3])
def test_threads_get_what_they_would_get_alone(load, sequences):
    prompts = [PROMPT[n:] + PROMPT[: n // 2] for n in range(8)]
    alone = load()
    wanted = [alone.generate(prompt, seed=n, **ALONE).tokens for n, prompt in enumerate(prompts)]
    shared = load(sequences=sequences)

    def ask(n: int) -> list[int]:
        if n % 2:
            return shared.generate(prompts[n], seed=n, **ALONE).tokens
        return [piece.token for piece in shared.stream(prompts[n], seed=n, **ALONE)]

    with ThreadPoolExecutor(8) as threads:
        for _ in range(2):
            assert list(threads.map(ask, range(8))) == wanted


def test_streams_of_one_thread_may_take_turns(model):
    wanted = [model.generate(PROMPT[n:], seed=n, **ALONE).tokens for n in (0, 3)]
    first, second = (model.stream(PROMPT[n:], seed=n, **ALONE) for n in (0, 3))
    got = [[], []]
    for a, b in zip(first, second, strict=True):
        got[0].append(a.token)
        got[1].append(b.token)
    assert got == wanted


def test_a_stream_that_rests_lets_its_own_thread_pass(model):
    stream = model.stream(PROMPT, seed=1, **ALONE)
    before = [next(stream).token for _ in range(5)]
    other = model.generate(PROMPT, seed=2, **ALONE)
    after = [piece.token for piece in stream]
    assert before + after == model.generate(PROMPT, seed=1, **ALONE).tokens != other.tokens
    assert stream.completion.timings.decode_tokens == 24


def test_a_stream_that_nobody_reads_does_not_lock_out_others(model):
    stream = model.stream(PROMPT, seed=1, **ALONE)
    next(stream)
    with ThreadPoolExecutor(1) as other:
        assert other.submit(lambda: model.generate(PROMPT, **ALONE)).result(timeout=20).tokens
    assert len(list(stream)) == 24


def test_a_forgotten_stream_gives_its_room_back(model):
    with ThreadPoolExecutor(1) as other:
        other.submit(lambda: next(model.stream(PROMPT, **ALONE))).result(timeout=20)
        assert model.generate(PROMPT, **ALONE).tokens


def test_cancel_from_another_thread_ends_a_stream_and_keeps_what_there_was(model):
    stream = model.stream(PROMPT, max_tokens=None, seed=1, ignore_eos=True)
    pieces = [next(stream)]
    canceller = Thread(target=stream.cancel)
    canceller.start()
    canceller.join()
    pieces += stream
    assert stream.completion.finish_reason == "cancelled"
    assert [piece.token for piece in pieces if piece.token is not None] == stream.completion.tokens
    assert len(stream.completion.tokens) == 1


def test_cancel_takes_effect_between_two_steps_of_a_prefill(load):
    model = load(chunk=1, context=2048)
    prompt = PROMPT * 150
    steps = []

    def progress(done: int, total: int) -> None:
        steps.append(done)
        if done == 8:
            stream.cancel()

    stream = model.stream(prompt, progress=progress)
    assert list(stream) == []
    assert (stream.completion.finish_reason, steps) == ("cancelled", list(range(9)))
    assert 8 <= model.generate(prompt[:-1], max_tokens=1).timings.cached_tokens < len(prompt) // 2


def test_cancel_ends_waiting(load):
    model = load()
    holders = [model.stream([n, *PROMPT * 8], max_tokens=120, ignore_eos=True) for n in range(2)]
    threads = [Thread(target=list, args=[holder]) for holder in holders]
    for thread in threads:
        thread.start()
    stream = model.stream(PROMPT * 20, **ALONE)
    Thread(target=lambda: (time.sleep(0.02), stream.cancel())).start()
    assert list(stream) == [] or stream.completion.tokens
    assert stream.completion.finish_reason in ("cancelled", "length")
    for thread in threads:
        thread.join()
    assert [len(holder.completion.tokens) for holder in holders] == [120, 120]


def test_closing_a_stream_early_leaves_a_completion(model):
    stream = model.stream(PROMPT, **ALONE)
    with pytest.raises(BadRequest, match="not complete"):
        _ = stream.completion
    tokens = [next(stream).token for _ in range(3)]
    stream.close()
    assert (stream.completion.tokens, stream.completion.finish_reason) == (tokens, "cancelled")
    assert list(stream) == []


def test_an_interrupt_of_a_reader_leaves_a_model_that_still_answers_right(load):
    """Ctrl-C raises KeyboardInterrupt between any two lines of Python; here, while the prompt is read."""
    model = load(chunk=5)
    wanted = load().generate(PROMPT * 2, seed=1, **ALONE).tokens

    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            model.generate([*PROMPT[:-1], 7, *PROMPT], progress=interrupt)
    assert model.generate(PROMPT * 2, seed=1, **ALONE).tokens == wanted


def test_asking_from_within_a_prefill(model):
    """The callback is called where the answer is read, and others compute meanwhile."""

    def progress(done: int, total: int) -> None:
        if done < total:
            nested.append(model.generate(PROMPT, **ALONE).tokens)

    nested = []
    prompt = [7, *PROMPT]
    answer = model.generate(prompt, progress=progress, seed=1, **ALONE)
    assert len(nested) == 1 and len(nested[0]) == 25
    assert answer.tokens == model.generate(prompt, seed=1, **ALONE).tokens


def test_close_while_others_compute(load):
    model = load()

    def ask() -> str:
        try:
            for _ in range(1000):
                model.generate(PROMPT, **ALONE)
        except BadRequest as error:
            return error.message
        return "never noticed"

    with ThreadPoolExecutor(3) as threads:
        answers = [threads.submit(ask) for _ in range(3)]
        time.sleep(0.2)
        model.close()
        assert {answer.result(timeout=20) for answer in answers} == {"the model is closed"}
