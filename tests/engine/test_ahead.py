"""Guessing ahead changes nothing but the time."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from tiny_prompt import PROMPT

from furet.engine.ahead import FIRST, FRESH, LONGEST_PAUSE, MOST, Pace, Prices
from furet.engine.backend import NativeBackend
from furet.sample.chain import Chooser
from furet.sample.lookup import Lookup

LOOP = (PROMPT * 5)[:50]


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Guesses always pay, so that there are many, right and wrong."""
    monkeypatch.setattr(Pace, "count", lambda self: MOST)
    monkeypatch.setattr(Pace, "note", lambda self, guessed, right, won: None)


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens the first sequence has had in each step so far."""
    made: list[int] = []
    step = NativeBackend.step

    def counted(self: NativeBackend, runs: list, out: np.ndarray) -> None:
        made.append(len(runs[0].tokens))
        step(self, runs, out)

    monkeypatch.setattr(NativeBackend, "step", counted)
    return made


OPTIONS = [
    {"temperature": 0},
    {"temperature": 0, "logprobs": 3},
    {"seed": 3},
    {"seed": 3, "temperature": 0.2, "mirostat": 2, "dry_multiplier": 0.5},
    {"temperature": 0.1, "seed": 1, "regex": "(the |a ){30}"},
    {"temperature": 0, "stop": "zz"},
    {"temperature": 0, "max_tokens": 206},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_answer_is_the_same(load, options):
    model = load()
    options = {"max_tokens": 120, "ignore_eos": True, **options}
    for prompt in (PROMPT, LOOP):
        ahead = model.generate(prompt, **options)
        plain = model.generate(prompt, speculate=False, **options)
        again = model.generate(prompt + ahead.tokens[:20] + LOOP, **options)
        fresh = load().generate(prompt + ahead.tokens[:20] + LOOP, speculate=False, **options)
        assert (ahead.tokens, ahead.text, ahead.finish_reason) == (plain.tokens, plain.text, plain.finish_reason)
        assert ahead.logprobs == plain.logprobs and again.tokens == fresh.tokens
        assert ahead.timings.decode_tokens == plain.timings.decode_tokens and plain.timings.guessed_tokens == 0


@pytest.mark.parametrize("settings", [{"chunk": 1}, {"chunk": 3}, {"threads": 2}, {"backend": "reference"}], ids=str)
def test_steps_of_any_size(load, settings):
    out = load(**settings).generate(LOOP, temperature=0, max_tokens=60, ignore_eos=True)
    plain = load(**settings).generate(LOOP, temperature=0, max_tokens=60, ignore_eos=True, speculate=False)
    assert out.tokens == plain.tokens
    assert (out.timings.guessed_tokens > 0) == (settings.get("chunk") != 1)


def test_right_guesses_take_no_step(load, steps, monkeypatch):
    monkeypatch.setattr(Chooser, "must", lambda self: [])  # what the form leaves no choice of
    out = load().generate(LOOP, max_tokens=81, regex="(abcde ){20}", ignore_eos=True)
    assert out.text.startswith("abcde abcde abcde ") and out.timings.guessed_tokens > 50
    assert len(steps) < 81 - out.timings.guessed_tokens + 3


def test_what_must_follow_takes_no_step_of_its_own(load, steps):
    letters = "".join(chr(33 + n) for n in range(90) if chr(33 + n) not in '"\\')  # nothing that occurred before
    options = {"json_schema": {"const": letters}, "temperature": 3.0, "seed": 4}
    plain = load().generate("x", speculate=False, **options)
    alone = len(steps)
    ahead = load().generate("x", **options)
    assert (ahead.tokens, ahead.text) == (plain.tokens, plain.text) and letters in ahead.text
    assert len(steps) - alone < alone / 4 and ahead.timings.guessed_tokens > 70
    assert ahead.timings.decode_tokens == plain.timings.decode_tokens


@pytest.mark.parametrize("kv", ["q8_0", "q4_0"])
def test_a_cache_in_blocks(load, tmp_path, kv):
    path = tiny.write(tmp_path / "m.gguf", tiny.model(tokenizer=True, C=128, H=4, K=2, D=32))
    options = {"max_tokens": 100, "seed": 2, "temperature": 0.3, "ignore_eos": True}
    plain = load(path, kv=kv).generate(LOOP, speculate=False, **options)
    assert load(path, kv=kv).generate(LOOP, **options).tokens == plain.tokens


def test_an_answer_that_lost_its_room_between_guesses(load):
    model = load()
    options = {"max_tokens": 60, "temperature": 0, "ignore_eos": True}
    plain = model.generate(LOOP, speculate=False, **options)
    stream = model.stream(LOOP, **options)
    tokens = []
    for piece in stream:
        tokens.append(piece.token)
        model.generate([len(tokens)] * 200, max_tokens=1)  # most of the only context
    assert tokens == plain.tokens


def test_the_end_of_the_context(load):
    model = load(context=64)
    out = model.generate(LOOP, temperature=0, max_tokens=None, ignore_eos=True)
    assert len(out.tokens) == 64 - len(LOOP) + 1 and out.finish_reason == "length"


def test_lookup_goes_on_as_the_last_time():
    lookup = Lookup()
    assert lookup.guess([1, 2], 4) == [] and lookup.guess([1, 2, 3, 4, 5, 1, 2], 4) == []
    assert lookup.guess([1, 2, 3, 4, 5, 1, 2, 3], 4) == [4, 5, 1, 2]
    assert lookup.guess([1, 2, 3, 4, 5, 1, 2, 3, 9, 1, 2, 3], 2) == [9, 1]
    assert lookup.guess([1, 2, 3, 4, 5, 1, 2, 3, 9, 1, 2, 3, 7], 2) == []


def test_the_pace_follows_what_pays(monkeypatch):
    monkeypatch.undo()
    pace = Pace()
    assert pace.count() == FIRST
    pace.note(3, 3, 3 - 0.2)
    assert pace.count() == MOST
    pace.note(7, 2, 2 - 0.5)
    assert pace.count() == 2
    rests = []
    for _ in range(12):
        pace.note(pace.count() or 1, 0, -8.0)
        rests.append(0)
        while pace.count() == 0:
            rests[-1] += 1
    assert rests[0] == 16 and sorted(rests) == rests and rests[-1] == LONGEST_PAUSE
    lost = sum(8.0 for _ in rests) / (sum(rests) + 9.0 * len(rests))
    assert lost < 0.02 and np.isfinite(lost)


def test_a_guess_is_judged_by_what_it_adds_to_a_step():
    prices = Prices()
    assert not prices.known(1) and prices.note(4, 4, 2.0) is None
    assert prices.note(4, 0, 2.0) is None and prices.known(4) and not prices.known(1)
    worth = prices.note(4, 8, 2.4)
    assert worth is not None
    assert worth.token == pytest.approx(0.5) and worth.guess == pytest.approx(0.05)


def test_what_it_is_judged_by_is_timed_anew():
    prices = Prices()
    prices.note(1, 0, 1.0)
    for _ in range(FRESH):
        assert prices.known(1)
        prices.note(1, 1, 1.0)
    assert not prices.known(1)
