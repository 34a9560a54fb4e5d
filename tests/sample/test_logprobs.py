"""Log-probabilities against log-softmax in long double."""

from __future__ import annotations

import numpy as np
import pytest

from furet.sample.logprobs import token_logprob


def test_log_probabilities_are_those_of_the_raw_logits():
    row = np.random.default_rng(1).normal(scale=8, size=3000).astype(np.float32)
    wide = row.astype(np.longdouble)
    exact = wide - wide.max() - np.log(np.exp(wide - wide.max()).sum())
    got = token_logprob(row, 17, alternatives=5)
    assert got.logprob == pytest.approx(float(exact[17]), abs=1e-13)
    best = sorted(range(3000), key=lambda id: -row[id])[:5]
    assert [id for id, _ in got.top] == best
    assert [value for _, value in got.top] == pytest.approx([float(exact[id]) for id in best], abs=1e-13)


def test_without_alternatives_there_are_none_and_large_logits_do_not_overflow():
    got = token_logprob(np.array([1e30, 0, -1e30], dtype=np.float32), 0)
    assert (got.logprob, got.top) == (0.0, ())
