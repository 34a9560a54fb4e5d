"""The chain: its order, its draws, and what it remembers from token to token."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from furet.sample import mirostat, reference
from furet.sample.candidates import Candidates
from furet.sample.chain import FILTERS, Chooser
from furet.sample.draws import uniform
from furet.sample.settings import ORDER, Sampling

PLAIN = Sampling(temperature=1, top_k=0, top_p=1, repeat_penalty=1)


def logits(size: int = 5000, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(scale=3, size=size).astype(np.float32)


def probabilities(row: np.ndarray, sampling: Sampling, index: int = 0) -> dict[int, float]:
    found = Chooser(sampling, 1).filtered(Candidates(row), index)
    return {found.id(place): share for place, share in enumerate(found.probabilities().tolist())}


def by_definition(row: np.ndarray, s: Sampling) -> dict[int, float]:
    left = reference.ordered(row)
    for name in s.chain:
        if name == "temperature":
            left = reference.temperature(left, s.temperature)
        elif name in FILTERS and getattr(s, name) != FILTERS[name][1]:
            left = getattr(reference, name)(left, getattr(s, name))
    return dict(zip(left[0].tolist(), reference.softmax(left).tolist(), strict=True))


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        PLAIN,
        replace(PLAIN, temperature=0.3, top_p=0.5),
        replace(PLAIN, temperature=2, top_p=0.999),
        replace(PLAIN, top_k=700, top_p=0.9, min_p=0.01),
        replace(PLAIN, temperature=1.5, top_p=0.9, chain=("temperature", "top_p")),
        replace(PLAIN, temperature=1.5, top_p=0.9, chain=("top_p", "temperature")),
        replace(PLAIN, top_k=90, tail_free=0.95, typical_p=0.8, top_n_sigma=2, min_p=0.02, temperature=0.7),
        replace(PLAIN, typical_p=0.5, top_k=30, chain=tuple(reversed(ORDER)), temperature=1.2),
    ],
    ids=range(9),
)
def test_what_remains_is_what_the_definitions_leave_in_that_order(sampling: Sampling) -> None:
    row = logits()
    assert probabilities(row, sampling) == pytest.approx(by_definition(row, sampling), rel=1e-6)


def test_the_order_matters() -> None:
    row = logits()
    hot = replace(PLAIN, temperature=3, top_p=0.5)
    first = probabilities(row, replace(hot, chain=("temperature", "top_p")))
    last = probabilities(row, replace(hot, chain=("top_p", "temperature")))
    assert len(first) > 2 * len(last)


def test_a_filter_that_the_chain_does_not_name_does_nothing() -> None:
    assert len(probabilities(logits(), Sampling(chain=("temperature",)))) == 5000


CASES = {
    "plain": PLAIN,
    "hot": replace(PLAIN, temperature=1.5),
    "top": replace(PLAIN, top_k=15, top_p=0.95, min_p=0.01),
    "typical": replace(PLAIN, typical_p=0.9),
    "tail free": replace(PLAIN, tail_free=0.97),
    "sigma": replace(PLAIN, top_n_sigma=1.5),
    "dynamic": replace(PLAIN, dynamic_temperature=0.5),
}


@pytest.mark.parametrize("name", CASES)
def test_draws_hit_tokens_as_often_as_their_probabilities_say(name: str) -> None:
    """Chi-square of 100,000 draws, at most 19 degrees of freedom; a right one exceeds 43.8 once in a thousand."""
    row, draws = logits(20), 100_000
    found = Chooser(CASES[name], 7).filtered(Candidates(row), 0)
    shares = np.zeros(20)
    shares[[found.id(place) for place in range(len(found))]] = found.probabilities()
    # What `choose` does with a draw, for all of them at once; one by one for some.
    edges = np.cumsum(found.probabilities())
    values = np.array([uniform(7, n) for n in range(draws)])
    places = np.searchsorted(edges, values * edges[-1], side="right")
    hits = [found.id(place) for place in places.tolist()]
    chooser = Chooser(CASES[name], 7)
    assert hits[:2000] == [chooser.choose(row, [], n) for n in range(2000)]
    counts, wanted = np.bincount(hits, minlength=20), draws * shares
    group = np.where(wanted < 5, 20, np.arange(20))  # rare tokens count as one
    observed, expected = np.bincount(group, counts), np.bincount(group, wanted)
    seen = expected > 0
    assert ((observed - expected)[seen] ** 2 / expected[seen]).sum() < 43.8
    assert not counts[shares == 0].any()


COMMON = {
    "default": Sampling(),
    "one": Sampling(top_k=1),
    "sharp": Sampling(temperature=1e-9, repeat_penalty=1),
    "hot": replace(PLAIN, top_k=1000, temperature=30),
    "all cuts": Sampling(top_k=300, top_p=0.9, min_p=0.02, temperature=1.3, frequency_penalty=0.3, presence_penalty=-1),
    "another order": Sampling(top_k=50, top_p=0.8, min_p=0.1, chain=("top_k", "temperature", "min_p", "top_p")),
    "no temperature": Sampling(temperature=5, top_k=20, chain=("top_k",)),
    "nothing of the share": Sampling(top_p=0, min_p=1),
}


@pytest.mark.parametrize("size", [1, 30, 5000])
@pytest.mark.parametrize("name", COMMON)
def test_the_common_chain_in_one_call_hits_what_it_hits_step_by_step(name: str, size: int) -> None:
    at_once, step_by_step = Chooser(COMMON[name], 5), Chooser(COMMON[name], 5)
    assert at_once._top is not None
    step_by_step._top = None
    rows = [logits(size, seed) for seed in range(8)]
    for row in rows[4:]:
        row[1 : size // 2] = -np.inf  # as a form leaves them
    recent = [n * n % size for n in range(90)]
    for n in range(400):
        row = rows[n % 8]
        before = row.copy()
        assert at_once.choose(row, recent, n) == step_by_step.choose(row, recent, n)
        assert row.tolist() == before.tolist()


@pytest.mark.parametrize(
    "asked",
    [
        replace(PLAIN),
        Sampling(top_k=2000),
        Sampling(typical_p=0.9),
        Sampling(top_n_sigma=1),
        Sampling(xtc_probability=0.1),
        Sampling(mirostat=2),
        Sampling(dynamic_temperature=0.5),
        Sampling(chain=("top_p", "top_k", "temperature")),
    ],
    ids=range(8),
)
def test_other_chains_go_step_by_step(asked: Sampling) -> None:
    assert Chooser(asked, 5)._top is None


def test_xtc_strikes_as_often_as_asked_and_by_draws_of_its_own() -> None:
    row, asked = logits(), replace(PLAIN, top_k=20, xtc_probability=0.3, xtc_threshold=0.05)
    best = int(row.argmax())
    struck = [best not in probabilities(row, asked, index) for index in range(5000)]
    assert np.mean(struck) == pytest.approx(0.3, abs=0.03)
    hits = [uniform(1, n) for n in range(5000)]
    assert abs(np.corrcoef(struck, hits)[0, 1]) < 0.05
    wanted, _ = reference.xtc(reference.top_k(reference.ordered(row), 20), 0.05)
    assert probabilities(row, asked, struck.index(True)).keys() == set(wanted.tolist())


@pytest.mark.parametrize("version", [1, 2])
def test_mirostat_holds_the_surprise_near_its_target(version: int) -> None:
    asked = replace(PLAIN, mirostat=version, mirostat_tau=4.0)
    chooser, bits = Chooser(asked, 3), []
    for n in range(600):
        row = logits(2000, n)
        token = chooser.choose(row, [], n)
        bits.append(-np.log2(Candidates(row).probabilities()[token]))
    assert np.mean(bits[100:]) == pytest.approx(4.0, abs=0.7)
    assert np.mean(bits[100:]) < 0.8 * np.mean([_surprise(logits(2000, n), n) for n in range(600)])


def test_mirostat_outlasts_thousands_of_certain_tokens() -> None:
    chooser = Chooser(replace(PLAIN, mirostat=1, mirostat_tau=100, mirostat_eta=1), 3)
    certain, open_ = np.full(50, -1e3, np.float32), logits(50)
    certain[7] = 1e3
    assert [chooser.choose(certain, [], n) for n in range(30)] == [7] * 30
    assert chooser._limit > 1024 and 0 <= chooser.choose(open_, [], 30) < 50


def _surprise(row: np.ndarray, n: int) -> float:
    return float(-np.log2(Candidates(row).probabilities()[Chooser(PLAIN, 3).choose(row, [], n)]))


def test_mirostat_goes_by_the_rule_of_the_paper() -> None:
    asked, limit = replace(PLAIN, mirostat=2, mirostat_tau=3.0, mirostat_eta=0.2), 6.0
    chooser = Chooser(asked, 9)
    for n in range(50):
        row = logits(500, n)
        left = reference.mirostat_2(reference.ordered(row), limit)
        assert {*left[0].tolist()} == {*_ids(mirostat.cut_by_surprise(Candidates(row), limit))}
        token = chooser.choose(row, [], n)
        share = reference.softmax(left)[left[0].tolist().index(token)]
        limit -= 0.2 * (-np.log2(share) - 3.0)


def _ids(found: Candidates) -> list[int]:
    return [found.id(place) for place in range(len(found))]


def test_temperature_zero_is_the_most_probable_token_and_the_first_of_equals() -> None:
    row = np.array([1, 5, 5, 2], dtype=np.float32)
    assert {Chooser(Sampling(temperature=0), seed).choose(row, [1, 1, 1], 0) for seed in range(9)} == {1}


def test_penalties_that_were_asked_for_hold_at_temperature_zero() -> None:
    row = np.array([1, 5, 4.9, 2], dtype=np.float32)
    for asked in ({"repeat_penalty": 1.1}, {"frequency_penalty": 0.1}, {"presence_penalty": 0.2}):
        assert Chooser(Sampling(temperature=0, **asked), 0).choose(row, [0, 1, 1], 0) == 2
        assert Chooser(Sampling(temperature=0, repeat_last_n=1, **asked), 0).choose(row, [1, 1, 0], 0) == 1
    assert row.tolist() == pytest.approx([1, 5, 4.9, 2])


def test_biases_come_before_everything() -> None:
    row = logits()
    for asked in (Sampling(temperature=0), Sampling(top_k=1), Sampling(mirostat=2)):
        assert Chooser(replace(asked, logit_bias={77: 100}), 0).choose(row, [], 0) == 77


def test_newlines_may_be_spared() -> None:
    row, texts = np.array([5, 4, 1], dtype=np.float32), {0: "\n", 1: "a", 2: "b"}
    asked = Sampling(temperature=0, presence_penalty=2)
    assert Chooser(asked, 0, texts.__getitem__).choose(row, [0], 0) == 1
    assert Chooser(replace(asked, penalise_newline=False), 0, texts.__getitem__).choose(row, [0], 0) == 0


def test_dry_stops_a_loop_and_knows_the_breakers_by_their_text() -> None:
    row, texts = np.array([3, 1, 2.5, 0], dtype=np.float32), {0: "a", 1: "b", 2: "c", 3: "d\n"}
    asked = Sampling(temperature=0, dry_multiplier=1)
    chooser = Chooser(asked, 0, texts.__getitem__)
    assert chooser.choose(row, [1, 2, 0, 1, 2], 0) == 2
    assert chooser.choose(row, [1, 2, 0, 1, 2, 3], 1) == 0  # the same chooser, a token later: a breaker
    assert Chooser(replace(asked, dry_last_n=3), 0, texts.__getitem__).choose(row, [1, 2, 0, 1, 2], 0) == 0


def test_dry_lets_a_turn_end_as_the_last_one_did() -> None:
    row, said = np.array([3, 1, 2.5, 0], dtype=np.float32), [1, 2, 0, 1, 2]
    asked = Sampling(temperature=0, dry_multiplier=1)
    assert Chooser(asked, 0, spared=frozenset([0])).choose(row, said, 0) == 0
    assert Chooser(asked, 0, spared=frozenset([1, 2])).choose(row, said, 0) == 2


def test_the_largest_draw_hits_the_last_candidate(monkeypatch: pytest.MonkeyPatch) -> None:
    row = logits(300)
    monkeypatch.setattr("furet.sample.chain.uniform", lambda seed, index: 1 - 2**-53)
    assert Chooser(replace(PLAIN, top_k=299), 0).choose(row, [], 0) == reference.ordered(row)[0][298]
    row[290:] = -np.inf
    assert np.isfinite(row[Chooser(PLAIN, 0).choose(row, [], 0)])


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        replace(PLAIN, top_p=0.95),
        replace(PLAIN, min_p=0.05),
        replace(PLAIN, typical_p=0.9),
        replace(PLAIN, tail_free=0.95),
        replace(PLAIN, top_n_sigma=1),
        replace(PLAIN, mirostat=1),
        replace(PLAIN, mirostat=2),
        Sampling(temperature=0),
    ],
    ids=range(9),
)
def test_a_vocabulary_of_150_000_is_not_ordered(sampling: Sampling, monkeypatch: pytest.MonkeyPatch) -> None:
    """No call of argsort sees more than a few thousand of the tokens of a row as models give it."""
    sizes: list[int] = []
    argsort = np.argsort
    monkeypatch.setattr(np, "argsort", lambda keys, **options: sizes.append(len(keys)) or argsort(keys, **options))
    row = logits(151_936) / 2
    row[:100] += np.linspace(20, 5, 100, dtype=np.float32)
    Chooser(sampling, 0).choose(row, [3, 4, 5], 0)
    assert max(sizes, default=0) < 10_000
