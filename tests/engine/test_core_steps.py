"""A step of the core while other threads do what they like: it holds what it reads, and has the program to itself."""

from __future__ import annotations

from threading import Thread

import numpy as np
import pytest

TOKENS = [5, 6, 7, 9, 8, 4, 200, 3]


class Passing:
    """Runs that nobody else holds: each is made as it is asked for."""

    def __init__(self, backend, counts) -> None:
        self._backend = backend
        self._counts = counts

    def __len__(self) -> int:
        return len(self._counts)

    def __getitem__(self, place: int):
        if place >= len(self._counts):
            raise IndexError(place)
        return self._backend.new_cache(64), self._counts[place]


@pytest.fixture
def backend(load):
    """Of a model that has read these tokens' rows of the embedding."""
    backend = load(threads=2)._scheduler._backend
    backend._rows.read(TOKENS)
    return backend


def stepped(backend, places, runs):
    tokens = np.array(places, np.int32)
    out = np.empty((len(places), backend.vocab), np.float32)
    backend._compiled.program.step(backend.pool, tokens, runs, np.arange(len(places), dtype=np.int32), out)
    return out


def test_a_step_holds_its_caches(backend):
    held = [(backend.new_cache(64), 3), (backend.new_cache(64), 5)]
    wanted = stepped(backend, range(8), held)
    for _ in range(20):
        np.testing.assert_array_equal(stepped(backend, range(8), Passing(backend, [3, 5])), wanted)


def test_two_threads_step_one_after_the_other(backend):
    wanted = [stepped(backend, places, [(backend.new_cache(64), 4)]) for places in (range(4), range(4, 8))]
    wrong = [-1, -1]

    def work(n: int) -> None:
        places = range(4 * n, 4 * n + 4)
        made = [stepped(backend, places, [(backend.new_cache(64), 4)]) for _ in range(300)]
        wrong[n] = sum(not np.array_equal(each, wanted[n]) for each in made)

    threads = [Thread(target=work, args=(n,), daemon=True) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert wrong == [0, 0]
