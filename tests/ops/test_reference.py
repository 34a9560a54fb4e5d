"""The reference against what can be said without it: small sums, symmetries and limits."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from numpy.typing import NDArray

from furet.dtypes import TensorType
from furet.ops.reference import Cache, Reference, step
from furet.ops.rope import Rope, angles

RANDOM = np.random.RandomState(0)


def ops(
    tokens: list[int] | None = None,
    runs: list[tuple[Cache, int]] | None = None,
    rows: list[int] | None = None,
    **arrays: NDArray[np.float64],
) -> Reference:
    """The ops over weights given as arrays."""
    ids = np.array(tokens if tokens is not None else [0], dtype=np.int64)
    return Reference(
        lambda tensor: np.asarray(arrays[tensor.name], np.float32),
        ids,
        runs if runs is not None else [(Cache(), len(ids))],
        np.array(rows or [], dtype=np.int64),
    )


def tensor(name: str, *shape: int) -> tiny.TinyTensor:
    return tiny.TinyTensor(name, TensorType.F32, shape)


def test_rms_norm_of_three_and_four() -> None:
    """The mean square of 3 and 4 is 12.5."""
    got = ops(w=np.array([1.0, 2.0])).rms_norm(np.array([[3.0, 4.0]]), tensor("w", 2), 0.0)
    np.testing.assert_allclose(got, [[3 / 12.5**0.5, 8 / 12.5**0.5]], rtol=1e-15)


def test_rms_norm_of_a_short_weight_normalises_each_group() -> None:
    got = ops(w=np.array([1.0, 1.0])).rms_norm(np.array([[3.0, 3.0, 100.0, 100.0]]), tensor("w", 2), 0.0)
    np.testing.assert_allclose(got, [[1.0, 1.0, 1.0, 1.0]], rtol=1e-15)


def test_linear_adds_its_bias_once_per_row() -> None:
    op = ops(w=np.array([[1.0, 2.0], [3.0, 4.0], [0.0, 1.0]]), b=np.array([0.5, 0.0, -1.0]))
    got = op.linear(np.array([[1.0, 10.0], [0.0, 1.0]]), tensor("w", 3, 2), tensor("b", 3))
    np.testing.assert_array_equal(got, [[21.5, 43.0, 9.0], [2.5, 4.0, 0.0]])


def test_embed_refuses_a_token_outside_the_vocabulary() -> None:
    """Also a negative one, which NumPy would take from the end."""
    for token in (3, -1):
        with pytest.raises(ValueError, match="0 to 2"):
            ops([token], w=np.zeros((3, 2))).embed(tensor("w", 3, 2))


def test_silu_at_zero_and_far_out() -> None:
    got = ops().activate(np.array([[0.0, 40.0, -40.0]]), "silu")
    np.testing.assert_allclose(got, [[0.0, 40.0, 0.0]], atol=1e-15)


@pytest.mark.parametrize("style", ["interleaved", "halves"])
def test_rotated_products_depend_on_the_distance_alone(style: str) -> None:
    """q at 100 times k at 93 is q at 7 times k at 0."""
    rope, q, k = Rope(10_000.0, 8, style), RANDOM.randn(1, 8), RANDOM.randn(1, 8)

    def product(at: int, other: int) -> float:
        turned = [ops(runs=[(Cache(p), 1)]).rope(x, 1, rope)[0] for x, p in ((q, at), (k, other))]
        return float(turned[0] @ turned[1])

    assert product(100, 93) == pytest.approx(product(7, 0), abs=1e-12)
    assert product(100, 93) != pytest.approx(product(8, 0), abs=1e-3)


def test_styles_differ_by_the_order_of_the_pairs() -> None:
    x, order = RANDOM.randn(1, 8), [0, 2, 4, 6, 1, 3, 5, 7]
    at = [(Cache(5), 1)]
    interleaved = ops(runs=at).rope(x, 1, Rope(100.0, 8, "interleaved"))
    halves = ops(runs=at).rope(x[:, order], 1, Rope(100.0, 8, "halves"))
    np.testing.assert_allclose(interleaved[:, order], halves, atol=1e-15)


def test_rope_turns_only_its_dims() -> None:
    x = RANDOM.randn(1, 16)
    turned = ops(runs=[(Cache(5), 1)]).rope(x, 2, Rope(100.0, 4, "halves"))
    np.testing.assert_array_equal(turned.reshape(2, 8)[:, 4:], x.reshape(2, 8)[:, 4:])
    assert not np.allclose(turned.reshape(2, 8)[:, :4], x.reshape(2, 8)[:, :4])


def test_angles_are_exact_far_out() -> None:
    """Pair 0 turns by one radian per position, whatever the base: no rounding at a million."""
    assert angles(Rope(10_000.0, 8, "halves"), np.array([1_000_000]))[0, 0] == 1_000_000.0


def test_scalings_of_the_frequencies() -> None:
    plain = Rope(10_000.0, 64, "halves").frequencies()
    np.testing.assert_allclose(Rope(10_000.0, 64, "halves", factor=4.0).frequencies(), plain / 4)
    np.testing.assert_allclose(Rope(10_000.0, 64, "halves").frequencies(np.full(32, 2.0)), plain / 2)
    yarn = Rope(10_000.0, 64, "halves", factor=4.0, yarn_context=4096)
    assert yarn.frequencies()[0] == plain[0] and yarn.frequencies()[-1] == pytest.approx(plain[-1] / 4)
    assert yarn.magnitude == pytest.approx(1.1386294361)
    assert (np.diff(yarn.frequencies()) < 0).all()


def attend(q: NDArray[np.float64], k: NDArray[np.float64], v: NDArray[np.float64], **more: int) -> NDArray:
    options = {"heads": 1, "kv_heads": 1, **more}
    return ops([0] * len(q)).attention(0, q, k, v, scale=1.0, **options)


def test_attention_without_preference_is_the_mean_of_what_is_seen() -> None:
    v = np.array([[1.0, 0.0], [3.0, 0.0], [8.0, 0.0], [0.0, 4.0]])
    zero = np.zeros_like(v)
    np.testing.assert_allclose(attend(zero, zero, v), [[1, 0], [2, 0], [4, 0], [3, 1]])
    np.testing.assert_allclose(attend(zero, zero, v, window=2), [[1, 0], [2, 0], [5.5, 0], [4, 2]])


def test_attention_with_a_strong_preference_takes_one_value() -> None:
    k = np.eye(3)
    np.testing.assert_allclose(attend(1000 * k[[0, 0, 1]], k, 7 * k), 7 * k[[0, 0, 1]], atol=1e-12)


def test_query_heads_share_key_heads_in_order() -> None:
    """Four query heads over two key heads: 0 and 1 read the first, 2 and 3 the second."""
    got = attend(np.zeros((1, 4)), np.zeros((1, 2)), np.array([[5.0, 9.0]]), heads=4, kv_heads=2)
    np.testing.assert_array_equal(got, [[5, 5, 9, 9]])


def test_sequences_of_one_step_do_not_see_each_other() -> None:
    caches, v = [Cache(), Cache()], np.array([[1.0], [3.0], [10.0]])
    op = ops([0, 0, 0], [(caches[0], 2), (caches[1], 1)])
    np.testing.assert_array_equal(op.attention(0, 0 * v, 0 * v, v, 1, 1, 1.0), [[1], [2], [10]])
    assert op.positions.tolist() == [0, 1, 0]


def test_a_step_that_failed_leaves_no_trace_in_the_cache() -> None:
    """The second layer fails after the first has appended its keys."""
    cache, one = Cache(), np.ones((1, 1))

    def fails(op: Reference) -> NDArray[np.float64]:
        op.attention(0, one, one, one, 1, 1, 1.0)
        raise MemoryError

    with pytest.raises(MemoryError):
        step(fails, lambda tensor: one, [0], [(cache, 1)])
    got = step(
        lambda op: op.attention(0, one, one, 5 * one, 1, 1, 1.0), lambda tensor: one, [0], [(cache, 1)]
    )
    assert got.tolist() == [[5.0]] and cache.length == 1


def test_tokens_and_runs_must_agree() -> None:
    with pytest.raises(ValueError, match="3 tokens"):
        step(lambda op: op.rows(np.ones((3, 1))), lambda tensor: np.ones(1), [0, 0, 0], [(Cache(), 2)])
