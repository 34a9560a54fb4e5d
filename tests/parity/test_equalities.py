"""What must not change the answer: how a prompt is cut, and what else shares the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray
from parity.checkpoint import cases, save

from furet.convert.hugging_face import open_folder
from furet.families import read_model
from furet.families.family import Family
from furet.ops import Source, native, reference

# (tokens, [(cache, how many)]) -> logits of every token
Step = Callable[[NDArray[np.int32], Sequence[tuple[Any, int]]], NDArray[Any]]
Stepper = tuple[Step, Callable[[], Any], float, int]

FIRST = {fixture: name for name, (fixture, case) in reversed(cases().items()) if case.kind == "decoder"}
QUANTISED = {"llama quantised": {"attention.sliding_window": 9}, "qwen2 quantised": {}}


def on_reference(model: Family, source: Source) -> tuple[Step, Callable[[], Any]]:
    """A step of the reference, and a new cache for it."""
    decode = reference.decoder(source)
    return lambda tokens, runs: reference.step(model.forward, decode, tokens, runs), reference.Cache


def on_native(model: Family, source: Source) -> tuple[Step, Callable[[], Any]]:
    """A step of the native core, and a new cache for it."""
    core = pytest.importorskip("furet._core")
    compiled = native.compile(model.forward, source, max_tokens=64, max_rows=64)
    pool = core.Pool(2)

    def step(tokens: NDArray[np.int32], runs: Sequence[tuple[Any, int]]) -> NDArray[np.float32]:
        out = np.empty((len(tokens), compiled.vocab), np.float32)
        compiled.program.step(pool, tokens, runs, np.arange(len(tokens), dtype=np.int32), out)
        return out

    return step, lambda: compiled.new_cache(64)


def in_pieces(step: Step, cache: Any, tokens: NDArray[np.int32], size: int) -> NDArray[Any]:
    pieces = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    return np.concatenate([step(piece, [(cache, len(piece))]) for piece in pieces])


RUNS = [(core, name) for core in ("reference", "native") for name in (*FIRST.values(), *QUANTISED)]


@pytest.fixture(params=RUNS, ids="-".join)
def stepper(request: pytest.FixtureRequest, tmp_path: Path) -> Stepper:
    """(step, new cache, the largest difference allowed, V); the native core owes the same bits."""
    core, name = request.param
    if name in QUANTISED:
        types = {"*": "Q8_0", "attn_v": "F16"}
        source: Any = tiny.model(name.split()[0], types=types, keys=QUANTISED[name], C=128)
    else:
        source = open_folder(save(name, tmp_path), tokenizer=False)
    model = read_model(source)
    make = on_reference if core == "reference" else on_native
    return *make(model, source), 1e-12 if core == "reference" else 0.0, model.config.vocab


def prompts(vocab: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Two prompts of 40 and 23 tokens."""
    one, other = np.random.RandomState(7), np.random.RandomState(8)
    return one.randint(0, vocab, 40).astype(np.int32), other.randint(0, vocab, 23).astype(np.int32)


@pytest.mark.parametrize("size", [1, 7, 39])
def test_prompt_in_pieces_gives_the_logits_of_the_whole(stepper: Stepper, size: int) -> None:
    """Catches a position that starts again, a mask off by one, a row of the cache that is written over."""
    step, new_cache, bound, vocab = stepper
    tokens, _ = prompts(vocab)
    whole = step(tokens, [(new_cache(), 40)])
    np.testing.assert_allclose(in_pieces(step, new_cache(), tokens, size), whole, rtol=0, atol=bound)


def test_sequences_of_one_step_give_what_each_gives_alone(stepper: Stepper) -> None:
    """The second joins when the first is half-way, so their positions differ."""
    step, new_cache, bound, vocab = stepper
    tokens, other = prompts(vocab)
    alone = step(tokens, [(new_cache(), 40)]), step(other, [(new_cache(), 23)])
    caches = new_cache(), new_cache()
    first = step(tokens[:20], [(caches[0], 20)])
    both = step(np.concatenate([tokens[20:], other]), [(caches[0], 20), (caches[1], 23)])
    np.testing.assert_allclose(np.concatenate([first, both[:20]]), alone[0], rtol=0, atol=bound)
    np.testing.assert_allclose(both[20:], alone[1], rtol=0, atol=bound)


def test_truncated_cache_goes_on_as_if_the_rest_had_never_been(stepper: Stepper) -> None:
    """A cache with recurrent states can only begin again."""
    step, new_cache, bound, vocab = stepper
    tokens, other = prompts(vocab)
    cache = new_cache()
    step(np.concatenate([tokens[:20], other]), [(cache, 43)])
    try:
        cache.truncate(20)
        held = 20
    except ValueError:
        cache.truncate(0)
        held = 0
    whole = step(tokens, [(new_cache(), 40)])
    np.testing.assert_allclose(step(tokens[held:], [(cache, 40 - held)]), whole[held:], rtol=0, atol=bound)
