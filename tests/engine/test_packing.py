"""Weights are packed while a model is at work, and no answer changes for that."""

from __future__ import annotations

import os
import time
from math import inf
from threading import Thread

import numpy as np
import pytest
import tiny
from tiny_prompt import PROMPT

from furet import _core
from furet.dtypes import TensorType
from furet.engine import packing
from furet.engine.backend import Run
from furet.errors import ModelFileError

GREEDY = {"temperature": 0, "ignore_eos": True}


def stepped(backend) -> np.ndarray:
    out = np.empty((1, backend.vocab), np.float32)
    backend.step([Run(PROMPT, backend.new_cache(64), 1)], out)
    return out


def settled(model) -> bool:
    """Whether all is packed soon, though nobody asks for anything."""
    waiting = model._scheduler._backend._packing._waiting
    deadline = time.monotonic() + 10
    while waiting and time.monotonic() < deadline:
        time.sleep(0.005)
    return not waiting


@pytest.mark.parametrize("types", ["Q4_K", "Q6_K", "Q8_0", "IQ4_XS", "F16"])
def test_steps_before_amid_and_after_packing_give_the_same_bits(load, tmp_path, monkeypatch, types):
    at = tiny.write(tmp_path / "tiny.gguf", tiny.model(types=types, C=256, F=512, tokenizer=True))
    backend = load(at, threads=2)._scheduler._backend
    wanted = stepped(backend)
    assert np.array_equal(stepped(load(at, repack=False)._scheduler._backend), wanted)
    monkeypatch.setattr(packing, "SLICE", 3000)  # several of each matrix
    waiting = len(backend._packing._waiting)
    while backend.settle(0):
        assert len(backend._packing._waiting) == (waiting := waiting - 1)
        assert np.array_equal(stepped(backend), wanted)
    assert np.array_equal(stepped(backend), wanted)


def test_the_first_token_waits_for_no_packing(load):
    model = load()
    waiting = model._scheduler._backend._packing._waiting
    before = len(waiting)
    seen = []
    settle = model._scheduler._backend.settle

    def watched(seconds: float) -> bool:
        seen.append(len(waiting))
        return settle(seconds)

    model._scheduler._backend.settle = watched
    assert next(iter(model.stream(PROMPT, max_tokens=4, **GREEDY)))
    assert settled(model) and seen[0] == before > 0


def test_no_prompt_in_several_steps_waits_for_packing(load):
    model = load(chunk=8)
    backend = model._scheduler._backend
    order = []
    for name in ("step", "settle"):
        call = getattr(backend, name)
        setattr(backend, name, lambda *given, name=name, call=call: (order.append(name), call(*given))[1])
    model.generate([5] * 30, max_tokens=3, **GREEDY)
    assert order[:5] == ["step"] * 4 + ["settle"]


def test_packing_counts_as_time_of_the_answer_that_it_holds_up(load, monkeypatch):
    model = load()
    monkeypatch.setattr(model._scheduler._backend, "settle", lambda seconds: bool(time.sleep(0.2)) or True)
    first = model.generate(PROMPT, max_tokens=4, **GREEDY).timings
    assert first.decode_seconds > 0.6 and first.prefill_seconds < 0.2
    time.sleep(0.3)
    assert model.generate([9, *PROMPT], max_tokens=1, **GREEDY).timings.prefill_seconds < 0.2


def test_who_comes_while_packing_is_not_charged_for_what_began_before(load, monkeypatch):
    model = load(sequences=2)
    late = []
    asks = Thread(target=lambda: late.append(model.generate([9, *PROMPT], max_tokens=1, **GREEDY)))

    def packs(seconds: float) -> bool:
        time.sleep(0.2)
        if not asks.ident:
            asks.start()
            while not model._scheduler.counts[1]:
                time.sleep(0.001)
        return True

    monkeypatch.setattr(model._scheduler._backend, "settle", packs)
    model.generate(PROMPT, max_tokens=8, **GREEDY)
    asks.join()
    assert late[0].timings.prefill_seconds < 0.2


def test_what_is_left_is_packed_when_nobody_asks(load):
    model = load(threads=2)
    first = model.generate(PROMPT, max_tokens=1, **GREEDY)
    assert settled(model)
    assert model.generate(PROMPT, max_tokens=1, **GREEDY).tokens == first.tokens


def test_a_file_that_is_cut_short_in_the_middle_of_a_step_or_of_packing(load, tmp_path):
    at = tiny.write(tmp_path / "short.gguf", tiny.model(tokenizer=True))
    backend, other = (load(at, threads=2)._scheduler._backend for _ in range(2))
    backend._rows.read(PROMPT)
    places, out = np.arange(len(PROMPT), dtype=np.int32), np.empty((1, backend.vocab), np.float32)
    cache = backend.new_cache(64)
    os.truncate(at, 5000)
    with pytest.raises(RuntimeError, match="cut short"):
        backend._compiled.program.step(backend.pool, places, [(cache, len(PROMPT))], places[:1], out)
    assert cache.length == 0
    with pytest.raises(RuntimeError, match="cut short"):
        other.settle(inf)


@pytest.mark.parametrize("repack", [False, True])
def test_a_file_that_is_cut_short_while_a_model_answers(load, tmp_path, repack):
    for pause in np.linspace(0, 0.02, 10):
        at = tiny.write(tmp_path / "short.gguf", tiny.model(tokenizer=True))
        stream = load(at, repack=repack).stream(PROMPT, max_tokens=None, **GREEDY)
        next(stream)
        time.sleep(pause)
        os.truncate(at, 5000)
        with pytest.raises(ModelFileError, match="cut short"):
            list(stream)


def test_a_model_that_nobody_asks_is_packed_when_it_is_told_to(load):
    model = load()
    waiting = model._scheduler._backend._packing._waiting
    time.sleep(0.3)
    assert waiting
    model.prepare()
    assert settled(model)


def test_no_threads_to_prepare_with(load, monkeypatch):
    model = load()
    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", lambda self: (_ for _ in ()).throw(RuntimeError("can't start")))
        model.prepare()
    assert model.generate(PROMPT, max_tokens=1, **GREEDY).tokens


def test_a_closed_model_is_packed_no_further(load, monkeypatch):
    model = load()
    backend = model._scheduler._backend
    model.close()
    monkeypatch.setattr(backend, "settle", lambda seconds: pytest.fail("its file is closed"))
    model._scheduler._settle(1)


def test_a_draft_is_packed_with_its_model(load, path):
    model = load(draft=path)
    model._scheduler._backend.settle(inf)
    assert not model._drafter.backend._packing._waiting


def test_a_weight_in_parts(load):
    rng = np.random.default_rng(3)
    blocks = rng.integers(0, 256, 100 * 34, np.uint8)
    weight = _core.Weight(blocks, TensorType.Q8_0, 100, 32)
    room = _core.Packed(weight.packed_bytes)
    calls = 1
    while not weight.pack(_core.Pool(2), room, 16 * 34):
        calls += 1
    assert calls == 7 and weight.pack(_core.Pool(1), room)


def test_rows_that_are_looked_up_stay(load):
    weight = _core.Weight(np.zeros(4 * 32 * 34, np.uint8), TensorType.Q8_0, 128, 32)
    program = _core.Program(4, 4, 1 << 16)
    program.embed(weight, program.buffer(32, "f32", "tokens", 0, 1))
    with pytest.raises(ValueError, match="stays as it is"):
        weight.pack(_core.Pool(1), _core.Packed(weight.packed_bytes))
