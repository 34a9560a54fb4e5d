"""Every op that turns a row into a row, on the native core, against the reference."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from single import TOKENS, Body, T, Tensors, V, random, step, wanted

from furet import _core
from furet.ops import Activation, Ops, native
from furet.ops.values import Value

WIDTHS = [1, 5, 16, 48, 100, 128]


def tensors(width: int, size: float = 3.0) -> Tensors:
    return Tensors(
        embed=random(V, width, size=size),
        other=random(V, width, seed=1),
        weight=random(width, seed=2),
        bias=random(width, seed=3),
        half=random(max(1, width // 2), seed=4),
        square=random(width, width, seed=5),
    )


def bodies(made: Tensors, width: int) -> dict[str, Body]:
    w = made.tensors
    heads = 2 if width % 2 == 0 else 1
    small = w["half"] if heads == 2 else w["weight"]
    return {
        "rms_norm": lambda op, x: op.rms_norm(x, w["weight"], 1e-5),
        "layer_norm": lambda op, x: op.layer_norm(x, w["weight"], None, 1e-5),
        "layer_norm with bias": lambda op, x: op.layer_norm(x, w["weight"], w["bias"], 1e-5),
        "layer_norm in groups": lambda op, x: op.layer_norm(x, w["weight"], w["bias"], 1e-3, heads),
        "layer_norm of heads": lambda op, x: op.layer_norm(x, small, small, 1e-3, heads),
        "l2_norm": lambda op, x: op.l2_norm(x, heads, 1e-6),
        "affine": lambda op, x: op.affine(x, w["weight"], w["bias"]),
        "affine, weight": lambda op, x: op.affine(x, w["weight"]),
        "affine, bias": lambda op, x: op.affine(x, bias=w["bias"]),
        "scale": lambda op, x: op.scale(x, 0.3),
        "soft_cap": lambda op, x: op.soft_cap(x, 2.5),
        "clamp": lambda op, x: op.clamp(x, 1.5),
        "columns": lambda op, x: op.columns(x, width // 3, width - width // 3),
        "add": lambda op, x: x + op.affine(x, w["weight"]),
        "subtract": lambda op, x: op.affine(x, w["weight"]) - x,
        "multiply": lambda op, x: x * op.affine(x, w["weight"]),
        "head_dot": lambda op, x: op.head_dot(x, op.affine(x, w["weight"]), heads),
        "in place": lambda op, x: op.clamp(op.scale(x + x, 0.5) - op.scale(x, 0.1), 4.0) * x,
    }


NAMES = list(bodies(tensors(2), 2))


def close(got: Any, right: Any) -> None:
    """To the rounding of some operations in float32, sums of a row among them."""
    np.testing.assert_allclose(got, right, rtol=2e-6, atol=1e-6 * max(1.0, np.abs(right).max()))


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", NAMES)
def test_rows(name: str, width: int) -> None:
    made = tensors(width)
    body = bodies(made, width)[name]

    def on_tokens(op: Ops[Any]) -> Any:
        return op.rows(body(op, op.embed(made.tensors["embed"])))

    def on_rows(op: Ops[Any]) -> Any:
        return body(op, op.rows(op.embed(made.tensors["embed"])))

    got = step(on_tokens, made)
    close(got, wanted(on_tokens, made))
    np.testing.assert_array_equal(step(on_rows, made), got)
    np.testing.assert_array_equal(step(on_tokens, made, threads=1, cuts=(1, 5, T - 6)), got)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("function", get_args(Activation))
def test_functions(function: Activation, gated: bool) -> None:
    made = Tensors(embed=random(V, 1500, size=5.0), other=random(1500, seed=9))

    def forward(op: Ops[Any]) -> Any:
        x = op.embed(made.tensors["embed"])
        y = op.activate(x, function)
        return op.rows(y * op.affine(x, made.tensors["other"]) if gated else y)

    right = wanted(forward, made)
    # The exponent of gelu_tanh is rounded at a size of up to 20, and that of e^x is halved.
    np.testing.assert_allclose(step(forward, made), right, rtol=4e-6, atol=1e-7 * np.abs(right).mean())


@pytest.mark.parametrize("kind", ["layer_norm with bias", "affine", "scale", "soft_cap", "clamp", "rms_norm"])
def test_quantised_at_the_source_to_the_bit(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from furet.dtypes import TensorType
    from furet.ops import passes

    made = tensors(64)
    blocks = np.random.RandomState(1).randint(0, 256, (64, 2, 34), dtype=np.uint8)
    blocks[:, :, :2] = np.full((64, 2, 1), 0.01, np.float16).view(np.uint8)
    made.put("quantised", TensorType.Q8_0, (64, 64), blocks.reshape(-1))
    body = bodies(made, 64)[kind]

    def forward(op: Ops[Any]) -> Any:
        return op.linear(op.rows(body(op, op.embed(made.tensors["embed"]))), made.tensors["quantised"])

    fused = step(forward, made)
    monkeypatch.setattr(
        passes, "NATIVE", [each for each in passes.NATIVE if each is not passes.quantise_at_the_source]
    )
    np.testing.assert_array_equal(step(forward, made), fused)


def test_positions_continue_the_cache_and_end_with_the_table() -> None:
    made = Tensors(embed=random(V, 32), places=random(T + 2, 32, seed=7))

    def forward(op: Ops[Any]) -> Any:
        return op.rows(op.embed(made.tensors["embed"]) + op.embed_positions(made.tensors["places"], 2))

    close(step(forward, made, cuts=(3, 1, T - 4)), wanted(forward, made))
    compiled = native.compile(forward, made, max_tokens=T, max_rows=T)
    cache, pool, out = compiled.new_cache(2 * T), _core.Pool(1), np.empty((0, 32), np.float32)
    none = np.empty(0, np.int32)
    compiled.program.step(pool, TOKENS, [(cache, T)], none, out)
    with pytest.raises(ValueError, match=f"position {T} is not in a table of {T}"):
        compiled.program.step(pool, TOKENS[:1], [(cache, 1)], none, out)
    assert cache.length == T


def test_norms_share_the_place_of_what_they_read() -> None:
    """A chain of them takes one place of the arena."""
    made = tensors(64)

    def forward(op: Ops[Value]) -> Value:
        x = op.layer_norm(op.embed(made.tensors["embed"]), made.tensors["weight"], None, 1e-5)
        return op.rows(op.activate(op.scale(op.l2_norm(x, 4, 1e-6), 3.0), "gelu"))

    assert native.compile(forward, made, max_tokens=T, max_rows=1).arena_bytes <= 4 * 64 * (T + 1)
