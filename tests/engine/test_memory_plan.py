"""The plan: the same figures for everyone, refusals before anything is loaded, and what would fit."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
import tiny

from furet.engine.headers import remote_header
from furet.engine.memory import Budget
from furet.engine.overhead import forms_bytes
from furet.engine.plan import Settings, make_plan, plan, require_fit
from furet.errors import BadRequest, ContextOverflow, DoesNotFit
from furet.families import read_model

ASKED = "the budget asked for"


@pytest.fixture(scope="module")
def header():
    """A model whose cache takes 8 KB a token: budgets can be chosen that fit some contexts only."""
    return tiny.model(C=256, H=8, K=8, F=512, L=8, keys={"context_length": 8192})


def planned(header, budget: int, context: int | None = None, **settings):
    return make_plan(header, read_model(header), Settings(context=context, **settings), Budget(budget, ASKED))


@pytest.fixture
def rest(header) -> int:
    """Bytes besides the cache."""
    found = planned(header, 1 << 40)
    return found.total - dict(found.rows)["KV cache"]


def cache(header, context: int) -> int:
    return dict(planned(header, 1 << 40, context).rows)["KV cache"]


def test_the_loader_and_the_plan_say_the_same(load, path):
    loaded, planned = load(context=100, memory="1G").memory, plan(path, context=100, threads=1, memory="1G")
    assert loaded == planned
    assert load().memory.rows == plan(path, threads=1).rows


def test_every_sequence_has_a_cache(header):
    one, three = (planned(header, 1 << 40, 1000, sequences=n) for n in (1, 3))
    assert three.total - one.total == 2 * dict(one.rows)["KV cache"]


def test_keys_and_values_in_blocks_leave_room_for_more(header, rest):
    f16, q8_0 = (planned(header, 1 << 40, 1024, kv=kv) for kv in ("f16", "q8_0"))
    assert q8_0.kv == "q8_0" and dict(q8_0.rows)["KV cache"] * 64 == dict(f16.rows)["KV cache"] * 34
    budget = rest + cache(header, 1024)
    assert planned(header, budget, kv="q8_0").context == 1024 * 64 // 34 // 64 * 64
    reference = planned(header, 1 << 40, 1024, kv="q8_0", backend="reference")
    assert dict(reference.rows)["KV cache"] == 4 * dict(f16.rows)["KV cache"]
    with pytest.raises(BadRequest, match="kv: got 'q5_0'"):
        Settings(kv="q5_0")


def test_heads_without_blocks_are_remarked(path):
    odd = tiny.model(C=80, H=4, K=4, D=20)
    found = planned(odd, 1 << 40, kv="q8_0")
    assert found.rows == planned(odd, 1 << 40).rows and "heads of 20 values" in found.notes[0]


def test_the_usual_context_is_what_most_need_and_no_more_than_the_model_knows(header):
    assert planned(header, 1 << 40).context == 4096
    short = tiny.model(keys={"context_length": 300})
    assert planned(short, 1 << 40).context == 300
    assert planned(header, 1 << 40).largest_context == 8192


def test_without_a_wish_the_context_shrinks_to_what_fits_and_says_so(header, rest):
    budget = rest + cache(header, 1024) + 5000
    found = planned(header, budget)
    assert found.fits and found.context == found.largest_context == 1024
    assert "1024 tokens instead of 4096" in found.notes[0]
    assert not planned(header, budget, found.context + 64).fits


def test_a_wish_is_never_changed(header, rest):
    found = planned(header, rest + cache(header, 1024), 4096)
    assert (found.context, found.fits, found.notes) == (4096, False, ())
    with pytest.raises(DoesNotFit) as caught:
        require_fit(found, "m.gguf")
    figures = re.findall(r"[\d.]+ [kM]?B", caught.value.message)
    assert len(figures) == 2 + len(found.rows) and "m.gguf" in caught.value.message
    assert "up to 1024 tokens fits" in caught.value.hint
    assert planned(header, rest + cache(header, 1024), 1024).fits


def test_too_little_for_any_context_says_what_the_least_is(header, rest):
    found = planned(header, rest - 1000)
    assert not found.fits and found.largest_context == 0
    with pytest.raises(DoesNotFit, match=ASKED) as caught:
        require_fit(found, "m.gguf")
    assert "the least it runs in is" in caught.value.hint


def test_a_context_too_short_for_use_is_not_chosen_but_may_be_asked_for(header, rest):
    budget = rest + cache(header, 128)
    assert not planned(header, budget).fits
    assert planned(header, budget, 128).fits


def test_a_context_beyond_what_the_model_was_trained_for_is_noted(header):
    assert "exceeds the 8192" in planned(header, 1 << 40, 9000).notes[0]


def test_refused_before_the_weights_are_touched(load, path, monkeypatch):
    monkeypatch.setattr("furet.files.gguf.GGUF.data", lambda *_: pytest.fail("weights were read"))
    with pytest.raises(DoesNotFit, match=r"tiny\.gguf needs"):
        load(memory="1M")


def test_a_budget_that_just_fits_loads(load, path):
    total = plan(path, threads=1, context=64).total
    assert load(memory=total, context=64).generate("the", max_tokens=2, ignore_eos=True).tokens
    with pytest.raises(DoesNotFit):
        load(memory=total - 1, context=64)


def test_a_shrunken_context_is_the_one_in_force(load, tmp_path):
    wide = tiny.model(tokenizer=True, C=256, H=8, K=8, L=8, keys={"context_length": 8192})
    path = tiny.write(tmp_path / "wide.gguf", wide)
    model = load(path, memory=plan(path, threads=1, context=512).total)
    assert model.context == 512 and "512 tokens instead of 4096" in model.notes[0]
    with pytest.raises(ContextOverflow, match="600 tokens, the context holds 512"):
        model.generate([1] * 600)


def test_logits_that_the_machine_has_no_room_for(load, monkeypatch):
    model = load()
    monkeypatch.setattr("furet.engine.model.SMALL", 1000)
    monkeypatch.setattr("furet.engine.model.budget", lambda: Budget(50_000, "a test"))
    assert model.logits([1] * 47).shape == (47, 261)
    with pytest.raises(DoesNotFit, match="48 tokens"):
        model.logits([1] * 48)


def test_a_contrastive_search_that_the_machine_has_no_room_for(load, monkeypatch):
    model = load()
    monkeypatch.setattr("furet.engine.model.SMALL", 1000)
    monkeypatch.setattr("furet.engine.model.budget", lambda: Budget(4 * 64 * 50, "a test"))
    options = {"penalty_alpha": 0.6, "top_k": 4, "ignore_eos": True}
    assert len(model.generate([1] * 40, max_tokens=10, **options).tokens) == 10
    with pytest.raises(DoesNotFit, match="what 51 tokens are compared by"):
        model.generate([1] * 40, max_tokens=11, **options)


def test_forms_that_the_machine_has_no_room_for(load, monkeypatch):
    model = load()
    wanted = forms_bytes(model.vocab)
    monkeypatch.setattr("furet.engine.model.SMALL", 1000)
    monkeypatch.setattr("furet.engine.model.budget", lambda: Budget(wanted - 1, "a test"))
    with pytest.raises(DoesNotFit, match="the tables of forms"):
        model.generate([1], max_tokens=3, regex="[ab]+")
    monkeypatch.setattr("furet.engine.model.budget", lambda: Budget(wanted, "a test"))
    model.generate([1], max_tokens=3, regex="[ab]+")
    monkeypatch.setattr("furet.engine.model.budget", lambda: Budget(0, "a test"))
    assert set(model.generate([1], max_tokens=3, regex="[ab]+").text) <= {"a", "b"}


class Remote:
    """A file that is only read in parts, as the store's remote files are."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size, self.name, self.ref = data, len(data), "tiny.gguf", "hf:a/b"
        self.shards = (self,)
        self.read_bytes = 0

    def read(self, offset: int, count: int) -> bytes:
        self.read_bytes += count
        return self._data[offset : offset + count]


def test_a_remote_header_gives_the_same_plan_without_the_weights(path, monkeypatch):
    monkeypatch.setattr("furet.engine.headers.FIRST_READ", 512)
    remote = Remote(path.read_bytes())
    header = remote_header(remote)
    assert planned(header, 1 << 40).rows == planned(_opened(path), 1 << 40).rows
    assert remote.read_bytes < 16_000 < remote.size


def _opened(path):
    from furet.files.gguf import open_gguf

    return open_gguf(path)


def test_a_plan_of_nothing(tmp_path):
    with pytest.raises(BadRequest, match="directory"):
        plan(tmp_path)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_fresh_process_takes_no_more_than_planned(path):
    """Nearly all of it is what surrounds a model; `benchmarks/plan_accuracy.py` checks real models."""
    code = (
        "import furet, json, sys; m = furet.load(sys.argv[1], threads=2)\n"
        "m.generate([5] * 200, max_tokens=50, logprobs=5, ignore_eos=True)\n"
        "peak = next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(json.dumps([int(peak) * 1024, m.memory.total]))"
    )
    run = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    peak, total = json.loads(run.stdout)
    assert total - 20_000_000 < peak <= total
