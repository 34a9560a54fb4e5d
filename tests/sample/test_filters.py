"""The filters against their definitions, written out over the full order in reference.py."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from furet.sample import filters, mirostat, reference, temperature
from furet.sample.candidates import Candidates, largest

SIZES = (2, 3, 40, 5000)
SCALES = (0.3, 3.0, 30.0)  # from nearly flat to one token that has it all
SEEDS = range(3)

FILTERS: list[tuple[str, tuple[float, ...]]] = [
    ("top_k", (1, 2, 39, 700, 10_000)),
    ("top_p", (0.0, 0.3, 0.9, 0.999)),
    ("min_p", (1e-6, 0.05, 0.2, 1.0)),
    ("tail_free", (0.0, 0.3, 0.9, 0.99, 0.9999)),
    ("typical_p", (0.0, 0.2, 0.9, 0.999)),
    ("top_n_sigma", (0.1, 1.0, 2.5)),
    ("xtc", (0.001, 0.02, 0.1, 0.6)),
]


def row_of(size: int, scale: float, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=scale, size=size).astype(np.float32)


def kept_by(filter: Callable[..., Candidates], row: np.ndarray, value: float) -> set[int]:
    found = filter(Candidates(row), value)
    ids = {found.id(place) for place in range(len(found))}
    assert len(ids) == len(found) > 0
    assert all(found.logits[place] == row[found.id(place)] for place in range(len(found)))
    return ids


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in FILTERS for value in values])
def test_a_filter_keeps_what_its_definition_keeps(name: str, value: float) -> None:
    for size in SIZES:
        for scale in SCALES:
            for seed in SEEDS:
                row = row_of(size, scale, seed)
                wanted, _ = getattr(reference, name)(reference.ordered(row), value)
                assert kept_by(getattr(filters, name), row, value) == set(wanted.tolist()), (size, scale, seed)


@pytest.mark.parametrize(("name", "value"), [(name, values[len(values) // 2]) for name, values in FILTERS])
def test_a_filter_behind_another_sees_only_what_that_left(name: str, value: float) -> None:
    row = row_of(5000, 3.0, 5)
    first = filters.typical_p(Candidates(row), 0.7)
    wanted, _ = getattr(reference, name)(reference.typical_p(reference.ordered(row), 0.7), value)
    found = getattr(filters, name)(first, value)
    assert {found.id(place) for place in range(len(found))} == set(wanted.tolist())


@pytest.mark.parametrize(("name", "value"), [(name, values[len(values) // 2]) for name, values in FILTERS])
@pytest.mark.parametrize("row", [np.zeros(700), np.full(2, 7.0), np.array([3.0])], ids=["equals", "two", "one"])
def test_rows_without_any_order_leave_something(name: str, value: float, row: np.ndarray) -> None:
    assert kept_by(getattr(filters, name), row.astype(np.float32), value)


@pytest.mark.parametrize(("name", "value"), [(name, values[0]) for name, values in FILTERS if name != "xtc"])
def test_forbidden_tokens_never_come_back(name: str, value: float) -> None:
    row = row_of(3000, 3.0, 1)
    row[row_of(3000, 1.0, 2) > 0] = -np.inf
    assert np.isfinite(row[sorted(kept_by(getattr(filters, name), row, value))]).all()


def test_xtc_of_every_threshold_leaves_one_that_may_be_drawn() -> None:
    row = row_of(300, 3.0, 1)
    row[row_of(300, 1.0, 2) > 0] = -np.inf
    least = int(np.where(np.isfinite(row), row, np.inf).argmin())
    drawn = [token for token in kept_by(filters.xtc, row, 0.0) if np.isfinite(row[token])]
    wanted, _ = reference.xtc(reference.ordered(row), 0.0)
    assert drawn == [token for token in wanted if np.isfinite(row[token])] == [least]


def test_a_head_that_does_not_decide_is_made_longer() -> None:
    """Flat rows, where top-p, typical and tail-free keep thousands of tokens."""
    row = row_of(20_000, 0.01, 3)
    for name, value in (("top_p", 0.9), ("typical_p", 0.9), ("tail_free", 0.9)):
        wanted, _ = getattr(reference, name)(reference.ordered(row), value)
        assert len(wanted) > 256
        assert kept_by(getattr(filters, name), row, value) == set(wanted.tolist()), name


@pytest.mark.parametrize("limit", [0.1, 3.0, 10.0, 30.0])
def test_mirostat_cuts_where_its_definition_cuts(limit: float) -> None:
    for size in SIZES:
        for scale in SCALES:
            row = row_of(size, scale, 4)
            order = reference.ordered(row)
            for found, (wanted, _) in (
                (mirostat.cut_by_law(Candidates(row), limit, size), reference.mirostat_1(order, limit, size)),
                (mirostat.cut_by_surprise(Candidates(row), limit), reference.mirostat_2(order, limit)),
            ):
                assert {found.id(place) for place in range(len(found))} == set(wanted.tolist())


def test_a_limit_beyond_all_numbers_keeps_all() -> None:
    row = Candidates(row_of(5000, 3.0, 4))
    assert len(mirostat.cut_by_law(row, 1e5, 5000)) == len(mirostat.cut_by_surprise(row, 1e5)) == 5000


@pytest.mark.parametrize(("spread", "exponent"), [(0.5, 1.0), (2.0, 0.7), (0.2, 3.0)])
def test_dynamic_temperature_follows_the_entropy(spread: float, exponent: float) -> None:
    for scale in SCALES:
        row = row_of(500, scale, 6)
        found = temperature.dynamic(Candidates(row), 1.0, spread, exponent)
        wanted = reference.dynamic_temperature(reference.ordered(row), 1.0, spread, exponent)
        assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("degrees", [1e-300, 1e-12, 1e300])
def test_extreme_temperatures_are_finite(degrees: float) -> None:
    probabilities = temperature.scale(Candidates(row_of(300, 3.0, 0)), degrees).probabilities()
    assert np.isfinite(probabilities).all() and probabilities.sum() == pytest.approx(1)


@pytest.mark.parametrize("count", [1, 2, 40, 77, 78, 79, 4999, 5000])
@pytest.mark.parametrize("ties", [False, True])
def test_largest_orders_by_logit_then_id(count: int, ties: bool) -> None:
    row = row_of(5000, 3.0, 0)
    row = np.round(row) if ties else row
    assert largest(row, count).tolist() == sorted(range(5000), key=lambda id: (-row[id], id))[:count]
