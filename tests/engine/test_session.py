"""What a session holds, on a backend that only counts."""

from __future__ import annotations

from threading import Lock

import numpy as np
import pytest

from furet.engine.session import Session


class Cache:
    def __init__(self, recurrent: bool) -> None:
        self.length = 0
        self.recurrent = recurrent

    def truncate(self, length: int) -> None:
        assert not self.recurrent or length in (0, self.length), "half a state"
        self.length = min(self.length, length)


class Counting:
    """The logits are the number of tokens held so far; steps may fail, before or after they worked."""

    vocab, max_tokens, max_rows = 1, 4, 2

    def __init__(self, recurrent: bool = False) -> None:
        self.steps: list[list[int]] = []
        self.fail = ""
        self.recurrent = recurrent

    def new_cache(self, capacity: int) -> Cache:
        return Cache(self.recurrent)

    def step(self, tokens, cache, first_row, out) -> None:
        if self.fail == "before":
            raise KeyboardInterrupt
        self.steps.append(list(tokens))
        out[:, 0] = range(cache.length + first_row + 1, cache.length + len(tokens) + 1)
        cache.length += len(tokens)
        if self.fail == "after":
            raise KeyboardInterrupt


@pytest.fixture
def backend() -> Counting:
    return Counting()


@pytest.fixture
def session(backend) -> Session:
    return Session(backend, Lock(), 100)


ROW = np.empty((1, 1), np.float32)


def test_only_what_is_new_is_computed_and_the_last_token_always(backend, session):
    assert session.fill([1, 2, 3, 4, 5], ROW) and ROW[0, 0] == 5
    assert session.fill([1, 2, 3, 9, 8, 7], ROW) and ROW[0, 0] == 6
    assert session.fill([1, 2, 3, 9, 8, 7], ROW) and ROW[0, 0] == 6
    assert session.fill([1, 2], ROW) and ROW[0, 0] == 2
    assert backend.steps == [[1, 2, 3, 4], [5], [9, 8, 7], [7], [2]]
    assert session.tokens == [1, 2]


def test_a_recurrent_state_is_extended_or_made_again():
    backend = Counting(recurrent=True)
    session = Session(backend, Lock(), 100)
    assert session.fill([1, 2, 3], ROW) and session.fill([1, 2, 3, 4, 5], ROW) and ROW[0, 0] == 5
    assert session.fill([1, 2, 3, 9], ROW) and ROW[0, 0] == 4
    assert session.fill([1, 2, 3, 9], ROW) and ROW[0, 0] == 4
    assert backend.steps == [[1, 2, 3], [4, 5], [1, 2, 3, 9], [1, 2, 3, 9]]
    assert session.truncate(2) == 0 and session.tokens == []


def test_logits_of_every_token_come_in_steps_of_as_many_rows_as_there_are(backend, session):
    out = np.empty((5, 1), np.float32)
    session.fill_all([1, 2, 3, 4, 5], out)
    assert out[:, 0].tolist() == [1, 2, 3, 4, 5]
    assert backend.steps == [[1, 2], [3, 4], [5]]


@pytest.mark.parametrize(("fail", "held"), [("before", [1, 2]), ("after", [1, 2, 7, 8])])
def test_a_step_that_was_interrupted_leaves_the_tokens_that_the_cache_holds(backend, session, fail, held):
    session.fill([1, 2], ROW)
    backend.fail = fail
    with pytest.raises(KeyboardInterrupt):
        session.extend([7, 8], ROW)
    assert session.tokens == held
    assert session.common([1, 2, 7, 8, 9]) == len(held)


def test_giving_up_between_steps_keeps_what_was_done(session):
    assert not session.fill(list(range(10)), ROW, lambda done: done < 8)
    assert session.tokens == list(range(8))


@pytest.mark.parametrize(
    ("tokens", "common"), [([], 0), ([1], 1), ([1, 2, 3], 3), ([1, 2, 3, 4], 3), ([2], 0), ([1, 5, 3], 1)]
)
def test_the_common_prefix(session, tokens, common):
    session.fill([1, 2, 3], ROW)
    assert session.common(tokens) == common
