"""A second model's guesses change nothing but the time, whatever it says and whatever room there is."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tiny
from test_hands import assert_idle
from test_kinds import load as of_kind
from tiny_prompt import PROMPT

import furet
from furet.engine.ahead import MOST, Guesses, Pace, Worth
from furet.engine.backend import NativeBackend
from furet.engine.drafting import READ, Drafts
from furet.errors import BadRequest, DoesNotFit
from furet.sample.chain import Chooser
from furet.sample.lookup import Lookup

OPTIONS = [
    {"temperature": 0},
    {"temperature": 0, "logprobs": 3},
    {"seed": 3, "temperature": 0.3},
    {"seed": 3, "temperature": 0.2, "mirostat": 2, "dry_multiplier": 0.5},
    {"temperature": 0.1, "seed": 1, "regex": "(the |a ){30}"},
    {"temperature": 0, "stop": "zz"},
    {"temperature": 0, "max_tokens": 206},
]


@pytest.fixture
def eager(monkeypatch):
    """The second model guesses before every step; nothing is guessed from the text or the form."""
    monkeypatch.setattr(Pace, "count", lambda self: MOST)
    monkeypatch.setattr(Pace, "note", lambda self, guessed, right, won: None)
    monkeypatch.setattr(Lookup, "guess", lambda self, tokens, count: [])
    monkeypatch.setattr(Chooser, "must", lambda self: [])


@pytest.fixture(scope="module")
def close_by(tmp_path_factory):
    """A model that often says what the tiny one does: its weights, a little off."""
    made = tiny.model(tokenizer=True)
    noise = np.random.RandomState(7)
    for name in made.blocks:
        if "ffn_down" in name:
            values = made.blocks[name].view(np.float32)
            values += (0.15 * values.std() * noise.standard_normal(values.shape)).astype(np.float32)
    return tiny.write(tmp_path_factory.mktemp("drafts") / "close.gguf", made)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_answer_is_the_same(load, eager, close_by, options):
    model = load(draft=close_by)
    options = {"max_tokens": 120, "ignore_eos": True, **options}
    for prompt in (PROMPT, (PROMPT * 5)[:50]):
        ahead = model.generate(prompt, **options)
        plain = load().generate(prompt, **options)
        assert (ahead.tokens, ahead.text, ahead.finish_reason) == (plain.tokens, plain.text, plain.finish_reason)
        assert ahead.logprobs == plain.logprobs
        assert plain.timings.guessed_tokens == 0
        assert ahead.timings.guessed_tokens > 0 or "regex" in options  # of forms it knows nothing


@pytest.mark.parametrize("settings", [{"chunk": 3}, {"threads": 2}, {"backend": "reference"}, {"kv": "q4_0"}], ids=str)
def test_settings_that_both_share(load, eager, tmp_path, settings):
    path = tiny.write(tmp_path / "m.gguf", tiny.model(tokenizer=True, C=128, H=4, K=2, D=32))
    options = {"temperature": 0, "max_tokens": 40, "ignore_eos": True}
    found = load(path, draft=path, **settings).generate(PROMPT, **options)
    assert found.tokens == load(path, **settings).generate(PROMPT, **options).tokens
    assert found.timings.guessed_tokens > 20  # it is the same model, which is right


def test_right_guesses_take_no_step(load, eager, path, monkeypatch):
    counts = []
    step = NativeBackend.step

    def counted(self, runs, out):
        counts.append((id(self), len(runs[0].tokens)))
        step(self, runs, out)

    monkeypatch.setattr(NativeBackend, "step", counted)
    model = load(draft=path)
    out = model.generate(PROMPT, temperature=0, max_tokens=65, ignore_eos=True)
    own = [tokens for backend, tokens in counts if backend == id(model._drafter.backend)]
    # Tokens by steps: 1, 1 (which is timed), 1 (it reads), 7 * 8, 6.
    assert out.timings.guessed_tokens == 54 and len(counts) - len(own) == 11
    assert sum(own) == len(PROMPT) + 64 - 1  # none is read twice


def test_a_long_prompt_is_read_in_parts(load, eager, path):
    model = load(draft=path)
    prompt = (PROMPT * 16)[:190]
    out = model.generate(prompt, temperature=0, max_tokens=40, ignore_eos=True)
    assert out.tokens == load().generate(prompt, temperature=0, max_tokens=40, ignore_eos=True).tokens
    assert len(prompt) > 2 * READ and out.timings.guessed_tokens > 20


def test_a_second_turn_finds_what_was_read(load, eager, path):
    model = load(draft=path, sequences=2)
    options = {"temperature": 0, "max_tokens": 20, "ignore_eos": True}
    first = model.generate(PROMPT * 8, **options)
    again = [*PROMPT * 8, *first.tokens, 1, 2]
    assert model._drafter.caches.open(again).length >= len(PROMPT) * 8 + 10
    assert model.generate(again, **options).tokens == load().generate(again, **options).tokens


@pytest.mark.parametrize("seed", range(2))
def test_many_answers_in_little_room(load, eager, close_by, seed):
    rng = random.Random(seed)
    model, alone = load(draft=close_by, sequences=2), load()
    prompts = [[n, *(PROMPT * 20)[: rng.randrange(5, 200)]] for n in range(8)]
    options = [
        {"max_tokens": rng.randrange(1, 256 - len(prompt)), "seed": 3, "temperature": 0.3, "ignore_eos": True}
        for prompt in prompts
    ]
    with ThreadPoolExecutor(8) as threads:
        jobs = [threads.submit(model.generate, p, **o) for p, o in zip(prompts, options, strict=True)]
        found = [job.result(timeout=120).tokens for job in jobs]
    assert found == [alone.generate(p, **o).tokens for p, o in zip(prompts, options, strict=True)]
    assert_idle(model)
    assert not model._drafter.caches._open


def test_the_end_of_the_context(load, eager, path):
    out = load(draft=path, context=64).generate(PROMPT, temperature=0, max_tokens=None, ignore_eos=True)
    assert len(out.tokens) == 64 - len(PROMPT) + 1


def test_it_is_switched_off_where_it_does_not_pay(load, path, tmp_path):
    """A second model that is five times as deep and never right."""
    slow = tiny.write(tmp_path / "slow.gguf", tiny.model(tokenizer=True, seed=5, L=10))
    out = load(draft=slow).generate(PROMPT, temperature=1, seed=1, max_tokens=200, ignore_eos=True)
    assert len(out.tokens) == 200
    drafted = Guesses(True, Drafts(load(draft=slow)._drafter))
    for token in range(3):
        drafted.make([*PROMPT, token], 3)
        drafted.judge(Worth(token=1e-9, guess=0.0))  # what the guesses took is more than a token takes
    assert drafted.make([*PROMPT, 3], 3) == []


def test_without_guesses_it_is_not_asked(load, eager, path, monkeypatch):
    model = load(draft=path)
    monkeypatch.setattr(model._drafter.backend, "step", None)
    assert model.generate(PROMPT, max_tokens=5, speculate=False, ignore_eos=True).timings.guessed_tokens == 0


def test_it_is_in_the_plan(load, path):
    plain, drafted = load().memory, load(draft=path).memory
    rows = dict(drafted.rows)
    assert rows["draft"] == plain.total - dict(plain.rows)["runtime"]
    with pytest.raises(DoesNotFit, match="draft"):
        load(draft=path, memory=plain.total + 1000, context=256)


def test_the_context_is_cut_to_what_both_leave(load, path, tmp_path):
    far = tiny.write(tmp_path / "m.gguf", tiny.model(tokenizer=True, keys={"context_length": 4096}))
    whole = load(far, draft=far).memory
    cut = load(far, draft=far, memory=whole.total - 500_000).memory
    assert 256 <= cut.context < whole.context and cut.fits and dict(cut.rows)["draft"] < dict(whole.rows)["draft"]


def test_other_tokens_are_refused_with_the_first_difference(load, tmp_path):
    other = tiny.model(tokenizer=True)
    words = list(other.metadata["tokenizer.ggml.tokens"])
    words[65], words[66] = words[66], words[65]
    other.metadata["tokenizer.ggml.tokens"] = words
    with pytest.raises(BadRequest, match=r"draft: token 65 is b'.' of it and b'.' of the model"):
        load(draft=tiny.write(tmp_path / "m.gguf", other))


def test_what_cannot_guess_is_refused(tmp_path):
    for name in ("mamba", "bert"):
        (tmp_path / name).mkdir()
        with pytest.raises(BadRequest, match="draft"):
            of_kind(name, tmp_path / name, "native", context=64, draft=tmp_path / name)


def test_load_takes_it(path):
    with furet.load(path, draft=path, threads=1) as model:
        assert "draft" in dict(model.memory.rows)
        assert model.generate(PROMPT, max_tokens=3, ignore_eos=True).tokens
