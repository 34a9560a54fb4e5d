"""Settings that cannot be honoured are refused by name."""

from __future__ import annotations

from fractions import Fraction

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
        *(("tail_free", bad) for bad in (-0.1, 1.1, NAN, None)),
        *(("typical_p", bad) for bad in (-0.1, 1.1, NAN, None)),
        *(("top_n_sigma", bad) for bad in (-0.1, INF, None)),
        *(("xtc_probability", bad) for bad in (-0.1, 1.1)),
        *(("xtc_threshold", bad) for bad in (-0.1, 1.1)),
        *(("dynamic_temperature", bad) for bad in (-0.1, INF)),
        *(("mirostat", bad) for bad in (-1, 3, 1.5, True)),
        *(("mirostat_tau", bad) for bad in (-1, 101, NAN)),
        *(("repeat_penalty", bad) for bad in (0, -1, 101, NAN, "1.1")),
        *(("repeat_last_n", bad) for bad in (-2, 1.5, None)),
        *(("frequency_penalty", bad) for bad in (-101, 101, NAN)),
        *(("presence_penalty", bad) for bad in (-101, 101, NAN)),
        *(("penalise_newline", bad) for bad in (0, "yes", None)),
        *(("dry_base", bad) for bad in (0.9, 101)),
        *(("dry_allowed_length", bad) for bad in (0, 1.5)),
        *(("dry_breakers", bad) for bad in ("abc", [""], ["x" * 65], [1], ["x"] * 65, None)),
        *(("logit_bias", bad) for bad in ({-1: 1}, {"1": 1}, {1: 101}, {1: NAN}, {1.5: 1}, [1])),
        ("logit_bias", dict.fromkeys(range(5000), 1)),
        *(("chain", bad) for bad in (("nucleus",), ("top_k", "top_k"), "top_k", [1])),
    ],
)
def test_a_bad_value_is_refused_naming_its_field(field, value):
    with pytest.raises(BadRequest, match=field):
        Sampling(**{field: value})


@pytest.mark.parametrize("huge", [10**400, -(10**400), 10**5000], ids=["400 digits", "negative", "5000 digits"])
def test_a_number_beyond_all_measure_is_refused_in_few_words(huge):
    for field in ("temperature", "top_p", "top_k", "seed", "mirostat", "repeat_last_n", "dry_allowed_length"):
        with pytest.raises(BadRequest, match=f"^{field}: got") as refused:
            Sampling(**{field: huge})
        assert len(refused.value.message) < 150
    with pytest.raises(BadRequest, match="temperature"):
        Sampling(temperature=Fraction(huge))
    with pytest.raises(BadRequest, match="logit_bias"):
        Sampling(logit_bias={huge: 1})


def test_the_repetition_penalty_holds_unless_the_model_itself_is_asked_for():
    assert [Sampling().repetition, Sampling(temperature=0).repetition] == [1.1, 1.0]
    assert [Sampling(temperature=t, repeat_penalty=1.3).repetition for t in (0, 1)] == [1.3, 1.3]


def test_the_ends_of_the_ranges_and_numpy_numbers_are_accepted():
    Sampling(temperature=0, top_k=0, top_p=0, min_p=0, seed=0)
    Sampling(temperature=100, top_k=1 << 40, top_p=1, min_p=1, seed=(1 << 64) - 1)
    Sampling(temperature=np.float32(0.5), top_k=np.int64(3), seed=np.uint64(9))
