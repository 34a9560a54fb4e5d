"""Recurrent ops on the native core: against the reference, and equal to the bit however a text is cut into steps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single import TOKENS, Body, T, Tensors, V, random, step, wanted

from furet import _core
from furet.ops import Ops, native
from furet.ops.dry import needs

WIDTHS = [1, 5, 16, 40, 128]
CUTS = [(1, 2, T - 3), (T - 1, 1), (1,) * T]


def tensors(width: int, size: int = 1) -> Tensors:
    """Inputs of every rule are columns of one wide embedding."""
    return Tensors(
        embed=random(V, 7 * width, size=1.5),
        small=random(V, width, seed=1),
        into=random(2 * size, width, seed=9) / np.sqrt(width),
        taps=random(width, 4, seed=2),
        two=random(width, 2, seed=2),
        bias=random(1, 1, width, seed=3),
        rates=-np.exp(random(width, size, seed=4)),
        decay=-np.exp(random(width, seed=5)),
        first=random(1, 1, width, seed=6),
    )


def bodies(made: Tensors, width: int, size: int = 1) -> dict[str, Body]:
    w = made.tensors

    def part(op: Ops[Any], x: Any, i: int) -> Any:
        return op.columns(x, i * width, width)

    def scan(op: Ops[Any], x: Any) -> Any:
        dt, both = op.activate(part(op, x, 1), "softplus"), op.linear(part(op, x, 0), w["into"])
        b, c = op.columns(both, 0, size), op.columns(both, size, size)
        return op.selective_scan("s", part(op, x, 0), dt, w["rates"], b, c, w["first"])

    def wkv7(op: Ops[Any], x: Any) -> Any:
        heads = 2 if width % 2 == 0 else 1
        r, v, k = part(op, x, 0), part(op, x, 2), op.l2_norm(part(op, x, 1), heads, 1e-6)
        decay = op.activate(part(op, x, 3), "sigmoid")
        turned = op.activate(part(op, x, 4), "sigmoid") * k
        return op.wkv7("s", r, decay, k, v, op.scale(k, -1.0), turned, heads)

    return {
        "shift": lambda op, x: op.shift("s", part(op, x, 0)),
        "convolve": lambda op, x: op.convolve("s", part(op, x, 0), w["taps"], w["bias"]),
        "convolve two": lambda op, x: op.convolve("s", part(op, x, 0), w["two"]),
        "selective_scan": scan,
        "wkv4": lambda op, x: op.wkv4("s", op.scale(part(op, x, 0), 4.0), part(op, x, 1), w["decay"], w["first"]),
        "wkv7": wkv7,
        "two states": lambda op, x: op.shift("b", op.convolve("a", part(op, x, 0), w["taps"])) + part(op, x, 1),
    }


NAMES = list(bodies(tensors(2), 2))


def forward(name: str, width: int, size: int = 7) -> tuple[Tensors, Body]:
    made = tensors(width, size)
    body = bodies(made, width, size)[name]
    return made, lambda op, _=None: op.rows(body(op, op.embed(made.tensors["embed"])))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_rules_agree_with_the_reference_however_a_text_is_cut(name: str, width: int) -> None:
    made, run = forward(name, width)
    got, right = step(run, made), wanted(run, made)
    np.testing.assert_allclose(got, right, rtol=2e-5, atol=1e-5 * np.abs(right).max())
    for threads, cuts in zip((1, 2, 3), CUTS, strict=True):
        np.testing.assert_array_equal(step(run, made, threads=threads, cuts=cuts), got)


@pytest.mark.parametrize("size", [1, 16, 33])
def test_a_scan_keeps_any_number_of_values(size: int) -> None:
    made, run = forward("selective_scan", 24, size)
    right = wanted(run, made)
    np.testing.assert_allclose(step(run, made), right, rtol=2e-5, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("name", NAMES)
def test_sequences_of_a_step_know_nothing_of_each_other(name: str) -> None:
    made, run = forward(name, 40)
    alone = step(run, made), step(run, made, tokens=TOKENS[::-1].copy())
    compiled, pool = native.compile(run, made, max_tokens=T, max_rows=T), _core.Pool(2)
    caches = [compiled.new_cache(T), compiled.new_cache(T)]
    got: list[list[Any]] = [[], []]
    for at in range(0, T - 1, 2):  # two tokens of the one, three of the other as long as there are any
        runs = [(0, at, at + 2), (1, 3 * (at // 2), min(3 * (at // 2) + 3, T))]
        runs = [(which, begin, end) for which, begin, end in runs if begin < end]
        tokens = np.concatenate([(TOKENS, TOKENS[::-1])[which][begin:end] for which, begin, end in runs])
        out = np.empty((len(tokens), compiled.vocab), np.float32)
        steps = [(caches[which], end - begin) for which, begin, end in runs]
        compiled.program.step(pool, tokens, steps, np.arange(len(tokens), dtype=np.int32), out)
        for which, begin, end in runs:
            got[which].append(out[: end - begin])
            out = out[end - begin :]
    for which in (0, 1):
        rows = np.concatenate(got[which])
        np.testing.assert_array_equal(rows, alone[which][: len(rows)])


@pytest.mark.parametrize("name", NAMES)
def test_a_refused_step_changes_nothing_and_a_cut_to_nothing_begins_again(name: str) -> None:
    made, run = forward(name, 16)
    whole = step(run, made)
    compiled, pool = native.compile(run, made, max_tokens=T, max_rows=T), _core.Pool(2)
    cache = compiled.new_cache(T)

    def take(tokens: Any) -> Any:
        out = np.empty((len(tokens), compiled.vocab), np.float32)
        compiled.program.step(pool, tokens, [(cache, len(tokens))], np.arange(len(tokens), dtype=np.int32), out)
        return out

    np.testing.assert_array_equal(take(TOKENS[:9]), whole[:9])
    for refused in (TOKENS, np.array([3, V], np.int32)):
        with pytest.raises(ValueError, match=r"tokens|vocabulary"):
            take(refused)
    np.testing.assert_array_equal(take(TOKENS[9:]), whole[9:])
    cache.truncate(0)
    np.testing.assert_array_equal(take(TOKENS), whole)


def test_wkv4_of_large_exponents_neither_overflows_nor_vanishes() -> None:
    made = tensors(16)
    made.blocks["embed"] = (80 * made.blocks["embed"].view(np.float32)).view(np.uint8)
    run = forward("wkv4", 16)[1]
    right = wanted(run, made)
    np.testing.assert_allclose(step(run, made), right, rtol=1e-3, atol=1e-4 * np.abs(right).max())


def test_a_cache_of_another_model_is_refused() -> None:
    made, run = forward("shift", 16)
    compiled, pool = native.compile(run, made, max_tokens=T, max_rows=T), _core.Pool(1)
    out, rows = np.empty((2, compiled.vocab), np.float32), np.arange(2, dtype=np.int32)
    for states in ((), (15,), (17,)):
        cache = _core.Cache((), (), states, T)
        with pytest.raises(ValueError, match="another model"):
            compiled.program.step(pool, TOKENS[:2], [(cache, 2)], rows, out)


def test_plan_counts_states_and_copies() -> None:
    made, run = forward("selective_scan", 16, 7)
    figures = needs(run, context=64, sequences=3, max_tokens=T, max_rows=T)
    assert figures.states == 3 * _core.Cache.bytes((), (), (16 * 7,), 0)
    assert figures.copies == 4 * (16 * 7 + 16)
    assert native.compile(run, made, max_tokens=T, max_rows=T).arena_bytes == figures.arena
