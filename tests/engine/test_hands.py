"""Sequences in the hands of an algorithm: they fork, rest, lose their room, and leave nothing behind."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from test_kinds import load as of_kind
from tiny_prompt import PROMPT

from furet.engine.backend import NativeBackend
from furet.engine.hand import Hands
from furet.engine.stream import Draft
from furet.errors import BadRequest

PAGED_AND_WHOLE = [{"sequences": 4}, {"sequences": 1}, {"sequences": 2, "backend": "reference"}]


def hands_of(model, draft=None) -> Hands:
    return Hands(model._scheduler, draft or Draft(0, 0, False), model.vocab)


def assert_idle(model) -> None:
    """Nothing is held once the scheduler has looked again."""
    deadline = time.monotonic() + 10
    while model._scheduler.counts != (0, 0) and time.monotonic() < deadline:
        time.sleep(0.005)
    assert model._scheduler.counts == (0, 0)


@pytest.fixture
def steps(monkeypatch):
    """How many tokens of each sequence every step had."""
    counts: list[list[int]] = []
    step = NativeBackend.step

    def counted(self, runs, out):
        counts.append([len(run.tokens) for run in runs])
        step(self, runs, out)

    monkeypatch.setattr(NativeBackend, "step", counted)
    return counts


@pytest.mark.parametrize("settings", PAGED_AND_WHOLE, ids=str)
def test_forks_go_their_own_ways(load, settings):
    model, alone = load(**settings), load()
    prompt = PROMPT * 6  # 72 tokens: a block and a part of one
    with hands_of(model) as hands:
        one = hands.take(prompt)
        assert hands.compute([one])
        others = [hands.fork(one) for _ in range(2)]
        for token, hand in enumerate([one, *others]):
            hand.tokens.append(token)
        for _ in range(60):  # over the border of a block
            assert hands.compute([one, *others])
            for hand in (one, *others):
                hand.tokens.append(int(hand.logits.argmax()))
    for token, hand in enumerate([one, *others]):
        expected = alone.generate([*prompt, token], temperature=0, max_tokens=60, ignore_eos=True).tokens
        if settings.get("backend") != "reference":
            assert hand.tokens == [*prompt, token, *expected]
    assert_idle(model)


def test_a_fork_computes_one_token_in_the_step_of_the_others(load, steps):
    model = load(sequences=4)
    with hands_of(model) as hands:
        one = hands.take(PROMPT * 6)
        assert hands.compute([one])
        hands_now = [one, hands.fork(one), hands.fork(one)]
        for token, hand in enumerate(hands_now):
            hand.tokens.append(token)
        steps.clear()
        assert hands.compute(hands_now)
    assert steps == [[1, 1, 1]]


def test_a_hand_that_lost_its_room_computes_anew(load):
    model = load()
    alone = load().logits([*PROMPT, 7])[-1]
    with hands_of(model) as hands:
        one = hands.take(PROMPT)
        assert hands.compute([one])
        for n in range(3):
            model.generate([n] * 200, max_tokens=40, ignore_eos=True)  # most of the only context
        one.tokens.append(7)
        assert hands.compute([one])
        np.testing.assert_array_equal(one.logits, alone)
    assert_idle(model)


def test_hands_beside_requests(load):
    model, alone = load(sequences=2), load()
    with ThreadPoolExecutor(4) as threads:
        jobs = [threads.submit(model.generate, [n, *PROMPT * 8], max_tokens=60, seed=n) for n in range(4)]
        with hands_of(model) as hands:
            several = [hands.take([n, *PROMPT * 4]) for n in range(3)]
            for _ in range(20):
                assert hands.compute(several)
                for hand in several:
                    hand.tokens.append(int(hand.logits.argmax()))
        answers = [job.result(timeout=60).tokens for job in jobs]
    assert answers == [alone.generate([n, *PROMPT * 8], max_tokens=60, seed=n).tokens for n in range(4)]
    for n, hand in enumerate(several):
        prompt = [n, *PROMPT * 4]
        assert hand.tokens == prompt + alone.generate(prompt, temperature=0, max_tokens=20, ignore_eos=True).tokens


def test_the_end_of_a_reader_ends_the_hands(load):
    model = load()
    draft = Draft(0, 0, False)
    with hands_of(model, draft) as hands:
        one = hands.take(PROMPT)
        assert hands.compute([one])
        draft.cancel()
        one.tokens.append(1)
        assert not hands.compute([one])
        assert not hands.compute([hands.fork(one)])
    assert_idle(model)


def test_a_closed_model_says_so(load):
    model = load()
    with hands_of(model) as hands:
        one = hands.take(PROMPT)
        assert hands.compute([one])
        model.close()
        one.tokens.append(1)
        with pytest.raises(BadRequest, match="closed"):
            hands.compute([one])
    assert model._scheduler.counts == (0, 0)


@pytest.mark.parametrize("name", ["mamba", "rwkv4"])
def test_a_state_that_cannot_be_cut(tmp_path, name):
    with of_kind(name, tmp_path, "native", context=128, sequences=2) as model, hands_of(model) as hands:
        one = hands.take(range(20))
        assert hands.compute([one])
        both = [one, hands.fork(one)]
        for token, hand in enumerate(both):
            hand.tokens.append(token)
        assert hands.compute(both)
        for token, hand in enumerate(both):
            np.testing.assert_array_equal(hand.logits, model.logits([*range(20), token])[-1])
