"""Biases, penalties and DRY against their definitions."""

from __future__ import annotations

import numpy as np
import pytest

from furet.sample import reference
from furet.sample.dry import LONGEST, continuations, penalise_repeats
from furet.sample.penalties import add_biases, penalise

RNG = np.random.default_rng(0)


def logits() -> np.ndarray:
    return RNG.normal(scale=3, size=300).astype(np.float32)


@pytest.mark.parametrize(
    ("repeat", "frequency", "presence"),
    [(1.1, 0, 0), (1.0, 0.5, 0), (1.0, 0, 0.7), (1.3, 0.2, 0.1), (0.5, -0.3, -1)],
)
def test_penalties_are_those_of_the_definition(repeat: float, frequency: float, presence: float) -> None:
    row, recent = logits(), RNG.integers(0, 20, size=60).tolist()
    wanted = reference.penalties(row.astype(np.float64), recent, repeat, frequency, presence)
    penalise(row, recent, repeat=repeat, frequency=frequency, presence=presence)
    np.testing.assert_allclose(row, wanted, rtol=1e-6, atol=1e-6)


def test_nothing_recent_changes_nothing() -> None:
    row = logits()
    before = row.copy()
    penalise(row, [], repeat=2, frequency=1, presence=1)
    add_biases(row, {})
    np.testing.assert_array_equal(row, before)


def test_biases_are_added() -> None:
    row = logits()
    wanted = reference.bias(row.astype(np.float64), {3: 100, 299: -7.5})
    add_biases(row, {3: 100, 299: -7.5})
    np.testing.assert_allclose(row, wanted, rtol=1e-6)


@pytest.mark.parametrize("alphabet", [1, 2, 3, 8])
@pytest.mark.parametrize("breakers", [frozenset(), frozenset({0}), frozenset({0, 2})], ids=str)
def test_dry_finds_what_its_definition_finds(alphabet: int, breakers: frozenset[int]) -> None:
    for length in (0, 1, 2, 3, 7, 30, 60):
        for _ in range(20):
            recent = RNG.integers(0, alphabet, size=length).tolist()
            row = logits()
            wanted = reference.dry(row.astype(np.float64), recent, breakers, 0.8, 1.2, 2)
            breaks = [token in breakers for token in recent]
            penalise_repeats(row, recent, breaks, multiplier=0.8, base=1.2, allowed=2)
            np.testing.assert_allclose(row, wanted, rtol=1e-5, atol=1e-5)


def test_a_sequence_counts_up_to_the_longest() -> None:
    recent = [5] * (3 * LONGEST)
    assert continuations(recent, [False] * len(recent)) == {5: LONGEST}
    row = logits()
    penalise_repeats(row, recent, [False] * len(recent), multiplier=5, base=100, allowed=1)
    assert np.isfinite(row).all() and row.argmin() == 5
