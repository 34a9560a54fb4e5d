"""Attention of every kind on the native core, against the reference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from single import LONG, TOKENS, Body, T, Tensors, V, in_steps, random, step, wanted

from furet import _core
from furet.ops import Ops, native, reference
from furet.ops.cached import CacheType

# Keys and values are kept in float16: 0.0005 of what they are, which a softmax of scores up to 10 may multiply.
ERROR = 0.003
SHAPES = [(4, 2, 16), (3, 3, 20), (6, 1, 24), (2, 1, 80), (2, 2, 96), (8, 4, 7)]
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "window": {"window": 5},
    "soft cap": {"soft_cap": 1.5},
    "slopes": {"alibi": 8.0},
    "distances": {"distances": "buckets"},
    "all": {"window": 40, "soft_cap": 3.0, "alibi": 4.0, "distances": "buckets"},
}


def tensors(heads: int, kv_heads: int, dim: int) -> Tensors:
    return Tensors(
        embed=random(V, 12),
        q=random(heads * dim, 12, seed=1, size=0.3),
        k=random(kv_heads * dim, 12, seed=2, size=0.3),
        v=random(kv_heads * dim, 12, seed=3, size=0.3),
        wide=random(heads * dim, 12, seed=4, size=0.3),
        buckets=random(32, heads, seed=5),
        out=random(9, heads * dim, seed=6),
    )


def causal(made: Tensors, heads: int, kv_heads: int, options: dict[str, Any]) -> Body:
    w = made.tensors
    options = {name: w[value] if isinstance(value, str) else value for name, value in options.items()}

    def forward(op: Ops[Any]) -> Any:
        x = op.embed(w["embed"])
        q, k, v = op.linear(x, w["q"]), op.linear(x, w["k"]), op.linear(x, w["v"])
        return op.rows(op.attention(0, q, k, v, heads, kv_heads, 0.3, **options))

    return forward


def close(got: Any, right: Any) -> None:
    assert np.abs(got - right).max() < ERROR * np.abs(right).max()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("heads", "kv_heads", "dim"), SHAPES)
def test_causal(kind: str, heads: int, kv_heads: int, dim: int) -> None:
    made = tensors(heads, kv_heads, dim)
    forward = causal(made, heads, kv_heads, KINDS[kind])
    got = in_steps(forward, made, LONG, 300, 2)
    close(got, wanted(forward, made, LONG))
    for size, threads in ((37, 1), (11, 4)):
        np.testing.assert_array_equal(in_steps(forward, made, LONG, size, threads), got)


@pytest.mark.parametrize("kv", ["q8_0", "q4_0"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("heads", "kv_heads", "dim"), [(4, 2, 32), (2, 1, 64), (2, 2, 96), (2, 1, 20)])
def test_keys_and_values_in_blocks(kv: CacheType, kind: str, heads: int, kv_heads: int, dim: int) -> None:
    """The reference rounds as the cache does; heads of a size that has no blocks stay f16 in both."""
    made = tensors(heads, kv_heads, dim)
    forward = causal(made, heads, kv_heads, KINDS[kind])
    got = in_steps(forward, made, LONG, 300, 2, kv)
    close(got, reference.step(forward, reference.decoder(made), LONG, [(reference.Cache(kv=kv), len(LONG))]))
    for size, threads in ((37, 1), (1, 2)):
        np.testing.assert_array_equal(in_steps(forward, made, LONG, size, threads, kv), got)
    if dim % 32 == 0:
        assert np.abs(got - wanted(forward, made, LONG)).max() > 1e-4


def test_layers_of_different_shapes_share_a_cache() -> None:
    made = tensors(4, 2, 16)
    w = made.tensors

    def forward(op: Ops[Any]) -> Any:
        x = op.embed(w["embed"])
        q, k, v = op.linear(x, w["q"]), op.linear(x, w["k"]), op.linear(x, w["wide"])
        a = op.attention(0, q, k, k, 4, 2, 0.3)
        b = op.attention(1, a, v, v, 8, 8, 0.3)
        return op.rows(op.attention(2, b, op.columns(k, 0, 16), op.columns(v, 5, 16), 4, 1, 0.2))

    assert native.compile(forward, made, max_tokens=1, max_rows=1).cache_shape.layers == ((2, 16), (8, 8), (1, 16))
    got = in_steps(forward, made, LONG, 300, 2)
    close(got, wanted(forward, made, LONG))
    np.testing.assert_array_equal(in_steps(forward, made, LONG, 1, 1), got)


def encoder(made: Tensors, heads: int, table: str | None = None, layers: int = 2) -> Body:
    w = made.tensors
    distances = w[table] if table else None

    def forward(op: Ops[Any]) -> Any:
        x = op.embed(w["embed"])
        q, k, v = op.linear(x, w["q"]), op.linear(x, w["k"]), op.linear(x, w["v"])
        for _ in range(layers):
            q = op.attend_all(q, k, v, heads, 0.3, distances)
        return op.rows(op.linear(q, w["out"]))

    return forward


@pytest.mark.parametrize("table", [None, "buckets"])
@pytest.mark.parametrize(("heads", "dim"), [(4, 16), (3, 20), (2, 96)])
def test_both_ways(heads: int, dim: int, table: str | None) -> None:
    made = tensors(heads, heads, dim)
    forward = encoder(made, heads, table)
    compiled = native.compile(forward, made, max_tokens=300, max_rows=300)
    caches = [compiled.new_cache(300) for _ in range(2)]
    right = wanted(forward, made, LONG)
    rows = np.arange(300, dtype=np.int32)
    out = np.empty((300, 9), np.float32)
    for threads in (1, 2):  # a cache is as good as new after a step: the encoder leaves its length alone
        compiled.program.step(_core.Pool(threads), LONG, [(caches[0], 300)], rows, out)
        assert caches[0].length == 0
        close(out, right)
    both = np.empty((300, 9), np.float32)
    compiled.program.step(_core.Pool(2), LONG, [(caches[0], 40), (caches[1], 260)], rows, both)
    compiled.program.step(_core.Pool(1), LONG[:40], [(caches[1], 40)], rows[:40], out[:40])
    compiled.program.step(_core.Pool(1), LONG[40:], [(caches[1], 260)], rows[:260], out[40:])
    np.testing.assert_array_equal(both, out)


def test_encoder_refuses_a_cache_in_use() -> None:
    made = tensors(2, 2, 16)
    reads, goes_on = encoder(made, 2), causal(made, 2, 2, {})
    compiled = native.compile(goes_on, made, max_tokens=T, max_rows=T)
    cache, none = compiled.new_cache(2 * T), np.empty(0, np.int32)
    compiled.program.step(_core.Pool(1), TOKENS, [(cache, T)], none, np.empty((0, 32), np.float32))
    encodes = native.compile(reads, made, max_tokens=T, max_rows=T)
    with pytest.raises(ValueError, match="from the first token on"):
        encodes.program.step(_core.Pool(1), TOKENS, [(cache, T)], none, np.empty((0, 9), np.float32))
    with pytest.raises(ValueError, match="first token on"):
        used = reference.Cache(length=3)
        reference.step(reads, reference.decoder(made), TOKENS, [(used, T)])

    def both(op: Ops[Any]) -> Any:
        x = op.linear(op.embed(made.tensors["embed"]), made.tensors["q"])
        return op.rows(op.attend_all(op.attention(0, x, x, x, 2, 2, 1.0), x, x, 2, 1.0))

    with pytest.raises(ValueError, match="an encoder or goes on as a decoder"):
        native.compile(both, made, max_tokens=T, max_rows=T)


def test_answers_recall_what_was_remembered() -> None:
    """Two layers with keys of their own; the text read is longer than a block of keys."""
    made = tensors(4, 4, 20)
    w = made.tensors

    def encode(op: Ops[Any]) -> Any:
        x = op.embed(w["embed"])
        q, k, v = op.linear(x, w["q"]), op.linear(x, w["k"]), op.linear(x, w["v"])
        y = op.attend_all(q, k, v, 4, 0.3)
        op.remember(0, k, y, 4)
        return op.rows(op.remember(1, v, k, 4))

    def answer(op: Ops[Any]) -> Any:
        x = op.linear(op.embed(w["embed"]), w["q"])
        x = x + op.attention(0, x, x, x, 4, 4, 0.3)
        x = x + op.recall(0, x, 4, 0.3)
        return op.rows(x + op.recall(1, x, 4, 0.2))

    decode, known = reference.decoder(made), reference.Cache()
    reference.step(encode, decode, LONG[:100], [(known, 100)], [])
    right = reference.step(answer, decode, TOKENS, [(known, T)])

    reads = native.compile(encode, made, max_tokens=100, max_rows=1)
    answers = native.compile(answer, made, max_tokens=T, max_rows=T)
    assert reads.cache_shape.memory == answers.cache_shape.memory == ((4, 20), (4, 20))
    cache, pool = answers.new_cache(100, 100), _core.Pool(2)
    rows, none = np.arange(T, dtype=np.int32), np.empty(0, np.int32)
    out = np.empty((T, 80), np.float32)
    with pytest.raises(ValueError, match="nothing of an encoder"):
        answers.program.step(pool, TOKENS, [(cache, T)], rows, out)
    reads.program.step(pool, LONG[:100], [(cache, 100)], none, out[:0])
    assert (cache.length, cache.memory_length) == (0, 100)
    answers.program.step(pool, TOKENS, [(cache, T)], rows, out)
    close(out, right)
    cache.truncate(0)
    pieces = np.empty_like(out)
    for t in range(T):
        answers.program.step(_core.Pool(1), TOKENS[t : t + 1], [(cache, 1)], rows[:1], pieces[t : t + 1])
    np.testing.assert_array_equal(pieces, out)
    small = answers.new_cache(100, 99)
    with pytest.raises(ValueError, match="remembers 99 tokens"):
        reads.program.step(pool, LONG[:100], [(small, 100)], none, out[:0])


def test_steps_of_one_token_are_those_of_many() -> None:
    made = tensors(4, 2, 24)
    forward = causal(made, 4, 2, KINDS["all"])
    np.testing.assert_array_equal(step(forward, made, cuts=(1,) * T), step(forward, made, threads=1))
