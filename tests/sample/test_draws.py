"""Draws that depend on seed and index alone."""

from __future__ import annotations

import numpy as np

from furet.sample.draws import fresh_seed, uniform

FIRST_OF_42 = [0.5961188718302076, 0.1603653875985772, 0.16639780398145976]


def test_draws_are_even_over_indices_and_over_seeds():
    """Chi-square over 64 bins at fixed inputs; 103 is exceeded once in a thousand."""
    for values in ([uniform(3, n) for n in range(20_000)], [uniform(seed, 0) for seed in range(20_000)]):
        counts, _ = np.histogram(values, bins=64, range=(0, 1))
        wanted = len(values) / 64
        assert ((counts - wanted) ** 2 / wanted).sum() < 103
        assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 0.03


def test_seeds_one_counter_step_apart_do_not_give_shifted_streams():
    step = 0x9E3779B97F4A7C15
    assert not {uniform(5, n) for n in range(100)} & {uniform(5 + step, n) for n in range(100)}


def test_the_stream_of_a_seed_is_the_same_in_every_version():
    assert [uniform(42, n) for n in range(3)] == FIRST_OF_42


def test_draws_stay_below_one_and_fresh_seeds_differ():
    assert all(0 <= uniform(seed, 0) < 1 for seed in (0, 1, (1 << 64) - 1))
    assert fresh_seed() != fresh_seed() < 1 << 53
