"""What the core does with a row of logits: the same as NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from furet import _core
from furet.sample.candidates import largest


@pytest.mark.parametrize("size", [1, 5, 63, 64, 65, 1000, 49_152])
@pytest.mark.parametrize("count", [0, 1, 2, 40, 64, 256, 4096, 100_000])
def test_the_largest_in_order(size, count):
    rng = np.random.default_rng(size + count)
    for row in (rng.normal(size=size), rng.integers(0, 4, size), np.arange(size), -np.arange(size), np.zeros(size)):
        row = row.astype(np.float32)
        row[rng.integers(0, size, size // 3)] = -np.inf
        wanted = np.argsort(-row, kind="stable")[:count]
        assert _core.largest(row, count).tolist() == wanted.tolist()
        assert largest(row, count).tolist() == wanted.tolist()
        assert largest(row.astype(np.float64), count).tolist() == wanted.tolist()


def packed(allowed: np.ndarray) -> np.ndarray:
    """A bit for each, and bits of no value to the end of the last word."""
    return np.packbits(np.append(allowed, np.ones(-len(allowed) % 32, bool)), bitorder="little").view(np.uint32)


@pytest.mark.parametrize("size", [1, 31, 63, 64, 65, 1000, 49_153])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.99, 1.0])
def test_the_largest_of_those_admitted(size, share):
    rng = np.random.default_rng(size)
    row = rng.normal(size=size).astype(np.float32)
    allowed = rng.random(size) < share
    without = np.where(allowed, row, -np.inf).astype(np.float32)
    for count in (1, 2, 40, 64, 4096):
        wanted = np.argsort(-without, kind="stable")[: min(count, allowed.sum())]
        assert _core.largest(row, count, packed(allowed)).tolist() == wanted.tolist()


def test_no_number_of_them():
    assert _core.largest(np.zeros(100, np.float32), -1).tolist() == []


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_bad_value_is_seen_wherever_it_is(bad):
    for size in (1, 15, 16, 17, 100):
        row = np.full(size, 3e38, np.float32)
        assert _core.all_finite(row)
        for place in range(size):
            row[place] = bad
            assert not _core.all_finite(row)
            row[place] = -3e38
    assert _core.all_finite(np.empty(0, np.float32))


@pytest.mark.parametrize("size", [1, 5, 31, 32, 33, 100, 1000, 49_153])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99, 1.0])
@pytest.mark.parametrize("few", [-1, 0, 3, 100, 100_000])
def test_who_is_admitted(size, share, few):
    rng = np.random.default_rng(size)
    row = rng.normal(size=size).astype(np.float32)
    row[rng.integers(0, size, size // 5)] = -np.inf
    allowed = rng.random(size) < share
    bits = packed(allowed)
    before, out = row.copy(), np.full(size, 7, np.float32)
    places = _core.admit(row, bits, few, out)
    if allowed.sum() <= few:
        assert places is not None
        assert places.tolist() == np.flatnonzero(allowed).tolist()
    else:
        assert places is None
        assert out.tolist() == np.where(allowed, row, -np.inf).tolist()
        assert row.tolist() == before.tolist()
        assert _core.admit(row, bits, few, row) is None
        assert row.tolist() == out.tolist()


def test_admit_wants_a_bit_and_a_place_for_each_value():
    row, bits = np.zeros(33, np.float32), np.zeros(2, np.uint32)
    with pytest.raises(ValueError, match="a bit for each value"):
        _core.admit(row, bits[:1], 0, row.copy())
    with pytest.raises(ValueError, match="a bit for each value"):
        _core.largest(row, 3, bits[:1])
    with pytest.raises(ValueError, match="out has not the size"):
        _core.admit(row, bits, 0, row[:32].copy())


@pytest.mark.parametrize(
    ("ids", "cuts", "says"),
    [
        ([], [], "nothing to draw from"),
        ([3, 10], [], "not in the row"),
        ([-1], [], "not in the row"),
        ([3], [("top_q", 0.5)], "no cut 'top_q'"),
        ([3], [("temperature", 0.0)], "temperature is out of range"),
        ([3], [("top_p", 1.5)], "top_p is out of range"),
    ],
)
def test_draws_that_make_no_sense(ids, cuts, says):
    with pytest.raises(ValueError, match=says):
        _core.draw(np.zeros(10, np.float32), np.array(ids, np.int64), cuts, 0.5)


@pytest.mark.parametrize("id", [-1, 10])
def test_a_penalty_for_no_token(id):
    with pytest.raises(ValueError, match="not in the row"):
        _core.penalise(np.zeros(10, np.float32), [1, id], 1.1, 0.0, 0.0)
