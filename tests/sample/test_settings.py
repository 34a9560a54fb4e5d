"""Settings that cannot be honoured are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

from furet.errors import BadRequest
from furet.sample.settings import Sampling

NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("temperature", bad) for bad in (-0.1, NAN, INF, -INF, "1", None, True)),
        *(("top_p", bad) for bad in (-0.1, 1.1, NAN, INF, "0.9")),
        *(("min_p", bad) for bad in (-1e-9, 1.0001, NAN, INF)),
        *(("top_k", bad) for bad in (-1, 2.5, NAN, "40", True)),
        *(("seed", bad) for bad in (-1, 1 << 64, 1.5, "7", False)),
    ],
)
def test_a_bad_value_is_refused_naming_its_field(field, value):
    with pytest.raises(BadRequest, match=field):
        Sampling(**{field: value})


def test_the_ends_of_the_ranges_and_numpy_numbers_are_accepted():
    Sampling(temperature=0, top_k=0, top_p=0, min_p=0, seed=0)
    Sampling(temperature=100, top_k=1 << 40, top_p=1, min_p=1, seed=(1 << 64) - 1)
    Sampling(temperature=np.float32(0.5), top_k=np.int64(3), seed=np.uint64(9))
