"""What must not change the answer: how a prompt is cut, and what else shares the step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

from furet.families import known_architectures, read_model
from furet.ops import native, reference

TOKENS = np.random.RandomState(7).randint(0, 97, 40).astype(np.int32)
OTHER = np.random.RandomState(8).randint(0, 97, 23).astype(np.int32)
KEYS = {"llama": {"attention.sliding_window": 9}}

# (tokens, [(cache, how many)]) -> logits of every token
Step = Callable[[NDArray[np.int32], Sequence[tuple[Any, int]]], NDArray[Any]]


def on_reference(made: tiny.TinyModel) -> tuple[Step, Callable[[], Any]]:
    """A step of the reference, and a new cache for it."""
    forward, decode = read_model(made).forward, reference.decoder(made)
    return lambda tokens, runs: reference.step(forward, decode, tokens, runs), reference.Cache


def on_native(made: tiny.TinyModel) -> tuple[Step, Callable[[], Any]]:
    """A step of the native core, and a new cache for it."""
    core = pytest.importorskip("furet._core")
    compiled = native.compile(read_model(made).forward, made, max_tokens=64, max_rows=64)
    pool = core.Pool(2)

    def step(tokens: NDArray[np.int32], runs: Sequence[tuple[Any, int]]) -> NDArray[np.float32]:
        out = np.empty((len(tokens), compiled.vocab), np.float32)
        compiled.program.step(pool, tokens, runs, np.arange(len(tokens), dtype=np.int32), out)
        return out

    return step, lambda: compiled.new_cache(64)


def in_pieces(step: Step, cache: Any, tokens: NDArray[np.int32], size: int) -> NDArray[Any]:
    pieces = [tokens[start : start + size] for start in range(0, len(tokens), size)]
    return np.concatenate([step(piece, [(cache, len(piece))]) for piece in pieces])


@pytest.fixture(
    params=[(core, name) for core in ("reference", "native") for name in known_architectures()], ids="-".join
)
def stepper(request: pytest.FixtureRequest) -> tuple[Step, Callable[[], Any], float]:
    """(step, new cache, the largest difference allowed); the native core owes the same bits."""
    core, architecture = request.param
    made = tiny.model(
        architecture, types={"*": "Q8_0", "attn_v": "F16"}, keys=KEYS.get(architecture, {}), C=128
    )
    make = on_reference if core == "reference" else on_native
    return *make(made), 1e-12 if core == "reference" else 0.0


@pytest.mark.parametrize("size", [1, 7, 39])
def test_prompt_in_pieces_gives_the_logits_of_the_whole(stepper: Any, size: int) -> None:
    """Catches a position that starts again, a mask off by one, a row of the cache that is written over."""
    step, new_cache, bound = stepper
    whole = step(TOKENS, [(new_cache(), len(TOKENS))])
    np.testing.assert_allclose(in_pieces(step, new_cache(), TOKENS, size), whole, rtol=0, atol=bound)


def test_sequences_of_one_step_give_what_each_gives_alone(stepper: Any) -> None:
    """The second joins when the first is half-way, so their positions differ."""
    step, new_cache, bound = stepper
    alone = step(TOKENS, [(new_cache(), 40)]), step(OTHER, [(new_cache(), 23)])
    caches = new_cache(), new_cache()
    first = step(TOKENS[:20], [(caches[0], 20)])
    both = step(np.concatenate([TOKENS[20:], OTHER]), [(caches[0], 20), (caches[1], 23)])
    np.testing.assert_allclose(np.concatenate([first, both[:20]]), alone[0], rtol=0, atol=bound)
    np.testing.assert_allclose(both[20:], alone[1], rtol=0, atol=bound)


def test_truncated_cache_goes_on_as_if_the_rest_had_never_been(stepper: Any) -> None:
    step, new_cache, bound = stepper
    cache = new_cache()
    step(np.concatenate([TOKENS[:20], OTHER]), [(cache, 43)])
    cache.truncate(20)
    whole = step(TOKENS, [(new_cache(), 40)])
    np.testing.assert_allclose(step(TOKENS[20:], [(cache, 20)]), whole[20:], rtol=0, atol=bound)
