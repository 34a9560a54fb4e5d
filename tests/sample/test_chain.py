"""The chain of filters against its definition, written out over the full order."""

from __future__ import annotations

import time

import numpy as np
import pytest

from furet.sample.chain import candidates, choose, largest
from furet.sample.draws import uniform
from furet.sample.settings import Sampling

ALL = Sampling(temperature=1, top_k=0, top_p=1, min_p=0)


def logits(size: int = 5000, seed: int = 0, ties: bool = False) -> np.ndarray:
    values = np.random.default_rng(seed).normal(scale=3, size=size).astype(np.float32)
    return np.round(values) if ties else values


def by_definition(row: np.ndarray, s: Sampling) -> dict[int, float]:
    """Every filter in turn, over an ordered list, in float64."""
    order = sorted(range(len(row)), key=lambda id: (-row[id], id))
    if s.top_k:
        order = order[: s.top_k]
    shares = np.exp(row[order].astype(np.float64) - row.max())
    keep = len(order)
    if s.top_p < 1:
        keep = int(np.searchsorted(np.cumsum(shares) / shares.sum(), s.top_p)) + 1
    order = [id for id, share in list(zip(order, shares, strict=True))[:keep] if share >= s.min_p]
    weights = np.exp((row[order].astype(np.float64) - row.max()) / s.temperature)
    return dict(zip(order, weights / weights.sum(), strict=True))


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        ALL,
        Sampling(temperature=0.3, top_k=0, top_p=0.5, min_p=0),
        Sampling(temperature=2, top_k=0, top_p=0.999, min_p=0),
        Sampling(temperature=1, top_k=0, top_p=1, min_p=0.2),
        Sampling(temperature=1, top_k=0, top_p=1, min_p=1e-6),
        Sampling(temperature=1, top_k=700, top_p=0.9, min_p=0.01),
        Sampling(temperature=1, top_k=1, top_p=0, min_p=1),
        Sampling(temperature=1, top_k=10_000, top_p=1, min_p=0),
    ],
    ids=str,
)
def test_candidates_are_those_of_the_definition(sampling, ties):
    row = logits(ties=ties)
    ids, probabilities = candidates(row, sampling)
    wanted = by_definition(row, sampling)
    got = dict(zip(ids.tolist(), probabilities.tolist(), strict=True))
    assert got.keys() == wanted.keys()
    assert got == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("count", [1, 2, 40, 77, 78, 79, 4999, 5000])
@pytest.mark.parametrize("ties", [False, True])
def test_largest_orders_by_logit_then_id(count, ties):
    row = logits(ties=ties)
    assert largest(row, count).tolist() == sorted(range(5000), key=lambda id: (-row[id], id))[:count]


def test_draws_hit_tokens_as_often_as_their_probabilities_say():
    """Chi-square, at most 19 degrees of freedom; a right sampler exceeds 43.8 once in a thousand seeds."""
    row, sampling, draws = logits(20), Sampling(temperature=1.5, top_k=0, top_p=1, min_p=0), 20_000
    counts = np.zeros(20)
    for n in range(draws):
        counts[choose(row, sampling, uniform(7, n))] += 1
    weights = np.exp(row.astype(np.float64) / 1.5)
    wanted = draws * weights / weights.sum()
    group = np.where(wanted < 5, 20, np.arange(20))  # rare tokens count as one
    observed, expected = np.bincount(group, counts), np.bincount(group, wanted)
    seen = expected > 0
    assert ((observed - expected)[seen] ** 2 / expected[seen]).sum() < 43.8


def test_temperature_zero_is_the_most_probable_token_and_the_first_of_equals():
    row = np.array([1, 5, 5, 2], dtype=np.float32)
    assert {choose(row, Sampling(temperature=0), draw) for draw in (0.0, 0.5, 0.999)} == {1}


@pytest.mark.parametrize("temperature", [1e-300, 1e-12, 1e300])
def test_extreme_temperatures_are_finite(temperature):
    _, probabilities = candidates(logits(), Sampling(temperature=temperature))
    assert np.isfinite(probabilities).all() and probabilities.sum() == pytest.approx(1)


def test_the_largest_draw_hits_the_last_candidate():
    row = logits(300)
    ids, _ = candidates(row, ALL)
    assert choose(row, ALL, 1 - 2**-53) == ids[-1]


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(top_k=0), Sampling(temperature=0)], ids=str)
def test_a_vocabulary_of_150_000_takes_about_a_millisecond(sampling):
    row = logits(151_936)
    best = min(_seconds(lambda: choose(row, sampling, 0.5)) for _ in range(20))
    assert best < 0.003  # measured 0.2, 0.6 and 0.02 ms; ordering all takes 17


def _seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
