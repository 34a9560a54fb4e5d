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
